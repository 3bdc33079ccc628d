//! What training goes on from: parameters and the optimiser's state, as a run begins and in a checkpoint.

use super::checkpoint::Header;
use super::shards::Shards;
use super::{Checkpoint, Trainer, prior, setup};
use crate::config::{TrainConfig, Training};
use crate::data::Images;
use crate::error::{Error, Result};
use crate::graph::PARAMETERS;
use crate::models::Model;

impl Trainer<'_> {
    /// Puts parameters, and what the optimiser keeps of them, where training has them; nothing of these leaves that as it is.
    pub(super) fn begin(&mut self, parameters: &[f32], optimiser: &[Vec<f32>]) -> Result<()> {
        self.session.write_arena(PARAMETERS, parameters)?;
        if let Some(slices) = self.shards.as_mut().and_then(Shards::slices) {
            return slices.begin(&*self.ranks, parameters, optimiser);
        }
        let arenas = self.optimiser.arenas().iter().zip(optimiser);
        arenas.into_iter().try_for_each(|(name, arena)| self.session.write_arena(name, arena))
    }

    /// What the optimiser keeps of all parameters; ranks that divide it gather it.
    pub(super) fn optimiser_state(&mut self) -> Result<Vec<Vec<f32>>> {
        match self.shards.as_mut().and_then(Shards::slices) {
            Some(slices) => slices.optimiser(&*self.ranks),
            None => self.optimiser.arenas().iter().map(|name| self.session.read_arena(name)).collect(),
        }
    }

    /// Where training stands now.
    ///
    /// # Errors
    /// [`Error::Usage`] before the first epoch is done, else what the device fails with.
    pub fn checkpoint(&mut self) -> Result<Checkpoint> {
        let Some(state) = self.state.clone() else {
            return Err(Error::Usage("there is no checkpoint before the first epoch: train one".to_owned()));
        };
        let fingerprint = match self.fingerprint {
            Some(fingerprint) => fingerprint,
            None => *self.fingerprint.insert(self.data.fingerprint()?),
        };
        let (model, train) = (self.model.config().clone(), Training::of(&self.config)?);
        let optimiser = self.optimiser_state()?;
        Ok(Checkpoint {
            header: Header::new(model, train, state, self.data.schema.clone(), fingerprint),
            parameters: self.session.read_arena(PARAMETERS)?,
            optimiser,
        })
    }
}

/// The parameter arena at the first step.
pub(super) fn first_parameters(config: &TrainConfig, model: &Model, images: &Images) -> Result<Vec<f32>> {
    let mut arena = model.layout().initial(config.seed);
    prior::begin(model, images, config.binarise, &mut arena)?;
    if config.bias_from_mean {
        let bias = model.layout().get(model.output_bias());
        let means = setup::means(images, config.binarise)?;
        // A convolution's bias is a channel's, for all pixels.
        let (channels, arena) = (bias.shape.len(), &mut arena[bias.offset..]);
        for (channel, bias) in arena[..channels].iter_mut().enumerate() {
            let of_channel = means.iter().skip(channel).step_by(channels);
            let mean = of_channel.sum::<f64>() * channels as f64 / means.len() as f64;
            *bias = config.output_bias(mean) as f32;
        }
    }
    Ok(arena)
}
