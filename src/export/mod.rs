//! Trained models in the formats of other tools: networks as ONNX, weights as safetensors or NumPy arrays; and as pages for a browser.
//!
//! What trains a model stays out of files for other tools: a checkpoint has that.

mod npz;
mod onnx;
pub mod page;
mod proto;
pub mod web;

pub use npz::npz;
pub use onnx::onnx;

use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::files::write_atomic;
use crate::models::Model;
use crate::train::Checkpoint;
use crate::train::tensor::{self, Tensor};

/// A format of other tools.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// The networks as ONNX models: decoder.onnx, and where the model has them encoder.onnx and discriminator.onnx.
    Onnx,
    /// The weights under PyTorch's names, as one safetensors file.
    Safetensors,
    /// The weights under PyTorch's names, as one NumPy archive.
    Npz,
}

impl Format {
    /// Writes the model to `out`, a folder (made where it is missing) for ONNX and a file for the others; returns what
    /// was written. Everything is ready before the first file is begun.
    ///
    /// # Errors
    /// Those of [`onnx()`], [`safetensors()`] and [`npz()`], and [`Error::Io`] where a file can't be written.
    pub fn write(self, checkpoint: &Checkpoint, out: &Path) -> Result<Vec<PathBuf>> {
        let files: Vec<(PathBuf, Vec<u8>)> = match self {
            Format::Onnx => onnx(checkpoint)?.into_iter().map(|(name, bytes)| (out.join(name), bytes)).collect(),
            Format::Safetensors => vec![(out.to_owned(), safetensors(checkpoint)?)],
            Format::Npz => vec![(out.to_owned(), npz(checkpoint)?)],
        };
        if self == Format::Onnx {
            std::fs::create_dir_all(out).map_err(Error::io("making folder", out))?;
        }
        for (path, bytes) in &files {
            write_atomic(path, bytes)?;
        }
        Ok(files.into_iter().map(|(path, _)| path).collect())
    }
}

/// The weights as a safetensors file, under the names and in the shapes that PyTorch's `load_state_dict` takes.
///
/// # Errors
/// Those of [`Model::new`]; [`Error::Usage`] where the checkpoint's parameters are not those of its model.
pub fn safetensors(checkpoint: &Checkpoint) -> Result<Vec<u8>> {
    // What Hugging Face's readers ask for, whose conventions names and shapes follow.
    let format = ("format", "pt".to_owned());
    tensor::safetensors(&Tensor::all(model(checkpoint)?.layout(), "", &checkpoint.parameters), format)
        .map_err(|error| Error::Usage(format!("weights can't be made a safetensors file: {error}")))
}

/// The checkpoint's model, whose layout its parameters have.
fn model(checkpoint: &Checkpoint) -> Result<Model> {
    let model = Model::new(checkpoint.header.model.clone())?;
    let (found, wanted) = (checkpoint.parameters.len(), model.layout().len());
    match found == wanted {
        true => Ok(model),
        false => {
            Err(Error::Usage(format!("the checkpoint has {found} parameters, padding counted: its model {wanted}")))
        }
    }
}
