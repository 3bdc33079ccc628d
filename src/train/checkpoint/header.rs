//! A checkpoint's header: everything but its tensors, and whether it fits itself.

use serde::{Deserialize, Serialize};

use super::{FORMAT, KEY};
use crate::config::{TrainConfig, Training};
use crate::data::{Dataset, Fingerprint, ImageSize, Schema};
use crate::error::{Error, Result};
use crate::models::{Condition, Model, ModelConfig};
use crate::optim::Optimiser;
use crate::train::metrics::Mean;

/// Steps and epochs that a checkpoint may count: so many that f64 holds each count, and one more is no overflow.
const MOST_STEPS: u64 = 1 << 53;

/// Where a run stands.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct TrainingState {
    /// Steps done.
    pub step: u64,
    /// Epochs done.
    pub epoch: u64,
    /// The lowest test loss so far; the last one's, for a model whose losses do not rank epochs.
    pub best_test_loss: f64,
    /// The epoch that had it; 0 where there was none yet.
    pub best_epoch: u64,
    /// Where an epoch was stopped in its middle: the mean losses of its steps so far.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub within: Option<Mean>,
}

impl TrainingState {
    /// Steps done of the epoch that is not.
    pub(in crate::train) fn steps_within(&self) -> u64 {
        self.within.as_ref().map_or(0, Mean::steps)
    }
}

/// Everything of a checkpoint but its tensors.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Header {
    pub(super) format: String,
    /// The architecture.
    pub model: ModelConfig,
    /// What trains it.
    pub train: Training,
    /// Where its training stands.
    pub state: TrainingState,
    /// What the data are that it was trained on.
    pub schema: Schema,
    /// What tells these data from others.
    pub data: Fingerprint,
    /// Of a model of codes the [identity](super::Checkpoint::identity) of the model whose codes they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of: Option<String>,
}

impl Header {
    /// A header of this crate's format.
    pub fn new(model: ModelConfig, train: Training, state: TrainingState, schema: Schema, data: Fingerprint) -> Header {
        Header { format: FORMAT.to_owned(), model, train, state, schema, data, of: None }
    }

    /// A configuration that trains so, as far as it tells.
    pub fn config(&self) -> TrainConfig {
        self.train.config(&self.model)
    }

    /// What updates the parameters.
    pub fn optimiser(&self) -> Optimiser {
        self.config().optimiser()
    }

    /// What is before parameters' names for each arena: the parameters' own, and those that the optimiser keeps.
    pub(super) fn prefixes(&self) -> Vec<String> {
        let kept = self.optimiser().arenas().iter().map(|name| format!("{name}."));
        std::iter::once(String::new()).chain(kept).collect()
    }

    /// The size of an image.
    pub fn size(&self) -> ImageSize {
        self.schema.size
    }

    /// Checks that these are the data it was trained on.
    ///
    /// # Errors
    /// [`Error::Usage`] that says what they were and what they are.
    pub fn check_data(&self, data: &Dataset) -> Result<()> {
        let (trained, found) = (self.data, data.fingerprint()?);
        if trained == found {
            return Ok(());
        }
        let values = Fingerprint { crc32: found.crc32, ..trained } == found;
        let what =
            if values { "as many examples, but not the same values or not in the same order" } else { "other counts" };
        Err(Error::Usage(format!(
            "{} is not what the run was trained on, {what}: it was {trained}, it is {found}; bring back the data that it had, \
             or name these with --data to go on with them",
            data.name
        )))
    }

    /// Values of images as the model has them, as the data have them.
    pub fn unscaled(&self, mut values: Vec<f32>) -> Vec<f32> {
        if let Some(scaling) = &self.schema.scaling {
            scaling.undo(&mut values);
        }
        values
    }

    /// The model; refuses what would break arithmetic or ask for more memory than the file has.
    pub(super) fn checked_model(&self, file_len: usize) -> Result<Model, String> {
        if self.format != FORMAT {
            return Err(format!("its format is {:?}, this program reads {FORMAT:?}", self.format));
        }
        let Header { model, state, .. } = self;
        self.schema.check(model.image)?;
        let known = match model.condition {
            None => true,
            Some(Condition::Class(classes)) => classes == self.schema.classes.len(),
            Some(Condition::Number) => self.schema.number.is_some(),
        };
        if !known {
            return Err("its model has a condition that its data do not have".to_owned());
        }
        let wrong = |error: Error| format!("metadata `{KEY}`: {error}");
        self.config().validate().map_err(wrong)?;
        if state.step.max(state.epoch) > MOST_STEPS {
            let TrainingState { step, epoch, .. } = state;
            return Err(format!(
                "metadata `{KEY}`: it has step {step} and epoch {epoch}: at most {MOST_STEPS} are counted"
            ));
        }
        // Sizes are at most 2^24 each by now, so that their products do not overflow.
        let model = Model::new(model.clone()).map_err(wrong)?;
        let terms = model.terms().len();
        let within = state.within.as_ref().is_none_or(|mean| mean.is_of(terms)) && state.steps_within() <= state.step;
        if !within || !state.best_test_loss.is_finite() || state.best_epoch > state.epoch {
            return Err(format!("metadata `{KEY}`: its best epoch is not one it had"));
        }
        if model.layout().count().saturating_mul(self.prefixes().len() * size_of::<f32>()) > file_len {
            return Err(format!("it has {file_len} bytes, too few for the architecture it names"));
        }
        Ok(model)
    }
}
