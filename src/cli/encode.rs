//! `vae-gpu encode`.

use std::path::{Path, PathBuf};

use clap::Args;

use super::examples::write_examples;
use super::say;
use super::source::{Asked, Source};
use crate::data::npy;
use crate::error::Result;
use crate::files::check_target;
use crate::plan::Options;
use crate::train::generate::Encoder;

/// Images that are encoded at a time.
const ROWS: usize = 500;

/// Write the codes of images as arrays
///
/// FILE.npy gets the posterior means (or the codes, where they have no noise), [images, latent] of f32;
/// FILE.deviation.npy the posterior deviations of the same shape; FILE.labels.npy the class numbers, [images, 1] of f32, NaN
/// where there is none; FILE.examples.csv a line for each image: its number, its file, its class by number and name.
#[derive(Debug, Args)]
#[command(after_help = "Example: vae-gpu encode --set train --out codes.npy")]
pub(super) struct Encode {
    #[command(flatten)]
    source: Source,
    #[command(flatten)]
    asked: Asked,
    /// The array of means; the others stand beside it
    #[arg(long, value_name = "FILE", default_value = "codes.npy")]
    out: PathBuf,
}

impl Encode {
    pub(super) fn run(self) -> Result<()> {
        let found = self.source.find()?;
        check_target(&self.out)?;
        let (config, examples) = found.examples(&self.asked)?;
        let images = &examples.images;
        let (count, latent) = (images.count(), found.checkpoint.header.model.latent);
        let (selected, mut session) = self.source.session(&found)?;
        let encoder = Encoder::load(&mut *session, &found.model, ROWS.min(count), Options::default())?;
        found.say(&selected);
        found.say_examples(&examples, true)?;
        let codes = encoder.apply_to(&mut *session, images, config.binarise)?;
        let write = |file: &Path, width: usize, values: &[f32]| -> Result<()> {
            npy::write_f32(file, count, width, values)?;
            say(format_args!("{}", file.display()));
            Ok(())
        };
        write(&self.out, latent, &codes.means)?;
        if let Some(deviations) = &codes.deviations {
            write(&self.out.with_extension("deviation.npy"), latent, deviations)?;
        }
        let labels: Vec<f32> = images.labels.iter().map(|label| label.map_or(f32::NAN, |label| label as f32)).collect();
        write(&self.out.with_extension("labels.npy"), 1, &labels)?;
        let file = self.out.with_extension("examples.csv");
        write_examples(&file, &examples, [], |_| [])?;
        say(format_args!("{}", file.display()));
        Ok(())
    }
}
