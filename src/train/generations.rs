//! How near a model's samples are to the images that it was to learn: [`Fidelity`] by the pixels' principal components, by the model's
//! own codes, and by features that another program made of both sets; and whether they are copies of training images.

use serde::Serialize;

use super::ModelInput;
use super::generate::{Encoder, LatentSource};
use crate::backend::Session;
use crate::config::TrainConfig;
use crate::data::Images;
use crate::error::{Error, Result};
use crate::fidelity::{Components, Fidelity, Points, nearest};
use crate::models::{Capability, Model};
use crate::plan::Options;

/// Components of pixels.
const COMPONENTS: usize = 64;
/// Images that are shown or encoded at a time.
const ROWS: usize = 500;
/// Samples whose nearest training images are given.
const SHOWN: usize = 64;

/// Samples and what they are compared with.
#[derive(Clone, Copy, Debug)]
pub struct Generated<'a> {
    /// The samples `[count, features]`, in the data's range.
    pub images: &'a [f32],
    /// Their conditions `[count, width]`; empty where the model has none.
    pub conditions: &'a [f32],
    /// What their latents were drawn from.
    pub from: LatentSource,
    /// Their seed.
    pub seed: u32,
    /// The images that they are compared with: the first as many as there are samples.
    pub real: &'a Images,
    /// Those that they may be copies of.
    pub training: &'a Images,
    /// Features of real and of generated examples, by another program.
    pub features: Option<[&'a Points; 2]>,
}

/// What was compared with what, and what came out.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Generations {
    /// Samples.
    pub generated: usize,
    /// What latents were drawn from.
    pub from: LatentSource,
    /// The seed of the draws.
    pub seed: u32,
    /// The figures by space: `pixels`, `codes`, `features`.
    pub spaces: Vec<Space>,
    /// Mean over samples of the root mean squared difference a pixel from the training image that is nearest by components; far below
    /// that of real images, samples are copies.
    pub nearest_training: f64,
    /// The same of the real images.
    pub nearest_training_of_real: f64,
    /// The first samples' nearest training images, `[n, features]`.
    #[serde(skip)]
    pub nearest: Vec<f32>,
}

/// Figures in one space.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Space {
    /// Its name.
    pub space: &'static str,
    /// Its dimensions: of pixels, their principal components.
    pub dims: usize,
    /// Real examples.
    pub real: usize,
    /// Generated examples.
    pub generated: usize,
    /// The figures.
    #[serde(flatten)]
    pub fidelity: Fidelity,
}

impl Generated<'_> {
    /// Measures them; the session holds the model's parameters.
    ///
    /// # Errors
    /// [`Error::Usage`] for fewer than two samples or real images, [`Error::NonFinite`] where a value is not finite, else what the
    /// device fails with.
    pub fn measure(&self, session: &mut dyn Session, model: &Model, config: &TrainConfig) -> Result<Generations> {
        let Generated { images, conditions, from, seed, real, training, .. } = *self;
        let features = model.config().features();
        let generated = images.len() / features;
        let count = generated.min(real.count());
        if count < 2 {
            return Err(Error::Usage(format!(
                "{generated} samples and {} images: two of each are needed",
                real.count()
            )));
        }
        let shown = real.shown(0..count, config.binarise)?; // [count, features]
        let components = Components::of(&shown, features, COMPONENTS);
        let [of_real, of_generated] =
            [components.project("a real image", &shown)?, components.project("a sample", images)?];
        let mut spaces = vec![Space::of("pixels", &of_real, &of_generated)?];
        if model.has(Capability::Encoder) {
            let encoder = Encoder::load(session, model, ROWS, Options::default())?;
            let mut codes = |what, images: &[f32], conditions: &[f32]| {
                let means = encoder.apply(session, images, conditions)?.means;
                Points::new(what, means.into_iter().map(f64::from).collect(), model.config().latent)
            };
            let of_real = codes("a code", &shown, &real.conditions(0..count))?;
            spaces.push(Space::of("codes", &of_real, &codes("a sample's code", images, conditions)?)?);
        }
        if let Some([real, generated]) = self.features {
            spaces.push(Space::of("features", real, generated)?);
        }
        let known = known(training, config, &components)?;
        let [found, found_of_real] = [&of_generated, &of_real].map(|points| nearest(points, &known));
        let image = |at: usize| training.shown(at..at + 1, config.binarise);
        let distance = |images: &[f32], found: &[usize]| -> Result<f64> {
            let mut sum = 0.0;
            for (image_of, &at) in images.chunks(features).zip(found) {
                let squares = image_of.iter().zip(&image(at)?).map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>();
                sum += (squares / features as f64).sqrt();
            }
            Ok(sum / found.len() as f64)
        };
        let mut copies = Vec::new();
        for &at in found.iter().take(SHOWN) {
            copies.extend(image(at)?);
        }
        Ok(Generations {
            generated,
            from,
            seed,
            spaces,
            nearest_training: distance(images, &found)?,
            nearest_training_of_real: distance(&shown, &found_of_real)?,
            nearest: copies,
        })
    }
}

impl Space {
    fn of(space: &'static str, real: &Points, generated: &Points) -> Result<Space> {
        let fidelity = Fidelity::of(real, generated)?;
        Ok(Space { space, dims: real.dims(), real: real.count(), generated: generated.count(), fidelity })
    }
}

/// The components of all training images, part by part.
fn known(training: &Images, config: &TrainConfig, components: &Components) -> Result<Points> {
    let mut all: Option<Points> = None;
    let last = training.count();
    // No part is of one image alone, which is no set.
    let mut first = 0;
    while first < last {
        let end = if last - first < 2 * ROWS { last } else { first + ROWS };
        let part = components.project("a training image", &training.shown(first..end, config.binarise)?)?;
        match &mut all {
            Some(all) => all.extend(&part),
            None => all = Some(part),
        }
        first = end;
    }
    all.ok_or_else(|| Error::Usage("there are no training images".to_owned()))
}
