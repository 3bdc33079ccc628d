//! `vae-gpu reconstruct`.

use std::path::PathBuf;

use clap::Args;

use super::say;
use super::source::Source;
use crate::data::{DataSource, npy};
use crate::error::{Error, Result};
use crate::files::check_target;
use crate::plan::Options;
use crate::plot::reconstructions;
use crate::train::generate::Reconstructor;

/// Images that are decoded at a time.
const ROWS: usize = 256;
/// Images in a row of the picture.
const COLUMNS: usize = 16;

/// Show test images above what a trained model makes of them
///
/// Each image is encoded to its posterior mean and decoded from it.
#[derive(Debug, Args)]
#[command(after_help = "Example: vae-gpu reconstruct -n 32 --out pairs.png")]
pub(super) struct Reconstruct {
    #[command(flatten)]
    source: Source,
    /// Images: the first N of the test set, 1 to 10000
    #[arg(short = 'n', long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    count: u32,
    /// Other data, as for train [default: the data of the run]
    #[arg(long, value_name = "DATA")]
    data: Option<DataSource>,
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
        let out = self.out.clone().unwrap_or_else(|| found.figure(&format!("reconstructions-{}.png", self.count)));
        [Some(&out), self.npy.as_ref()].into_iter().flatten().try_for_each(|file| check_target(file))?;
        let (config, data) = found.data(self.data.as_ref())?;
        let (header, test, count) = (&found.checkpoint.header, &data.test, self.count as usize);
        if count > test.count() {
            let (name, held) = (&data.name, test.count());
            return Err(Error::Usage(format!(
                "--count is {count}: {name} has {held} test images, it must be at most that"
            )));
        }
        let (selected, mut session) = self.source.session(&found)?;
        let reconstructor = Reconstructor::load(&mut *session, &found.model, ROWS.min(count), Options::default())?;
        found.say(&selected);
        let originals = test.shown(0..count, config.binarise); // [count, features]
        let means = reconstructor.apply(&mut *session, &originals)?;
        reconstructions(&originals, &means, header.size(), COLUMNS.min(count))?.save(&out)?;
        say(format_args!("{}", out.display()));
        if let Some(file) = &self.npy {
            npy::write_f32(file, count, test.features(), &header.unscaled(means))?;
            say(format_args!("{}", file.display()));
        }
        Ok(())
    }
}
