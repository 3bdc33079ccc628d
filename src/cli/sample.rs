//! `vae-gpu sample`.

use std::path::PathBuf;

use clap::Args;

use super::source::{Found, Source};
use super::{say, square};
use crate::backend::Session;
use crate::data::npy;
use crate::density::{Density, DensityKind};
use crate::error::{Error, Result};
use crate::files::check_target;
use crate::plan::Options;
use crate::train::generate::Sampler;
use crate::train::{density, image_grid};

/// Images that are decoded at a time.
const ROWS: usize = 256;

/// Draw images from a trained model
///
/// Latents are drawn from the model's prior N(0, I); of a model without one from a density fitted to the training codes
/// (Ghosh et al. 2020).
#[derive(Debug, Args)]
#[command(after_help = "Example: vae-gpu sample -n 64 --seed 7 --out digits.png")]
pub(super) struct Sample {
    #[command(flatten)]
    source: Source,
    /// Images to draw, 1 to 10000
    #[arg(short = 'n', long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    count: u32,
    /// Seed of the draws, below 2^32
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u32,
    /// What latents are drawn from, for a model without a prior
    #[arg(long, value_enum, default_value_t = DensityKind::Mixture)]
    density: DensityKind,
    /// The picture [default: RUN/figures/samples-seedN.png]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Write the images as an array [N, values] of f32 too, on the data's own scale
    #[arg(long, value_name = "FILE")]
    npy: Option<PathBuf>,
}

impl Sample {
    pub(super) fn run(self) -> Result<()> {
        let found = self.source.find()?;
        let out = self.out.clone().unwrap_or_else(|| found.figure(&format!("samples-seed{}.png", self.seed)));
        [Some(&out), self.npy.as_ref()].into_iter().flatten().try_for_each(|file| check_target(file))?;
        let (selected, mut session) = self.source.session(&found)?;
        found.say(&selected);
        let count = self.count as usize;
        let sampler = Sampler::load(&mut *session, &found.model, ROWS.min(count), Options::default())?;
        let fitted = |session: &mut dyn Session| self.fitted(&found, session);
        let images = sampler.draw(&mut *session, count, self.seed, fitted)?; // [count, features]
        let header = &found.checkpoint.header;
        let columns = square(count);
        image_grid(header.model.output, &images, header.size(), columns)?.save(&out)?;
        say(format_args!("{}", out.display()));
        if let Some(file) = &self.npy {
            npy::write_f32(file, count, header.model.features(), &header.unscaled(images))?;
            say(format_args!("{}", file.display()));
        }
        Ok(())
    }

    /// The density beside the checkpoint, or one fitted now and kept there.
    fn fitted(&self, found: &Found, session: &mut dyn Session) -> Result<Density> {
        let (path, identity) = (density::path(&found.path, self.density), found.checkpoint.identity());
        let latent = found.checkpoint.header.model.latent;
        if path.exists()
            && let Some(density) = Density::load(&path, &identity)?
        {
            if density.latent() != latent {
                let reason = format!("its codes have {} values, the model's {latent}: must be equal", density.latent());
                return Err(Error::format(&path, reason));
            }
            return Ok(density);
        }
        say(format_args!("fitting the density of the training codes: {}", path.display()));
        let (config, data) = found.data(None)?;
        let codes = density::codes(session, &found.model, &config, &data.train, Options::default())?;
        let density = Density::fit(self.density, &codes, latent, config.seed)?;
        density.save(&path, &identity)?;
        Ok(density)
    }
}
