//! `vae-gpu encode`.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use super::say;
use super::source::Source;
use crate::data::{DataSource, Images, npy};
use crate::error::Result;
use crate::files::check_target;
use crate::plan::Options;
use crate::train::generate::Encoder;

/// Images that are encoded at a time.
const ROWS: usize = 500;

/// Which images.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Set {
    /// The training images
    Train,
    /// The test images
    Test,
}

/// Write the codes of images as arrays
///
/// FILE.npy gets the posterior means (or the codes, where they have no noise), [images, latent] of f32;
/// FILE.deviation.npy the posterior deviations of the same shape; FILE.labels.npy the labels, [images, 1] of f32.
#[derive(Debug, Args)]
#[command(after_help = "Example: vae-gpu encode --set train --out codes.npy")]
pub(super) struct Encode {
    #[command(flatten)]
    source: Source,
    /// Other data, as for train [default: the data of the run]
    #[arg(long, value_name = "DATA")]
    data: Option<DataSource>,
    /// Which of its images
    #[arg(long, value_enum, default_value_t = Set::Test)]
    set: Set,
    /// The array of means; the others stand beside it
    #[arg(long, value_name = "FILE", default_value = "codes.npy")]
    out: PathBuf,
}

impl Encode {
    pub(super) fn run(self) -> Result<()> {
        let found = self.source.find()?;
        check_target(&self.out)?;
        let (config, data) = found.data(self.data.as_ref())?;
        let images: &Images = match self.set {
            Set::Train => &data.train,
            Set::Test => &data.test,
        };
        let (count, latent) = (images.count(), found.checkpoint.header.model.latent);
        let (selected, mut session) = self.source.session(&found)?;
        let encoder = Encoder::load(&mut *session, &found.model, ROWS.min(count), Options::default())?;
        found.say(&selected);
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
        let labels: Vec<f32> = images.labels.iter().map(|label| f32::from(*label)).collect();
        write(&self.out.with_extension("labels.npy"), 1, &labels)
    }
}
