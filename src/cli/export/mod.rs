//! `vae-gpu export`.

mod web;

pub(super) use web::explorer;

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::say;
use super::source::{Found, Source};
use crate::config::PRESETS;
use crate::error::{Error, Result};
use crate::export::Format;
use crate::export::web::Weights;
use crate::files::check_target;
use crate::train::RunFolder;

/// What is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Written {
    /// The networks as ONNX models: decoder.onnx, and where the model has them encoder.onnx and discriminator.onnx
    Onnx,
    /// The weights under PyTorch's names, as one safetensors file
    Safetensors,
    /// The weights under PyTorch's names, as one NumPy archive
    Npz,
    /// A page that explores the model in a browser, on its GPU; with --train one that trains it there
    Web,
}

/// Write a trained model for other tools, ONNX, safetensors, NumPy, or as a page for a browser
///
/// The networks' axes are named, and a batch has any size; images are [batch, values] on the model's own scale, and ONNX's
/// metadata tell how the data were brought there. Weights have PyTorch's names and shapes. Adam's state stays out. A page is one
/// HTML file that asks no network for anything: it has the kernels, the weights and examples, and computes on WebGPU.
#[derive(Debug, Args)]
#[command(after_help = "Example: vae-gpu export runs/NAME --format web --out model.html")]
pub(super) struct Export {
    #[command(flatten)]
    source: Source,
    /// What to write
    #[arg(long, value_enum)]
    format: Written,
    /// The folder for onnx, the file for the others [default: RUN/export, RUN/export/weights.FORMAT, RUN/export/explorer.html]
    #[arg(long, value_name = "PATH")]
    out: Option<PathBuf>,
    /// How the weights travel in a page [default: f32]
    #[arg(long, value_enum, value_name = "DTYPE")]
    weights: Option<Weights>,
    /// Write a page that trains: the run's configuration on its data, or where no run is named that of --preset, or the default,
    /// on MNIST [default file: RUN/export/trainer.html, or trainer.html]
    #[arg(long)]
    train: bool,
    /// A configuration by name, for --train
    #[arg(long, value_name = "NAME", requires = "train", conflicts_with = "run", value_parser = PRESETS.iter().map(|preset| preset.0).collect::<Vec<_>>())]
    preset: Option<String>,
}

impl Export {
    pub(super) fn run(self) -> Result<()> {
        for (option, given) in [("--weights", self.weights.is_some()), ("--train", self.train)] {
            if given && self.format != Written::Web {
                return Err(Error::Usage(format!("{option} is for --format web")));
            }
        }
        if self.train && self.weights.is_some() {
            return Err(Error::Usage(
                "--weights is for a trained model: with --train a page begins at first weights, in f32".to_owned(),
            ));
        }
        if let Some(option) = self.source.of_a_checkpoint().filter(|_| self.train) {
            return Err(Error::Usage(format!(
                "{option} is for a trained model: with --train a page begins at the first step"
            )));
        }
        if let Some(out) = &self.out
            && !(self.format == Written::Onnx && out.is_dir())
        {
            check_target(out)?;
        }
        if self.train {
            return self.trainer();
        }
        let found = self.source.find()?;
        let format = match self.format {
            Written::Onnx => Format::Onnx,
            Written::Safetensors => Format::Safetensors,
            Written::Npz => Format::Npz,
            Written::Web => return self.explorer(&found),
        };
        let out = match (&self.out, format) {
            (Some(out), _) => out.clone(),
            (None, Format::Onnx) => default_folder(&found)?,
            (None, Format::Safetensors) => default_folder(&found)?.join("weights.safetensors"),
            (None, Format::Npz) => default_folder(&found)?.join("weights.npz"),
        };
        say(format_args!("checkpoint: {}, epoch {}", found.path.display(), found.checkpoint.header.state.epoch));
        for file in format.write(&found.checkpoint, &out)? {
            say(format_args!("{}", file.display()));
        }
        Ok(())
    }
}

/// Where the exports of a run go.
fn default_folder(found: &Found) -> Result<PathBuf> {
    match &found.run {
        Some(run) => export_folder(run),
        None => Err(Error::Usage(format!("--checkpoint {}: --out must say where to write", found.path.display()))),
    }
}

/// The folder in a run for its exports; made where it is missing.
fn export_folder(run: &RunFolder) -> Result<PathBuf> {
    let folder = run.path().join("export");
    std::fs::create_dir_all(&folder).map_err(Error::io("making folder", &folder))?;
    Ok(folder)
}
