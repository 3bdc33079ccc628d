//! Classes: the labels of all sets under one numbering, whose names a checkpoint keeps.
//!
//! A label is what the source says, a number or a text. Whole numbers from 0 to 255 are their own class numbers, as MNIST's
//! are; any others are numbered in their order. A label that is missing, or that a trained model does not know, is none.
//! Numbers that are not whole are no classes: the examples have no labels then, and that is said.

use std::collections::{BTreeSet, HashMap};

/// Whole numbers below this are their own class numbers.
const OWN_NUMBERS: i64 = 256;

/// The labels of one set, as the source has them.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) enum Labels {
    #[default]
    None,
    /// NaN is one that is missing.
    Numbers(Vec<f64>),
    /// An empty text is one that is missing.
    Texts(Vec<String>),
}

/// The classes of a data set: their names by number, and the class of each example of each set.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Classes {
    pub(super) names: Vec<String>,
    pub(super) of: Vec<Vec<Option<u32>>>,
}

/// How classes get their numbers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Numbering<'a> {
    /// In their order.
    New,
    /// As a model knows them; others have none.
    Known(&'a [String]),
    /// As a model knows them; others follow in their order.
    Extended(&'a [String]),
}

impl<'a> Numbering<'a> {
    /// That of a model which knows these classes.
    pub(super) fn of(known: &'a [String]) -> Numbering<'a> {
        if known.is_empty() { Numbering::New } else { Numbering::Known(known) }
    }

    fn names(self, named: &[Vec<Option<String>>]) -> Vec<String> {
        let named = named.iter().flatten().flatten();
        match self {
            Numbering::New | Numbering::Extended([]) => order(named),
            Numbering::Known(known) => known.to_vec(),
            Numbering::Extended(known) => {
                let new: BTreeSet<&String> = named.filter(|name| !known.contains(name)).collect();
                known.iter().chain(new).cloned().collect()
            }
        }
    }

    fn known(self) -> &'a [String] {
        match self {
            Numbering::New => &[],
            Numbering::Known(known) | Numbering::Extended(known) => known,
        }
    }
}

impl Labels {
    pub(super) fn select(&self, positions: &[usize]) -> Labels {
        match self {
            Labels::None => Labels::None,
            Labels::Numbers(numbers) => Labels::Numbers(positions.iter().map(|&at| numbers[at]).collect()),
            Labels::Texts(texts) => Labels::Texts(positions.iter().map(|&at| texts[at].clone()).collect()),
        }
    }

    /// Whether all are numbers, and not all whole.
    pub(super) fn are_real(&self) -> bool {
        let fraction = |number: f64| number.is_finite() && number.fract() != 0.0 || number.is_infinite();
        match self {
            Labels::None => false,
            Labels::Numbers(numbers) => numbers.iter().any(|&number| fraction(number)),
            Labels::Texts(texts) => {
                let numbers = texts.iter().filter(|text| !text.is_empty()).map(|text| text.parse::<f64>());
                let numbers: Result<Vec<f64>, _> = numbers.collect();
                numbers.is_ok_and(|numbers| numbers.into_iter().any(fraction))
            }
        }
    }

    /// The label of each example as a number; NaN where it is none.
    pub(super) fn numbers(&self, count: usize) -> Vec<f64> {
        match self {
            Labels::None => vec![f64::NAN; count],
            Labels::Numbers(numbers) => numbers.clone(),
            Labels::Texts(texts) => texts.iter().map(|text| text.parse().unwrap_or(f64::NAN)).collect(),
        }
    }

    /// The name of each example's class.
    fn names(&self, count: usize) -> Vec<Option<String>> {
        match self {
            Labels::None => vec![None; count],
            Labels::Numbers(numbers) => {
                let name = |&number: &f64| (!number.is_nan()).then(|| format!("{}", number as i64));
                numbers.iter().map(name).collect()
            }
            Labels::Texts(texts) => {
                // 3, 3.0 and 03 are one class.
                let name = |text: &String| match text.parse::<f64>() {
                    Ok(number) if number.fract() == 0.0 && number.abs() < 9e15 => format!("{}", number as i64),
                    _ => text.clone(),
                };
                texts.iter().map(|text| (!text.is_empty()).then(|| name(text))).collect()
            }
        }
    }
}

impl Classes {
    /// None, for examples whose labels are no classes.
    pub(super) fn none(sets: &[(&Labels, usize)]) -> Classes {
        Classes { names: Vec::new(), of: sets.iter().map(|&(_, count)| vec![None; count]).collect() }
    }

    /// Numbers the labels of sets of these sizes.
    pub(super) fn number(sets: &[(&Labels, usize)], numbering: Numbering<'_>, notes: &mut Vec<String>) -> Classes {
        let known = numbering.known();
        if sets.iter().any(|(labels, _)| labels.are_real()) {
            notes.push("labels that are not whole numbers are no classes: examples have none".to_owned());
            return Classes { names: known.to_vec(), of: sets.iter().map(|&(_, count)| vec![None; count]).collect() };
        }
        let named: Vec<Vec<Option<String>>> = sets.iter().map(|(labels, count)| labels.names(*count)).collect();
        let names = numbering.names(&named);
        let numbers: HashMap<&str, u32> = names.iter().zip(0..).map(|(name, number)| (name.as_str(), number)).collect();
        let is_known = |name: &str| numbers.get(name).is_some_and(|&number| (number as usize) < known.len());
        let mut unknown = named.iter().flatten().flatten().filter(|name| !known.is_empty() && !is_known(name));
        if let Some(first) = unknown.next() {
            let count = 1 + unknown.count();
            notes.push(format!("{count} labels are of classes that the model does not know, {first:?} among them"));
        }
        let missing = named.iter().flatten().filter(|name| name.is_none()).count();
        if missing > 0 && named.iter().flatten().any(Option::is_some) {
            notes.push(format!("{missing} examples have no label"));
        }
        let number = |name: &Option<String>| name.as_deref().and_then(|name| numbers.get(name).copied());
        Classes { of: named.iter().map(|set| set.iter().map(number).collect()).collect(), names }
    }
}

/// Names of classes by number.
fn order<'a>(names: impl Iterator<Item = &'a String>) -> Vec<String> {
    let distinct: BTreeSet<&String> = names.collect();
    let numbers: Result<BTreeSet<i64>, _> = distinct.iter().map(|name| name.parse::<i64>()).collect();
    match numbers {
        Ok(numbers) => match (numbers.first(), numbers.last()) {
            (Some(0..), Some(&last)) if last < OWN_NUMBERS => (0..=last).map(|number| number.to_string()).collect(),
            _ => numbers.into_iter().map(|number| number.to_string()).collect(),
        },
        Err(_) => distinct.into_iter().cloned().collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(texts: &[&str]) -> Labels {
        Labels::Texts(texts.iter().map(|&text| text.to_owned()).collect())
    }

    fn numbered(sets: &[&Labels], known: &[&str]) -> (Classes, Vec<String>) {
        let count = |labels: &Labels| match labels {
            Labels::None => 1,
            Labels::Numbers(numbers) => numbers.len(),
            Labels::Texts(texts) => texts.len(),
        };
        let sets: Vec<_> = sets.iter().map(|&labels| (labels, count(labels))).collect();
        let known: Vec<String> = known.iter().map(|&name| name.to_owned()).collect();
        let mut notes = Vec::new();
        (Classes::number(&sets, Numbering::of(&known), &mut notes), notes)
    }

    #[test]
    fn all_sets_have_one_numbering() {
        let (classes, notes) = numbered(&[&texts(&["cow", "ant"]), &texts(&["bee", "cow"]), &Labels::None], &[]);
        assert_eq!(classes.names, ["ant", "bee", "cow"]);
        assert_eq!(classes.of, [vec![Some(2), Some(0)], vec![Some(1), Some(2)], vec![None]]);
        assert_eq!(notes, ["1 examples have no label"]);
    }

    #[test]
    fn whole_numbers_are_their_own_class_where_they_are_small() {
        let (classes, _) = numbered(&[&Labels::Numbers(vec![3.0, 0.0, f64::NAN])], &[]);
        assert_eq!((classes.names.len(), &classes.of[0]), (4, &vec![Some(3), Some(0), None]));
        let (classes, _) = numbered(&[&Labels::Numbers(vec![1000.0, -1.0, 20.0])], &[]);
        assert_eq!(
            (classes.names, &classes.of[0]),
            (vec!["-1".into(), "20".into(), "1000".into()], &vec![Some(2), Some(0), Some(1)])
        );
        let (classes, _) = numbered(&[&texts(&["03", "3.0", "3", "x"])], &[]);
        assert_eq!(
            (classes.names, &classes.of[0]),
            (vec!["3".into(), "x".into()], &vec![Some(0), Some(0), Some(0), Some(1)])
        );
    }

    #[test]
    fn a_trained_model_keeps_its_numbers() {
        let (classes, notes) = numbered(&[&texts(&["bee", "wasp", ""])], &["ant", "bee"]);
        assert_eq!(classes.of, [vec![Some(1), None, None]]);
        assert!(notes[0].contains("1 labels") && notes[0].contains("\"wasp\""), "{notes:?}");
    }

    #[test]
    fn new_classes_may_follow_the_known_ones() {
        let (labels, known, mut notes) =
            (texts(&["bee", "wasp", "", "ape"]), ["ant", "bee"].map(str::to_owned), Vec::new());
        let classes = Classes::number(&[(&labels, 4)], Numbering::Extended(&known), &mut notes);
        assert_eq!(classes.names, ["ant", "bee", "ape", "wasp"]);
        assert_eq!(classes.of, [vec![Some(1), Some(3), None, Some(2)]]);
        assert!(notes[0].contains("2 labels") && notes[0].contains("\"wasp\""), "{notes:?}");
        let anew = Classes::number(&[(&labels, 4)], Numbering::Extended(&[]), &mut Vec::new());
        assert_eq!(anew.names, ["ape", "bee", "wasp"]);
    }

    #[test]
    fn real_numbers_are_no_classes() {
        for labels in [Labels::Numbers(vec![1.0, 0.5]), texts(&["1", "1e-3", ""])] {
            let (classes, notes) = numbered(&[&labels], &[]);
            assert!(classes.of[0].iter().all(Option::is_none) && notes[0].contains("no classes"), "{notes:?}");
        }
        assert!(!texts(&["1", "x"]).are_real());
    }
}
