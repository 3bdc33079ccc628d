//! The pictures of a run folder, drawn anew after each epoch.

use super::generate::{Reconstructor, Sampler};
use super::run::{EpochMetrics, RunFolder};
use crate::backend::Session;
use crate::config::TrainConfig;
use crate::data::Images;
use crate::error::Result;
use crate::models::Vae;
use crate::plan::Options;
use crate::plot::{Curve, grid, latent_map, loss_curve, reconstructions};

/// Test images in `reconstructions.png`.
const RECONSTRUCTIONS: usize = 16;
/// Images in `samples.png`, and in a row of it.
const SAMPLES: usize = 100;
const COLUMNS: usize = 10;
/// Test images that are encoded at a time for `latent.png`.
const ENCODED: usize = 500;

/// The programs that figures need.
#[derive(Debug)]
pub(super) struct Figures {
    sampler: Sampler,
    reconstructor: Reconstructor,
    encoder: Option<Reconstructor>,
}

impl Figures {
    pub(super) fn load(session: &mut dyn Session, vae: &Vae, test: usize, options: Options) -> Result<Figures> {
        let sampler = Sampler::load(session, vae, SAMPLES, options)?;
        let reconstructor = Reconstructor::load(session, vae, RECONSTRUCTIONS.min(test), options)?;
        let encoder = match vae.config().latent {
            2 => Some(Reconstructor::load(session, vae, ENCODED.min(test), options)?),
            _ => None,
        };
        Ok(Figures { sampler, reconstructor, encoder })
    }

    /// Draws `loss.png`, `reconstructions.png`, `samples.png`, and for a latent of two dimensions `latent.png`.
    pub(super) fn draw(
        &self,
        session: &mut dyn Session,
        folder: &RunFolder,
        config: &TrainConfig,
        test: &Images,
        epochs: &[EpochMetrics],
    ) -> Result<()> {
        let curve = |name: &str, value: fn(&EpochMetrics) -> f64| Curve {
            name: name.to_owned(),
            points: epochs.iter().map(|epoch| (epoch.epoch as f64, value(epoch))).collect(),
        };
        let curves = [curve("train", |epoch| epoch.train_loss), curve("test", |epoch| epoch.test_loss)];
        loss_curve(&curves)?.save(&folder.figure("loss.png"))?;

        let (height, width, features) = (test.height, test.width, test.features());
        let shown = |count: usize| -> Vec<f32> {
            test.pixels[..count * features].iter().map(|byte| config.binarise.shown(*byte)).collect()
        };
        let count = RECONSTRUCTIONS.min(test.count());
        let originals = shown(count); // [count, features]
        let (means, _) = self.reconstructor.apply(session, &originals, features)?;
        reconstructions(&originals, &means, height, width, count)?.save(&folder.figure("reconstructions.png"))?;

        let samples = self.sampler.draw(session, SAMPLES, config.seed)?;
        grid(&samples, height, width, COLUMNS)?.save(&folder.figure("samples.png"))?;

        if let Some(encoder) = &self.encoder {
            let (_, latents) = encoder.apply(session, &shown(test.count()), features)?;
            latent_map(latents.as_chunks::<2>().0, &test.labels)?.save(&folder.figure("latent.png"))?;
        }
        Ok(())
    }
}
