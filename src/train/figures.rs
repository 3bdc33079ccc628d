//! The pictures of a run: drawn anew while it goes on for its folder and for TensorBoard, and again for a report.

use super::ModelInput;
use super::condition::Conditions;
use super::fitted::Fitted;
use super::generate::{Encoder, LatentSource, Programs, Reconstructor, Sampler};
use super::run::EpochMetrics;
use crate::backend::Session;
use crate::config::TrainConfig;
use crate::data::{Dataset, ImageSize, Images};
use crate::density::{Density, DensityKind};
use crate::error::Result;
use crate::models::{Capability, Model, ModelConfig, Output};
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

/// A picture of a model's output or of its training curves.
#[derive(Clone, Debug, PartialEq)]
pub struct Figure {
    /// `loss`, `reconstructions`, `samples` or `latent`: the file's name without its `.png`.
    pub name: &'static str,
    /// The picture.
    pub picture: Picture,
}

/// A line for each of the terms on each set, over epochs.
///
/// # Errors
/// Those of [`loss_curve`].
pub fn term_curves(terms: &[&str], epochs: &[EpochMetrics]) -> Result<Picture> {
    let curve = |set: &str, term: &str| Curve {
        name: if terms.len() == 1 { set.to_owned() } else { format!("{set} {term}") },
        points: epochs
            .iter()
            .filter_map(|epoch| Some((epoch.epoch as f64, *epoch.losses.get(&format!("{set}_{term}"))?)))
            .collect(),
    };
    let held_out = epochs.first().map_or("test", EpochMetrics::held_out);
    let curves = terms.iter().flat_map(|term| ["train", held_out].map(|set| curve(set, term)));
    loss_curve(&curves.collect::<Vec<_>>())
}

/// The loaded programs that figures are drawn with.
#[derive(Debug)]
pub struct Figures {
    sampler: Sampler,
    reconstructor: Option<Reconstructor>,
    encoder: Option<Encoder>,
    terms: Vec<&'static str>,
    model: ModelConfig,
}

impl Figures {
    /// Loads the programs.
    ///
    /// # Errors
    /// Those of [`crate::plan::compile`] and [`Session::load`].
    pub fn load<P: Programs + ?Sized>(
        programs: &mut P,
        model: &Model,
        data: &Dataset,
        options: Options,
    ) -> Result<Figures> {
        let sampler = Sampler::load(programs, model, SAMPLES, LatentSource::of(model), options)?;
        let rows = |limit: usize| limit.min(data.held_out().count());
        let mut reconstructor = None;
        let mut encoder = None;
        if model.has(Capability::Encoder) {
            reconstructor = Some(Reconstructor::load(programs, model, rows(RECONSTRUCTIONS), options)?);
            if model.config().latent == 2 || !model.has(Capability::Prior) {
                encoder = Some(Encoder::load(programs, model, rows(ENCODED), options)?);
            }
        }
        let curves = if model.has(Capability::RankingLoss) { 1 } else { 2 };
        let terms = model.terms()[..curves].to_vec();
        Ok(Figures { sampler, reconstructor, encoder, terms, model: model.config().clone() })
    }

    /// Draws `loss`, `samples`, and where the model has an encoder `reconstructions`; for a latent of two dimensions
    /// `latent`. Samples of a model without a prior are of a density fitted to some training codes.
    ///
    /// # Errors
    /// Where the device or the drawing library fails.
    pub fn draw(
        &self,
        session: &mut dyn Session,
        config: &TrainConfig,
        data: &Dataset,
        epochs: &[EpochMetrics],
    ) -> Result<Vec<Figure>> {
        let mut figures = vec![Figure { name: "loss", picture: term_curves(&self.terms, epochs)? }];
        let mut drawn = |name, picture| figures.push(Figure { name, picture });

        let test = data.held_out();
        let shown = |images: &Images, count: usize| images.shown(0..count.min(images.count()), config.binarise);
        let conditions = |images: &Images, count: usize| images.conditions(0..count.min(images.count()));
        if let Some(reconstructor) = &self.reconstructor {
            let originals = shown(test, RECONSTRUCTIONS)?; // [count, features]
            let means = reconstructor.apply(session, &originals, &conditions(test, RECONSTRUCTIONS))?;
            let columns = originals.len() / test.features();
            drawn("reconstructions", reconstructions(&originals, &means, test.size, columns)?);
        }

        let density = |session: &mut dyn Session, _| match &self.encoder {
            Some(encoder) => {
                let of = conditions(&data.train, FITTED);
                let codes = encoder.apply(session, &shown(&data.train, FITTED)?, &of)?;
                Density::fit(DensityKind::Gaussian, &codes.means, config.latent, config.seed).map(Fitted::Density)
            }
            None => Err(crate::Error::Usage("a model without a prior must have an encoder".to_owned())),
        };
        let all = Conditions { model: &self.model, schema: &data.schema, classes: config.classes.clone() };
        let samples = self.sampler.draw(session, SAMPLES, &all.in_turn(SAMPLES), config.seed, density)?;
        drawn("samples", image_grid(config.output, &samples, test.size, all.columns(COLUMNS))?);

        if let (Some(encoder), 2) = (&self.encoder, config.latent) {
            let codes = encoder.apply_to(session, test, config.binarise)?;
            drawn("latent", latent_map(codes.means.as_chunks::<2>().0, &test.labels, &data.schema.classes)?);
        }
        Ok(figures)
    }
}
