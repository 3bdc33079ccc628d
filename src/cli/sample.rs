//! `vae-gpu sample`.

use std::path::PathBuf;

use clap::Args;

use super::source::Source;
use super::{check_folder, device_line, say};
use crate::data::npy;
use crate::error::Result;
use crate::plan::Options;
use crate::plot::grid;
use crate::train::generate::Sampler;

/// Images that are decoded at a time.
const ROWS: usize = 256;

/// Draw images from a trained model's prior
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
    /// The picture [default: RUN/figures/samples-seedN.png]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Write the images as an array [N, pixels] of f32 in [0, 1] too
    #[arg(long, value_name = "FILE")]
    npy: Option<PathBuf>,
}

impl Sample {
    pub(super) fn run(self) -> Result<()> {
        let found = self.source.find()?;
        let out = self.out.clone().unwrap_or_else(|| found.figure(&format!("samples-seed{}.png", self.seed)));
        [Some(&out), self.npy.as_ref()].into_iter().flatten().try_for_each(|file| check_folder(file))?;
        let (selected, mut session) = self.source.session(&found)?;
        say(format_args!("{}", device_line(&selected)));
        say(format_args!("checkpoint: {}, epoch {}", found.path.display(), found.checkpoint.header.epoch));
        let count = self.count as usize;
        let sampler = Sampler::load(&mut *session, &found.vae, ROWS.min(count), Options::default())?;
        let images = sampler.draw(&mut *session, count, self.seed)?; // [count, features]
        let header = &found.checkpoint.header;
        let columns = (1..).find(|columns| columns * columns >= count).unwrap_or(count);
        grid(&images, header.height, header.width, columns)?.save(&out)?;
        say(format_args!("{}", out.display()));
        if let Some(file) = &self.npy {
            npy::write_f32(file, count, header.model.features, &images)?;
            say(format_args!("{}", file.display()));
        }
        Ok(())
    }
}
