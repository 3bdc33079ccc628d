//! `vae-gpu encode`.

use std::path::{Path, PathBuf};

use clap::Args;

use super::say;
use super::source::{Asked, Source};
use crate::data::{Images, npy};
use crate::error::{Error, Result};
use crate::files::{check_target, write_atomic};
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
        write_atomic(
            &file,
            &table(images, &found.checkpoint.header.schema.classes).map_err(Error::io("encoding", &file))?,
        )?;
        say(format_args!("{}", file.display()));
        Ok(())
    }
}

/// A line for each image.
fn table(images: &Images, classes: &[String]) -> std::io::Result<Vec<u8>> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(["example", "file", "label", "class"])?;
    for (at, label) in images.labels.iter().enumerate() {
        let name = label.and_then(|label| classes.get(label as usize)).map_or("", String::as_str);
        let (at, file) = (at.to_string(), images.names.get(at).map_or("", String::as_str));
        let label = label.map_or(String::new(), |label| label.to_string());
        writer.write_record([&at, file, &label, name])?;
    }
    writer.into_inner().map_err(|error| error.into_error())
}
