//! The pictures of a run folder, drawn anew after each epoch.

use super::generate::{Encoder, Reconstructor, Sampler};
use super::run::{EpochMetrics, RunFolder};
use crate::backend::Session;
use crate::config::TrainConfig;
use crate::data::{Dataset, ImageSize, Images};
use crate::density::{Density, DensityKind};
use crate::error::Result;
use crate::models::{Model, ModelKind, Output};
use crate::plan::Options;
use crate::plot::{Curve, Picture, grid, grid_scaled, latent_map, loss_curve, reconstructions};

/// Test images in `reconstructions.png`.
const RECONSTRUCTIONS: usize = 16;
/// Images in `samples.png`, and in a row of it.
const SAMPLES: usize = 100;
const COLUMNS: usize = 10;
/// Images that are encoded at a time.
const ENCODED: usize = 500;
/// Training images whose codes the samples' density is fitted to, while training goes on.
const FITTED: usize = 5000;

/// A grid of a model's output: pixels as they are, real-valued data from its smallest value to its largest.
///
/// # Errors
/// Those of [`grid`].
pub fn image_grid(output: Output, images: &[f32], size: ImageSize, columns: usize) -> Result<Picture> {
    match output {
        Output::Sigmoid => grid(images, size, columns),
        Output::Identity => grid_scaled(images, size, columns),
    }
}

/// The programs that figures need.
#[derive(Debug)]
pub(super) struct Figures {
    sampler: Sampler,
    reconstructor: Option<Reconstructor>,
    encoder: Option<Encoder>,
    terms: Vec<&'static str>,
}

impl Figures {
    pub(super) fn load(session: &mut dyn Session, model: &Model, data: &Dataset, options: Options) -> Result<Figures> {
        let (has_prior, autoencodes) = (model.has_prior(), model.config().model != ModelKind::Gan);
        let sampler = Sampler::load(session, model, SAMPLES, options)?;
        let rows = |limit: usize| limit.min(data.test.count());
        let mut reconstructor = None;
        let mut encoder = None;
        if autoencodes {
            reconstructor = Some(Reconstructor::load(session, model, rows(RECONSTRUCTIONS), options)?);
            if model.config().latent == 2 || !has_prior {
                encoder = Some(Encoder::load(session, model, rows(ENCODED), options)?);
            }
        }
        let terms = if model.is_scored() { vec![model.terms()[0]] } else { model.terms()[..2].to_vec() };
        Ok(Figures { sampler, reconstructor, encoder, terms })
    }

    /// Draws `loss.png`, `samples.png`, and where the model has an encoder `reconstructions.png`; for a latent of two
    /// dimensions `latent.png`.
    pub(super) fn draw(
        &self,
        session: &mut dyn Session,
        folder: &RunFolder,
        config: &TrainConfig,
        data: &Dataset,
        epochs: &[EpochMetrics],
    ) -> Result<()> {
        let curve = |set: &str, term: &str| Curve {
            name: if self.terms.len() == 1 { set.to_owned() } else { format!("{set} {term}") },
            points: epochs
                .iter()
                .filter_map(|epoch| Some((epoch.epoch as f64, *epoch.losses.get(&format!("{set}_{term}"))?)))
                .collect(),
        };
        let curves = self.terms.iter().flat_map(|term| ["train", "test"].map(|set| curve(set, term)));
        loss_curve(&curves.collect::<Vec<_>>())?.save(&folder.figure("loss.png"))?;

        let test = &data.test;
        let shown = |images: &Images, count: usize| images.shown(0..count.min(images.count()), config.binarise);
        if let Some(reconstructor) = &self.reconstructor {
            let originals = shown(test, RECONSTRUCTIONS); // [count, features]
            let means = reconstructor.apply(session, &originals)?;
            let columns = originals.len() / test.features();
            let picture = reconstructions(&originals, &means, test.size, columns)?;
            picture.save(&folder.figure("reconstructions.png"))?;
        }

        let density = |session: &mut dyn Session| match &self.encoder {
            Some(encoder) => {
                let codes = encoder.apply(session, &shown(&data.train, FITTED))?;
                Density::fit(DensityKind::Gaussian, &codes.means, config.latent, config.seed)
            }
            None => Err(crate::Error::Usage("a model without a prior must have an encoder".to_owned())),
        };
        let samples = self.sampler.draw(session, SAMPLES, config.seed, density)?;
        image_grid(config.output, &samples, test.size, COLUMNS)?.save(&folder.figure("samples.png"))?;

        if let (Some(encoder), 2) = (&self.encoder, config.latent) {
            let codes = encoder.apply_to(session, test, config.binarise)?;
            latent_map(codes.means.as_chunks::<2>().0, &test.labels)?.save(&folder.figure("latent.png"))?;
        }
        Ok(())
    }
}
