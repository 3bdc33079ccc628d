//! `vae-gpu traverse`.

use std::path::PathBuf;

use clap::Args;

use super::label::Label;
use super::say;
use super::source::{Asked, Source, check_index};
use crate::backend::Session;
use crate::config::TrainConfig;
use crate::data::Images;
use crate::error::{Error, Result};
use crate::files::check_target;
use crate::models::{Capability, Model};
use crate::plan::Options;
use crate::train::generate::{Decoder, Encoder};
use crate::train::{ModelInput, image_grid};

/// Test images whose codes give a traversal its middle and its unit, where the model has no prior.
const ENCODED: usize = 1000;

/// Show what each latent dimension does, a dimension a row
///
/// All dimensions but one stay at the middle, which is 0, or the code of --image. The one goes from -RANGE to RANGE, in
/// deviations of the prior; where the model has no prior, about the mean of test codes and in their deviations. A model that was
/// trained with --condition decodes --label, or else the label of --image, or its first class or least number.
#[derive(Debug, Args)]
#[command(after_help = "Example: vae-gpu traverse --image 7 --range 2.5 --out dimensions.png")]
pub(super) struct Traverse {
    #[command(flatten)]
    source: Source,
    /// Begin from the code of this test image, from 0 [default: the middle of the latent]
    #[arg(long, value_name = "N")]
    image: Option<usize>,
    /// Images a row, 2 to 100
    #[arg(long, value_name = "N", default_value_t = 11, value_parser = clap::value_parser!(u32).range(2..=100))]
    steps: u32,
    /// How far to go to either side, in deviations
    #[arg(long, value_name = "X", default_value_t = 3.0)]
    range: f64,
    #[command(flatten)]
    label: Label,
    #[command(flatten)]
    asked: Asked,
    /// The picture [default: RUN/figures/traversals.png]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

impl Traverse {
    pub(super) fn run(self) -> Result<()> {
        if !(self.range.is_finite() && self.range > 0.0) {
            return Err(Error::Usage(format!("--range is {}: it must be a number above 0", self.range)));
        }
        let found = self.source.find()?;
        let out = self.out.clone().unwrap_or_else(|| found.figure("traversals.png"));
        check_target(&out)?;
        let (header, steps) = (&found.checkpoint.header, self.steps as usize);
        let latent = header.model.latent;
        let (selected, mut session) = self.source.session(&found)?;
        found.say(&selected);
        let (mut center, mut unit) = (vec![0.0; latent], vec![1.0; latent]);
        let mut middle = center.clone();
        let all = found.conditions()?;
        let mut condition = self.label.condition(&all)?;
        if self.image.is_some() || !found.model.has(Capability::Prior) {
            let (config, examples) = found.examples(&self.asked)?;
            found.say_examples(&examples, true)?;
            if !found.model.has(Capability::Prior) {
                (center, unit) = code_moments(&mut *session, &found.model, &config, &examples.images)?;
                middle.clone_from(&center);
            }
            if let Some(image) = self.image {
                check_index("--image", image, examples.images.count())?;
                let encoder = Encoder::load(&mut *session, &found.model, 1, Options::default())?;
                let shown = examples.images.shown(image..image + 1, config.binarise)?;
                let own = examples.images.conditions(image..image + 1);
                middle = encoder.apply(&mut *session, &shown, &own)?.means;
                condition = condition.or(Some(own));
                if !found.model.has(Capability::Prior) {
                    center.clone_from(&middle);
                }
            }
        }
        let latents = traversed(&middle, &center, &unit, latent, steps, self.range);
        let decoder = Decoder::load(&mut *session, &found.model, steps, Options::default())?;
        let condition = condition.unwrap_or_else(|| all.in_turn(1));
        let images = decoder.apply(&mut *session, &latents, &condition.repeat(latents.len() / latent))?; // [latent * steps, features]
        image_grid(header.model.output, &images, header.size(), steps)?.save(&out)?;
        say(format_args!("{}", out.display()));
        Ok(())
    }
}

/// Mean and deviation of each dimension over the codes of test images: what a model without a prior has in its place.
pub(super) fn code_moments(
    session: &mut dyn Session,
    model: &Model,
    config: &TrainConfig,
    test: &Images,
) -> Result<(Vec<f32>, Vec<f32>)> {
    let shown = test.shown(0..ENCODED.min(test.count()), config.binarise)?;
    let encoder = Encoder::load(session, model, 1, Options::default())?;
    let codes = encoder.apply(session, &shown, &test.conditions(0..ENCODED.min(test.count())))?;
    Ok(moments(&codes.means, model.config().latent))
}

/// Latents that go through each of the first `dimensions`, `[dimensions * steps, latent]`: from an image's code, or from
/// the middle, the dimension alone is replaced by its place on the scale, `range` units to either side of its center.
pub(super) fn traversed(
    middle: &[f32],
    center: &[f32],
    unit: &[f32],
    dimensions: usize,
    steps: usize,
    range: f64,
) -> Vec<f32> {
    let mut latents = Vec::with_capacity(dimensions * steps * middle.len());
    for dimension in 0..dimensions {
        for step in 0..steps {
            let t = 2.0 * step as f64 / (steps - 1) as f64 - 1.0;
            let at = latents.len() + dimension;
            latents.extend_from_slice(middle);
            latents[at] = center[dimension] + (range * t) as f32 * unit[dimension];
        }
    }
    latents
}

/// Mean and deviation of each column of `[count, latent]`.
fn moments(codes: &[f32], latent: usize) -> (Vec<f32>, Vec<f32>) {
    let n = (codes.len() / latent) as f64;
    let of = |e: usize| codes.iter().skip(e).step_by(latent).map(|value| f64::from(*value));
    let mean = |e: usize| of(e).sum::<f64>() / n;
    let deviation = |e: usize| (of(e).map(|value| (value - mean(e)).powi(2)).sum::<f64>() / n).sqrt();
    ((0..latent).map(|e| mean(e) as f32).collect(), (0..latent).map(|e| deviation(e) as f32).collect())
}
