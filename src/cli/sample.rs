//! `vae-gpu sample`.

use std::path::PathBuf;

use clap::Args;

use super::label::{Label, file_word};
use super::source::Source;
use super::{say, square};
use crate::backend::Session;
use crate::data::npy;
use crate::error::Result;
use crate::files::check_target;
use crate::plan::Options;
use crate::train::generate::{LatentSource, Sampler};
use crate::train::image_grid;

/// Images that are decoded at a time.
const ROWS: usize = 256;

/// Draw images from a trained model
///
/// Latents are drawn from the model's prior, or from what is fitted to the codes of the training set and kept beside the checkpoint:
/// a density (Ghosh et al. 2020), or a second VAE, which takes a minute or so to train (Dai and Wipf 2019). `vae-gpu eval` tells which of them lies nearest to the codes. A model that was trained with
/// --condition gives images of each class in turn, or of --label.
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
    /// What latents are drawn from [default: the prior, or the mixture where the model has none]
    #[arg(long, value_name = "SOURCE", value_enum)]
    from: Option<LatentSource>,
    #[command(flatten)]
    label: Label,
    /// The picture [default: RUN/figures/samples-seedN.png, with the label, and the name of a source
    /// that is not the default]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Write the images as an array [N, values] of f32 too, on the data's own scale
    #[arg(long, value_name = "FILE")]
    npy: Option<PathBuf>,
}

impl Sample {
    pub(super) fn run(self) -> Result<()> {
        let found = self.source.find()?;
        let default = LatentSource::of(&found.model);
        let from = self.from.unwrap_or(default);
        from.check(&found.model)?;
        let mut of = if from == default { String::new() } else { format!("{}-", from.name()) };
        if let Some(label) = &self.label.label {
            of += &format!("{}-", file_word(label));
        }
        let count = self.count as usize;
        let all = found.conditions()?;
        let conditions = self.label.conditions(&all, count)?;
        let out = self.out.clone().unwrap_or_else(|| found.figure(&format!("samples-{of}seed{}.png", self.seed)));
        [Some(&out), self.npy.as_ref()].into_iter().flatten().try_for_each(|file| check_target(file))?;
        let (selected, mut session) = self.source.session(&found)?;
        found.say(&selected);
        let sampler = Sampler::load(&mut *session, &found.model, ROWS.min(count), from, Options::default())?;
        let fitted = |session: &mut dyn Session, from| found.fitted(session, from, true);
        let images = sampler.draw(&mut *session, count, &conditions, self.seed, fitted)?; // [count, features]
        let header = &found.checkpoint.header;
        let columns = self.label.columns(&all, square(count));
        image_grid(header.model.output, &images, header.size(), columns)?.save(&out)?;
        say(format_args!("{}", out.display()));
        if let Some(file) = &self.npy {
            npy::write_f32(file, count, header.model.features(), &header.unscaled(images))?;
            say(format_args!("{}", file.display()));
        }
        Ok(())
    }
}
