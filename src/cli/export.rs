//! `vae-gpu export`.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use super::{RUNS, say};
use crate::error::{Error, Result};
use crate::export::Format;
use crate::files::check_target;
use crate::train::{Checkpoint, RunFolder, newest_run};

/// Which of a run's checkpoints.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Which {
    /// The epoch with the lowest test loss
    Best,
    /// The last epoch
    Last,
}

/// Write a trained model for other tools: ONNX, safetensors, NumPy
///
/// The networks' axes are named, and a batch has any size; images are [batch, values] on the model's own scale, and ONNX's
/// metadata tell how the data were brought there. Weights have PyTorch's names and shapes. Adam's state stays out.
#[derive(Debug, Args)]
#[command(after_help = "Example: vae-gpu export runs/NAME --format onnx && ls runs/NAME/export")]
pub(super) struct Export {
    /// The run folder [default: the newest in ./runs]
    run: Option<PathBuf>,
    /// What to write
    #[arg(long, value_enum)]
    format: Format,
    /// The folder for onnx, the file for the others [default: RUN/export, RUN/export/weights.FORMAT]
    #[arg(long, value_name = "PATH")]
    out: Option<PathBuf>,
    /// Which checkpoint
    #[arg(long, value_enum, default_value_t = Which::Best)]
    checkpoint: Which,
}

impl Export {
    pub(super) fn run(self) -> Result<()> {
        let run = match &self.run {
            Some(path) => RunFolder::open(path)?,
            None => newest_run(Path::new(RUNS))?,
        };
        let path = run.checkpoint(match self.checkpoint {
            Which::Best => "best",
            Which::Last => "last",
        });
        if let Some(out) = &self.out {
            match self.format {
                Format::Onnx if out.is_dir() => {}
                _ => check_target(out)?,
            }
        }
        let checkpoint = Checkpoint::load(&path)?;
        let out = match (self.out, self.format) {
            (Some(out), _) => out,
            (None, format) => default_out(&run, format)?,
        };
        say(format_args!("checkpoint: {}, epoch {}", path.display(), checkpoint.header.state.epoch));
        for file in self.format.write(&checkpoint, &out)? {
            say(format_args!("{}", file.display()));
        }
        Ok(())
    }
}

fn default_out(run: &RunFolder, format: Format) -> Result<PathBuf> {
    let folder = run.path().join("export");
    std::fs::create_dir_all(&folder).map_err(Error::io("making folder", &folder))?;
    Ok(match format {
        Format::Onnx => folder,
        Format::Safetensors => folder.join("weights.safetensors"),
        Format::Npz => folder.join("weights.npz"),
    })
}
