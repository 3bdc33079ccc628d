//! `vae-gpu eval --generations`: how near samples are to real images.

use std::path::PathBuf;

use clap::Args;

use super::source::{Found, say_to};
use crate::backend::{Device, Session};
use crate::config::TrainConfig;
use crate::data::{Images, npy};
use crate::error::{Error, Result};
use crate::fidelity::Points;
use crate::files::check_target;
use crate::plan::Options;
use crate::plot::reconstructions;
use crate::train::generate::{LatentSource, Sampler};
use crate::train::generations::{Generated, Generations, Space};

/// Samples that are decoded at a time.
const ROWS: usize = 256;
/// Samples of the picture, and of a line of it.
const SHOWN: usize = 64;
const COLUMNS: usize = 16;

#[derive(Debug, Args)]
pub(super) struct Asked {
    /// Draw N samples, 2 to 100000, and measure how near they are to the first N images: Fréchet and kernel distance, precision and
    /// recall, density and coverage, by 64 principal components of the pixels and by the model's codes; and to training images
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(2..=100_000))]
    generations: Option<u32>,
    /// What their latents are drawn from [default: the prior, or the mixture where the model has none]
    #[arg(long, value_name = "SOURCE", value_enum, requires = "generations")]
    from: Option<LatentSource>,
    /// Seed of their draws, below 2^32
    #[arg(long, value_name = "N", default_value_t = 0, requires = "generations")]
    seed: u32,
    /// Features of real examples, [examples, features] of floats, by another program: an Inception network's, say
    #[arg(long, value_name = "FILE.npy", requires_all = ["generations", "features_generated"])]
    features_real: Option<PathBuf>,
    /// The same program's features of generated examples, as `sample --npy` writes them
    #[arg(long, value_name = "FILE.npy", requires_all = ["generations", "features_real"])]
    features_generated: Option<PathBuf>,
}

impl Asked {
    /// Whether samples are to be measured.
    pub(super) fn any(&self) -> bool {
        self.generations.is_some()
    }

    /// Checks what can be checked before the work.
    pub(super) fn check(&self, found: &Found) -> Result<()> {
        if self.any() {
            self.source(found).check(&found.model)?;
            check_target(&self.picture(found))?;
        }
        Ok(())
    }

    fn source(&self, found: &Found) -> LatentSource {
        self.from.unwrap_or(LatentSource::of(&found.model))
    }

    /// Where samples are shown above their nearest training images.
    fn picture(&self, found: &Found) -> PathBuf {
        found.figure(&format!("nearest-{}-seed{}.png", self.source(found).name(), self.seed))
    }

    /// Draws and measures samples; none where they were not asked for.
    pub(super) fn measure(
        &self,
        found: &Found,
        device: &dyn Device,
        config: &TrainConfig,
        images: &Images,
        to_stdout: bool,
    ) -> Result<Option<Generations>> {
        let Some(count) = self.generations.map(|count| count as usize) else { return Ok(None) };
        let of_real = self.features_real.as_deref().map(features).transpose()?;
        let of_generated = self.features_generated.as_deref().map(features).transpose()?;
        let mut session = found.checkpoint.session(device, &found.model)?;
        let samples = Samples { from: self.source(found), count, seed: self.seed };
        let features = of_real.as_ref().zip(of_generated.as_ref()).map(|(real, generated)| [real, generated]);
        let (_, data) = found.own_data()?;
        let (samples, measured) =
            samples.measure(found, &mut *session, config, [images, &data.train], features, to_stdout)?;
        let (picture, shown) = (self.picture(found), SHOWN.min(count) * images.features());
        reconstructions(&samples[..shown], &measured.nearest, images.size, COLUMNS)?.save(&picture)?;
        say_to(to_stdout, format_args!("samples above their nearest training images: {}", picture.display()));
        Ok(Some(measured))
    }
}

/// Samples that are to be measured.
#[derive(Clone, Copy, Debug)]
pub(super) struct Samples {
    pub(super) from: LatentSource,
    pub(super) count: usize,
    pub(super) seed: u32,
}

impl Samples {
    /// Draws them, `[count, features]`, with the conditions of the real images in turn, and measures them beside these and those that
    /// were trained on.
    pub(super) fn measure(
        self,
        found: &Found,
        session: &mut dyn Session,
        config: &TrainConfig,
        [real, training]: [&Images; 2],
        features: Option<[&Points; 2]>,
        to_stdout: bool,
    ) -> Result<(Vec<f32>, Generations)> {
        let Samples { from, count, seed } = self;
        let sampler = Sampler::load(session, &found.model, ROWS.min(count), from, Options::default())?;
        let width = found.model.config().condition_width();
        let conditions = real.conditions(0..real.count()).into_iter().cycle();
        let conditions: Vec<f32> = conditions.take(count * width).collect();
        let fitted = |session: &mut dyn Session, from| found.fitted(session, from, to_stdout);
        let samples = sampler.draw(session, count, &conditions, seed, fitted)?;
        let generated = Generated { images: &samples, conditions: &conditions, from, seed, real, training, features };
        let measured = generated.measure(session, &found.model, config)?;
        Ok((samples, measured))
    }
}

/// Features of another program.
fn features(file: &std::path::Path) -> Result<Points> {
    let (_, dims, values) = npy::read_f32(file)?;
    Points::new("features", values.into_iter().map(f64::from).collect(), dims)
        .map_err(|error| Error::format(file, error.to_string()))
}

/// Names and values for people.
pub(super) fn rows(measured: &Generations) -> Vec<(String, String)> {
    let Generations { generated, from, seed, nearest_training, nearest_training_of_real, .. } = measured;
    let mut rows = vec![("samples".to_owned(), format!("{generated} from the {}, seed {seed}", from.name()))];
    for Space { space, dims, real, fidelity: of, .. } in &measured.spaces {
        let figures = format!(
            "Fréchet {:.4}, kernel {:.5}, precision {:.3}, recall {:.3}, density {:.3}, coverage {:.3}  ({dims} dimensions, {real} real)",
            of.frechet, of.kernel, of.precision, of.recall, of.density, of.coverage
        );
        rows.push((format!("by {space}"), figures));
    }
    let difference = format!("{nearest_training:.4} a pixel, of real images {nearest_training_of_real:.4}");
    rows.push(("to training images".to_owned(), difference));
    rows
}
