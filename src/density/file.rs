//! Densities as safetensors files: `weights` `[k]`, `means` `[k, latent]`, `factors` `[k, latent, latent]`, all F64, and
//! the metadata `vae-gpu-density`, which says whose codes they are of.

use std::collections::HashMap;
use std::path::Path;

use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};
use serde::{Deserialize, Serialize};

use super::Density;
use crate::error::{Error, Result, shown_reason};
use crate::files::write_atomic;

const FORMAT: &str = "vae-gpu-density/1";
const KEY: &str = "vae-gpu-density";

#[derive(Debug, Serialize, Deserialize)]
struct Header {
    format: String,
    of: String,
}

impl Density {
    /// Writes the file in one step. `of` says which model's codes it was fitted to.
    ///
    /// # Errors
    /// [`Error::Io`] where it can't be written.
    pub fn save(&self, path: &Path, of: &str) -> Result<()> {
        let bad = |reason: String| Error::format(path, format!("it can't be made: {reason}"));
        let (k, latent) = (self.components(), self.latent);
        let named = [
            ("factors", vec![k, latent, latent], &self.factors),
            ("means", vec![k, latent], &self.means),
            ("weights", vec![k], &self.weights),
        ];
        let bytes = named.map(|(name, shape, values)| {
            (name, shape, values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>())
        });
        let views: Result<Vec<(&str, TensorView<'_>)>, safetensors::SafeTensorError> = bytes
            .iter()
            .map(|(name, shape, bytes)| Ok((*name, TensorView::new(Dtype::F64, shape.clone(), bytes)?)))
            .collect();
        let header = Header { format: FORMAT.to_owned(), of: of.to_owned() };
        let header = serde_json::to_string(&header).map_err(|error| bad(error.to_string()))?;
        let metadata = HashMap::from([(KEY.to_owned(), header)]);
        let views = views.map_err(|error| bad(error.to_string()))?;
        write_atomic(path, &safetensors::serialize(views, Some(metadata)).map_err(|error| bad(error.to_string()))?)
    }

    /// Reads a file; none where it is of other codes than `of`.
    ///
    /// # Errors
    /// [`Error::Io`] where it can't be read, [`Error::Format`] where it is no such file or does not fit itself.
    pub fn load(path: &Path, of: &str) -> Result<Option<Density>> {
        let bytes = std::fs::read(path).map_err(Error::io("reading", path))?;
        read(&bytes, of).map_err(|reason| Error::format(path, shown_reason(&reason)))
    }
}

fn read(bytes: &[u8], of: &str) -> Result<Option<Density>, String> {
    let broken = |error: safetensors::SafeTensorError| format!("it is no whole safetensors file: {error}");
    let (_, metadata) = SafeTensors::read_metadata(bytes).map_err(broken)?;
    let tensors = SafeTensors::deserialize(bytes).map_err(broken)?;
    let text = metadata.metadata().as_ref().and_then(|metadata| metadata.get(KEY));
    let text = text.ok_or_else(|| format!("it has no metadata `{KEY}`: it must be a density of this program"))?;
    let header: Header = serde_json::from_str(text).map_err(|error| format!("metadata `{KEY}`: {error}"))?;
    if header.format != FORMAT {
        return Err(format!("its format is {:?}, this program reads {FORMAT:?}", header.format));
    }
    if header.of != of {
        return Ok(None);
    }
    let tensor = |name: &str| -> Result<(Vec<usize>, Vec<f64>), String> {
        let tensor = tensors.tensor(name).map_err(|_| format!("tensor {name} is missing"))?;
        if tensor.dtype() != Dtype::F64 {
            return Err(format!("tensor {name} is {:?}, it must be F64", tensor.dtype()));
        }
        let values: Vec<f64> =
            tensor.data().as_chunks::<8>().0.iter().map(|bytes| f64::from_le_bytes(*bytes)).collect();
        match values.iter().position(|value| !value.is_finite()) {
            Some(at) => Err(format!("tensor {name}: value {at} is {}, it must be finite", values[at])),
            None => Ok((tensor.shape().to_vec(), values)),
        }
    };
    let (shape, weights) = tensor("weights")?;
    let (means_shape, means) = tensor("means")?;
    let (factors_shape, factors) = tensor("factors")?;
    let latent = means_shape.get(1).copied().unwrap_or(0);
    let k = weights.len();
    if k == 0 || latent == 0 || shape != [k] || means_shape != [k, latent] || factors_shape != [k, latent, latent] {
        return Err(format!("weights {shape:?}, means {means_shape:?} and factors {factors_shape:?} do not fit"));
    }
    if weights.iter().any(|weight| *weight < 0.0) {
        return Err("a weight is negative".to_owned());
    }
    Ok(Some(Density { latent, weights, means, factors }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::density::DensityKind;

    fn density() -> Density {
        let codes: Vec<f32> = (0..40).map(|i| (i * 37 % 11) as f32).collect();
        Density::fit(DensityKind::Mixture, &codes, 2, 0).unwrap()
    }

    #[test]
    fn a_file_gives_back_the_density_of_its_model_and_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("best.mixture.safetensors");
        density().save(&path, "step 1").unwrap();
        assert_eq!(Density::load(&path, "step 1").unwrap(), Some(density()));
        assert_eq!(Density::load(&path, "step 2").unwrap(), None);
    }

    #[test]
    fn no_cut_or_flipped_file_panics() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("d.safetensors");
        density().save(&path, "x").unwrap();
        let bytes = std::fs::read(&path).unwrap();
        for len in 0..bytes.len() {
            assert!(read(&bytes[..len], "x").is_err(), "{len} bytes");
        }
        for at in 0..bytes.len() {
            let mut bytes = bytes.clone();
            bytes[at] ^= 0x15;
            if let Ok(Some(density)) = read(&bytes, "x") {
                let _ = density.draw(3, 0); // a flipped value is a value; nothing may panic
            }
        }
    }
}
