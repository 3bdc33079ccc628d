//! Classes that a user names: which numbers they are, and the examples of them alone.

use std::collections::BTreeSet;

use super::assemble::{Part, noun};
use super::labels::Classes;
use super::notes::{counted, quoted};
use super::{Dataset, Images};
use crate::error::{Error, Result};

/// Classes that a message lists.
const LISTED: usize = 20;

/// The numbers of the classes that `wanted` lists, by name or by number; a name wins over a number. `option` is what asked
/// for them, `names` are the classes' names by number.
///
/// # Errors
/// [`Error::Usage`] for a class that there is not; it lists those there are.
///
/// ```
/// let names = ["ant".to_owned(), "bee".to_owned()];
/// let numbers = vae_gpu::data::class_numbers("--normal", &["bee".to_owned(), "0".to_owned()], &names)?;
/// assert_eq!(numbers.into_iter().collect::<Vec<_>>(), [0, 1]);
/// # Ok::<(), vae_gpu::Error>(())
/// ```
pub fn class_numbers(option: &str, wanted: &[String], names: &[String]) -> Result<BTreeSet<u32>> {
    let all: BTreeSet<u32> = (0..names.len() as u32).collect();
    wanted.iter().map(|class| number(option, class, names, &all)).collect()
}

/// The number of a class, which must be one of `there`.
fn number(option: &str, class: &str, names: &[String], there: &BTreeSet<u32>) -> Result<u32> {
    let class = class.trim();
    let named = names.iter().position(|name| name == class).map(|at| at as u32);
    let number = named.or_else(|| class.parse().ok());
    number.filter(|number| there.contains(number)).ok_or_else(|| {
        let listed: Vec<String> = there.iter().take(LISTED).map(|&at| quoted(&names[at as usize])).collect();
        let more = if there.len() > LISTED { ", ..." } else { "" };
        Error::Usage(match there.len() {
            0 => format!("{option} names the class {}: the data have no labels", quoted(class)),
            _ => format!(
                "{option} names the class {}: the data have {}{more}; it must be one of them, by name or number",
                quoted(class),
                listed.join(", ")
            ),
        })
    })
}

/// Positions of the examples of these classes.
fn positions(labels: &[Option<u32>], numbers: &BTreeSet<u32>) -> Vec<usize> {
    let is_wanted = |label: Option<u32>| label.is_some_and(|label| numbers.contains(&label));
    (0..labels.len()).filter(|&at| is_wanted(labels[at])).collect()
}

/// The examples of the classes that `--classes` lists, of each set; the classes keep their numbers. Says how many were taken,
/// and how many were left out for want of a label.
///
/// # Errors
/// [`Error::Usage`] for a class of which there is no example, data without labels, or a set of which nothing is left.
pub(super) fn take(
    parts: Vec<Part>,
    classes: Classes,
    wanted: &[String],
    notes: &mut Vec<String>,
) -> Result<(Vec<Part>, Classes)> {
    let there: BTreeSet<u32> = classes.of.iter().flatten().flatten().copied().collect();
    let of_one = |class: &String| number("--classes", class, &classes.names, &there);
    let numbers: BTreeSet<u32> = wanted.iter().map(of_one).collect::<Result<_>>()?;
    let missing = classes.of.iter().flatten().filter(|label| label.is_none()).count();
    let (mut counts, mut taken, mut of) = (Vec::new(), Vec::new(), Vec::new());
    for (part, labels) in parts.into_iter().zip(classes.of) {
        let chosen = positions(&labels, &numbers);
        let what = noun(part.set);
        if chosen.is_empty() {
            let list = wanted.join(",");
            return Err(Error::Usage(format!(
                "--classes {list}: none of {} of {} is of these classes: at least one must be",
                counted(labels.len(), what),
                part.path.display()
            )));
        }
        counts.push(format!("{} of {}", chosen.len(), counted(labels.len(), what)));
        of.push(chosen.iter().map(|&at| labels[at]).collect());
        taken.push(Part { raw: part.raw.select(&chosen), ..part });
    }
    let unlabelled = match missing {
        0 => String::new(),
        count => format!("; without a label, and left out: {}", counted(count, "example")),
    };
    notes.push(format!("of --classes {}: {}{unlabelled}", wanted.join(","), counts.join(", ")));
    Ok((taken, Classes { names: classes.names, of }))
}

impl Dataset {
    /// The examples of these classes alone, as `--classes` takes them.
    ///
    /// # Errors
    /// [`Error::Usage`] for a class that the data do not have.
    pub fn of_classes(&self, wanted: &[String]) -> Result<Dataset> {
        let numbers = class_numbers("--classes", wanted, &self.schema.classes)?;
        let of = |images: &Images| images.select(&positions(&images.labels, &numbers));
        Ok(Dataset {
            name: self.name.clone(),
            train: of(&self.train),
            validation: self.validation.as_ref().map(of),
            test: of(&self.test),
            table: self.table,
            schema: self.schema.clone(),
            notes: self.notes.clone(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|&text| text.to_owned()).collect()
    }

    #[test]
    fn a_name_wins_over_a_number() {
        let names = texts(&["7", "1", "cow"]);
        let numbers = |wanted: &[&str]| class_numbers("--normal", &texts(wanted), &names);
        assert_eq!(numbers(&["1"]).unwrap(), [1].into());
        assert_eq!(numbers(&["7", " 2", "cow", "0"]).unwrap(), [0, 2].into());
        let error = numbers(&["1", "horse"]).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        let expected = "--normal names the class \"horse\": the data have \"7\", \"1\", \"cow\"; it must be one of them, by \
                        name or number";
        assert_eq!(error.to_string(), expected);
        let none = class_numbers("--normal", &texts(&["1"]), &[]).unwrap_err().to_string();
        assert!(none.ends_with("the data have no labels"), "{none}");
    }
}
