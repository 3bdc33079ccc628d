//! `vae-gpu reconstruct`.

use std::path::PathBuf;

use clap::Args;

use super::source::Source;
use super::{check_folder, device_line, say};
use crate::data::npy;
use crate::error::{Error, Result};
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
    /// Folder with the four IDX files [default: the data of the run]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// The picture [default: RUN/figures/reconstructions-N.png]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Write the reconstructions as an array [N, pixels] of f32 in [0, 1] too
    #[arg(long, value_name = "FILE")]
    npy: Option<PathBuf>,
}

impl Reconstruct {
    pub(super) fn run(self) -> Result<()> {
        let found = self.source.find()?;
        let out = self.out.clone().unwrap_or_else(|| found.figure(&format!("reconstructions-{}.png", self.count)));
        [Some(&out), self.npy.as_ref()].into_iter().flatten().try_for_each(|file| check_folder(file))?;
        let mut config = found.config()?;
        config.data = self.data.clone().or(config.data);
        let data = config.dataset()?;
        let (header, test, count) = (&found.checkpoint.header, &data.test, self.count as usize);
        if (test.height, test.width) != (header.height, header.width) {
            return Err(Error::Usage(format!(
                "{} has images of {}x{}, the model of {} has {}x{}: they must be equal",
                data.name,
                test.height,
                test.width,
                found.path.display(),
                header.height,
                header.width
            )));
        }
        if count > test.count() {
            let (name, held) = (&data.name, test.count());
            return Err(Error::Usage(format!(
                "--count is {count}: {name} has {held} test images, it must be at most that"
            )));
        }
        let (selected, mut session) = self.source.session(&found)?;
        say(format_args!("{}", device_line(&selected)));
        say(format_args!("checkpoint: {}, epoch {}", found.path.display(), header.epoch));
        let features = test.features();
        let bytes = &test.pixels[..count * features];
        let originals: Vec<f32> = bytes.iter().map(|byte| header.train.binarise.shown(*byte)).collect();
        let decoder = Reconstructor::load(&mut *session, &found.vae, ROWS.min(count), Options::default())?;
        let (means, _) = decoder.apply(&mut *session, &originals, features)?; // [count, features]
        reconstructions(&originals, &means, header.height, header.width, COLUMNS.min(count))?.save(&out)?;
        say(format_args!("{}", out.display()));
        if let Some(file) = &self.npy {
            npy::write_f32(file, count, features, &means)?;
            say(format_args!("{}", file.display()));
        }
        Ok(())
    }
}
