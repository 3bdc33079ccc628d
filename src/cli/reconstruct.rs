//! `vae-gpu reconstruct`.

use std::path::PathBuf;

use clap::Args;

use super::label::file_word;
use super::source::{Asked, Source};
use super::{say, square};
use crate::data::npy;
use crate::error::{Error, Result};
use crate::files::check_target;
use crate::plan::Options;
use crate::plot::reconstructions;
use crate::train::ModelInput;
use crate::train::generate::{Decoder, Encoder, Reconstructor};

/// Images that are decoded at a time.
const ROWS: usize = 256;
/// Images unless said otherwise, where there are so many.
const COUNT: usize = 16;
/// Images in a row of the picture, at least where there are so many.
const COLUMNS: usize = 16;

/// Show test images above what a trained model makes of them
///
/// Each image is encoded to its posterior mean and decoded from it, with its own label or as another where the model was trained
/// with --condition.
#[derive(Debug, Args)]
#[command(after_help = "Example: vae-gpu reconstruct -n 32 --out pairs.png")]
pub(super) struct Reconstruct {
    #[command(flatten)]
    source: Source,
    /// Images: the first N of the test set, 1 to 10000 [default: 16, or all where there are fewer]
    #[arg(short = 'n', long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    count: Option<u32>,
    #[command(flatten)]
    asked: Asked,
    /// Decode as this label, by a model that was trained with --condition: a class by name or number, or a number
    #[arg(long, value_name = "LABEL", allow_negative_numbers = true)]
    r#as: Option<String>,
    /// The picture [default: RUN/figures/reconstructions-N.png]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Write the reconstructions as an array [N, values] of f32 too, on the data's own scale
    #[arg(long, value_name = "FILE")]
    npy: Option<PathBuf>,
}

impl Reconstruct {
    pub(super) fn run(self) -> Result<()> {
        let found = self.source.find()?;
        [&self.out, &self.npy].into_iter().flatten().try_for_each(|file| check_target(file))?;
        let all = found.conditions()?;
        let asked = self.r#as.as_deref().map(|label| all.of("--as", label)).transpose()?;
        let (config, examples) = found.examples(&self.asked)?;
        let (header, test, name) = (&found.checkpoint.header, &examples.images, &examples.name);
        let held = test.count();
        let count = self.count.map_or(COUNT.min(held), |count| count as usize);
        if count > held {
            return Err(Error::Usage(format!(
                "--count is {count}: {} has {held} test images, it must be at most that",
                name
            )));
        }
        let out = self.out.clone().unwrap_or_else(|| {
            let label = self.r#as.as_deref().map_or(String::new(), |label| format!("{}-", file_word(label)));
            found.figure(&format!("reconstructions-{label}{count}.png"))
        });
        check_target(&out)?;
        let (selected, mut session) = self.source.session(&found)?;
        found.say(&selected);
        found.say_examples(&examples, true)?;
        if self.count.is_none() && count < COUNT {
            say(format_args!("images: all {count} of {name}"));
        }
        let originals = test.shown(0..count, config.binarise)?; // [count, features]
        let conditions = test.conditions(0..count);
        let (rows, options) = (ROWS.min(count), Options::default());
        let means = match asked {
            None => {
                let reconstructor = Reconstructor::load(&mut *session, &found.model, rows, options)?;
                reconstructor.apply(&mut *session, &originals, &conditions)?
            }
            Some(asked) => {
                let encoder = Encoder::load(&mut *session, &found.model, rows, options)?;
                let codes = encoder.apply(&mut *session, &originals, &conditions)?.means;
                let decoder = Decoder::load(&mut *session, &found.model, rows, options)?;
                decoder.apply(&mut *session, &codes, &asked.repeat(count))?
            }
        };
        let columns = square(2 * count).max(COLUMNS).min(count);
        reconstructions(&originals, &means, header.size(), columns)?.save(&out)?;
        say(format_args!("{}", out.display()));
        if let Some(file) = &self.npy {
            npy::write_f32(file, count, test.features(), &header.unscaled(means))?;
            say(format_args!("{}", file.display()));
        }
        Ok(())
    }
}
