//! The conditions of images that a model is to generate: a label that is asked for, or all in turn.

use crate::data::{Schema, class_numbers};
use crate::error::{Error, Result};
use crate::models::{Condition, ModelConfig};

/// Numbers that take turns, from the least to the largest.
const NUMBERS: usize = 10;
/// Classes that have a column each in a picture.
const COLUMNS: usize = 20;

/// What a model can be asked to generate images of.
#[derive(Clone, Debug)]
pub struct Conditions<'a> {
    /// The architecture.
    pub model: &'a ModelConfig,
    /// The data that the model was trained on.
    pub schema: &'a Schema,
    /// The classes that it was trained on, by name or number; all where none is named.
    pub classes: Vec<String>,
}

impl Conditions<'_> {
    /// The condition that `option` asks for, a class by name or number, or a number: `[width]`.
    ///
    /// # Errors
    /// [`Error::Usage`] for a model without a condition, a class that it does not know, or a text that is no number.
    pub fn of(&self, option: &str, label: &str) -> Result<Vec<f32>> {
        match (self.model.condition, self.schema.number) {
            (None, _) => Err(Error::Usage(format!(
                "{option} {label} is for models that were trained with --condition: this one was not"
            ))),
            (Some(Condition::Number), Some(moments)) => match label.trim().parse::<f64>() {
                Ok(number) if number.is_finite() => Ok(vec![moments.standardised(number)]),
                _ => Err(Error::Usage(format!(
                    "{option} is {label:?}: the model was trained on numbers from {} to {}, it must be a number",
                    moments.range[0], moments.range[1]
                ))),
            },
            _ => {
                let numbers = class_numbers(option, &[label.to_owned()], &self.schema.classes)?;
                Ok(numbers.into_iter().flat_map(|class| self.unit(class as usize)).collect())
            }
        }
    }

    /// As many as there are images, in turn: of each class that was trained on, or of numbers from the least to the largest.
    /// `[count, width]`, empty where the model has no condition.
    pub fn in_turn(&self, count: usize) -> Vec<f32> {
        let all = self.all();
        (0..count).flat_map(|at| all[at % all.len()].clone()).collect()
    }

    /// The columns of a picture of images in turn: one for each, if they are not too many.
    pub fn columns(&self, otherwise: usize) -> usize {
        let count = self.all().len();
        if (2..=COLUMNS).contains(&count) { count } else { otherwise }
    }

    /// One for each turn; an empty one where the model has none.
    fn all(&self) -> Vec<Vec<f32>> {
        match (self.model.condition, self.schema.number) {
            (None, _) => vec![Vec::new()],
            (Some(Condition::Number), Some(moments)) => {
                let [least, largest] = moments.range;
                let part = |at: usize| at as f64 / (NUMBERS - 1) as f64;
                (0..NUMBERS).map(|at| vec![moments.standardised(least + (largest - least) * part(at))]).collect()
            }
            (Some(_), _) => self.trained().into_iter().map(|class| self.unit(class)).collect(),
        }
    }

    /// The numbers of the classes that the model was trained on; empty where it has no such condition.
    pub fn trained(&self) -> Vec<usize> {
        let Some(Condition::Class(count)) = self.model.condition else { return Vec::new() };
        let named = class_numbers("--classes", &self.classes, &self.schema.classes).unwrap_or_default();
        match named.is_empty() {
            true => (0..count).collect(),
            false => named.into_iter().map(|class| class as usize).collect(),
        }
    }

    fn unit(&self, class: usize) -> Vec<f32> {
        (0..self.model.condition_width()).map(|at| f32::from(u8::from(at == class))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{ImageSize, Moments};

    #[test]
    fn labels_are_found_and_take_turns() {
        let schema = Schema {
            classes: ["ant", "bee", "cow"].map(str::to_owned).to_vec(),
            number: Some(Moments { mean: 10.0, deviation: 2.0, range: [1.0, 19.0] }),
            ..Schema::new(ImageSize::grey(1, 1), true)
        };
        let of = |condition| ModelConfig { condition, ..ModelConfig::vae(1) };
        let [none, class, number] = [None, Some(Condition::Class(3)), Some(Condition::Number)].map(of);
        let asked = |model, label| Conditions { model, schema: &schema, classes: Vec::new() }.of("--label", label);
        assert_eq!(asked(&class, "bee").unwrap(), [0.0, 1.0, 0.0]);
        assert_eq!(asked(&class, "2").unwrap(), [0.0, 0.0, 1.0]);
        assert_eq!(asked(&number, "14").unwrap(), [2.0]);
        for (model, label, why) in
            [(&none, "bee", "trained with --condition"), (&class, "dog", "\"ant\""), (&number, "bee", "from 1 to 19")]
        {
            let error = asked(model, label).unwrap_err();
            assert!(error.exit_code() == 2 && error.to_string().contains(why), "{error}");
        }
        let some = ["cow".to_owned(), "ant".to_owned()];
        let in_turn = |model, classes: &[String]| {
            let all = Conditions { model, schema: &schema, classes: classes.to_vec() };
            (all.in_turn(4), all.columns(8))
        };
        assert_eq!(in_turn(&none, &[]), (vec![], 8));
        assert_eq!(in_turn(&class, &[]), (vec![1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0, 1.0, 0.0, 0.0], 3));
        assert_eq!(in_turn(&class, &some).0, [1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0]);
        assert_eq!(in_turn(&number, &[]), (vec![-4.5, -3.5, -2.5, -1.5], 10));
    }
}
