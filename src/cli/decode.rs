//! `vae-gpu decode`.

use std::path::PathBuf;

use clap::Args;

use super::label::Label;
use super::source::{Source, Which};
use super::{say, square};
use crate::data::npy;
use crate::error::{Error, Result};
use crate::files::check_target;
use crate::plan::Options;
use crate::train::generate::Decoder;
use crate::train::image_grid;

/// Latents that are decoded at a time.
const ROWS: usize = 256;
/// Images a picture may have.
const SHOWN: usize = 10_000;

/// Show the images of given codes
#[derive(Debug, Args)]
#[command(after_help = "Example: vae-gpu decode runs/NAME codes.npy --out decoded.png")]
pub(super) struct Decode {
    /// The run folder
    run: PathBuf,
    #[command(flatten)]
    which: Which,
    /// The codes: an array [N, latent] of f32 or f64
    #[arg(value_name = "CODES")]
    codes: PathBuf,
    #[command(flatten)]
    label: Label,
    /// The picture, of the first 10000 [default: CODES.png]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Write the images as an array [N, values] of f32 too, on the data's own scale
    #[arg(long, value_name = "FILE")]
    npy: Option<PathBuf>,
}

impl Decode {
    pub(super) fn run(self) -> Result<()> {
        let source = Source::new(self.run, self.which);
        let found = source.find()?;
        let out = self.out.clone().unwrap_or_else(|| self.codes.with_extension("png"));
        [Some(&out), self.npy.as_ref()].into_iter().flatten().try_for_each(|file| check_target(file))?;
        let (count, width, codes) = npy::read_f32(&self.codes)?;
        let header = &found.checkpoint.header;
        if width != header.model.latent || count == 0 {
            let latent = header.model.latent;
            let reason = format!("it is [{count}, {width}]: the model's codes are [1 or more, {latent}]");
            return Err(Error::format(&self.codes, reason));
        }
        if header.model.condition.is_some() && self.label.label.is_none() {
            return Err(Error::Usage(
                "the model was trained with --condition: --label must say what to decode".to_owned(),
            ));
        }
        let conditions = self.label.conditions(&found.conditions()?, count)?;
        let (selected, mut session) = source.session(&found)?;
        found.say(&selected);
        let decoder = Decoder::load(&mut *session, &found.model, ROWS.min(count), Options::default())?;
        let images = decoder.apply(&mut *session, &codes, &conditions)?; // [count, features]
        let shown = count.min(SHOWN);
        let columns = square(shown);
        let picture = &images[..shown * header.model.features()];
        image_grid(header.model.output, picture, header.size(), columns)?.save(&out)?;
        say(format_args!("{}", out.display()));
        if let Some(file) = &self.npy {
            npy::write_f32(file, count, header.model.features(), &header.unscaled(images))?;
            say(format_args!("{}", file.display()));
        }
        Ok(())
    }
}
