//! What images are generated of, by models that were trained with --condition.

use clap::Args;

use crate::error::Result;
use crate::train::condition::Conditions;

/// A label as part of a file's name.
pub(super) fn file_word(label: &str) -> String {
    label.chars().map(|c| if c.is_alphanumeric() || c == '.' || c == '-' { c } else { '_' }).collect()
}

#[derive(Debug, Args)]
pub(super) struct Label {
    /// Generate images of this label, by a model that was trained with --condition: a class by name or number, or a number
    #[arg(long, value_name = "LABEL", allow_negative_numbers = true)]
    pub(super) label: Option<String>,
}

impl Label {
    /// The condition of each of so many images, `[count, width]`: of the label asked for, else all in turn.
    pub(super) fn conditions(&self, all: &Conditions<'_>, count: usize) -> Result<Vec<f32>> {
        Ok(self.condition(all)?.map_or_else(|| all.in_turn(count), |one| one.repeat(count)))
    }

    /// The columns of a picture of them.
    pub(super) fn columns(&self, all: &Conditions<'_>, otherwise: usize) -> usize {
        if self.label.is_some() { otherwise } else { all.columns(otherwise) }
    }

    /// The condition asked for, `[width]`.
    pub(super) fn condition(&self, all: &Conditions<'_>) -> Result<Option<Vec<f32>>> {
        self.label.as_deref().map(|label| all.of("--label", label)).transpose()
    }
}
