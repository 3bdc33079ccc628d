//! Checkpoints: safetensors files that hold a model and all that training needs to go on.
//!
//! - Weights stand under PyTorch's names and in its layout, f32: `encoder.0.weight` `[out, in]`, `encoder.0.bias` `[out]`.
//! - Adam's moments are `adam.first.<name>` and `adam.second.<name>`, shaped like the weight. A reader who wants only
//!   weights filters names that begin with `adam.`.
//! - The metadata has one key, `vae-gpu`: a JSON object with the format, the architecture, what trains it, step, epoch,
//!   seed, best test loss and image size. One key, because several have no fixed order in the file.
//!
//! Nothing about time, place, device or the run's intended length is stored: equal training gives equal bytes, resumed
//! or not. Files are read as hostile: whatever they hold, the answer is a checkpoint that fits itself, or an error.

use std::collections::HashMap;
use std::path::Path;

use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};
use serde::{Deserialize, Serialize};

use crate::config::{Binarise, TrainConfig};
use crate::error::{Error, Result};
use crate::files::write_atomic;
use crate::graph::{Parameter, ParameterLayout};
use crate::models::{ModelConfig, Vae};

const FORMAT: &str = "vae-gpu/1";
const KEY: &str = "vae-gpu";

/// What trains a model, as far as it decides the numbers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Training {
    /// Images a step.
    pub batch_size: usize,
    /// Adam's learning rate.
    pub lr: f64,
    /// Weight of the KL term.
    pub beta: f64,
    /// Where all randomness comes from.
    pub seed: u32,
    /// What becomes of grey pixels.
    pub binarise: Binarise,
}

impl From<&TrainConfig> for Training {
    fn from(config: &TrainConfig) -> Training {
        let TrainConfig { batch_size, lr, beta, seed, binarise, .. } = *config;
        Training { batch_size, lr, beta, seed, binarise }
    }
}

/// Everything of a checkpoint but its tensors.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Header {
    format: String,
    /// The architecture.
    pub model: ModelConfig,
    /// What trains it.
    pub train: Training,
    /// Steps done.
    pub step: u64,
    /// Epochs done.
    pub epoch: u64,
    /// The lowest test loss so far, in nats an image.
    pub best_test_loss: f64,
    /// Rows of pixels in an image.
    pub height: usize,
    /// Pixels in a row.
    pub width: usize,
}

impl Header {
    /// A header of this crate's format.
    pub fn new(
        model: ModelConfig,
        train: Training,
        (step, epoch): (u64, u64),
        best_test_loss: f64,
        (height, width): (usize, usize),
    ) -> Header {
        Header { format: FORMAT.to_owned(), model, train, step, epoch, best_test_loss, height, width }
    }
}

/// A model, its optimiser's state, and where its training stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Checkpoint {
    /// Everything but the tensors.
    pub header: Header,
    /// The parameter arena, in the layout of [`Vae::layout`].
    pub parameters: Vec<f32>,
    /// Adam's first moments, in the same layout.
    pub first: Vec<f32>,
    /// Adam's second moments, in the same layout.
    pub second: Vec<f32>,
}

impl Checkpoint {
    /// The file's bytes: the same for the same checkpoint.
    ///
    /// # Errors
    /// [`Error::Usage`] where the arenas are not those of the header's model.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let bad = |reason: String| Error::Usage(format!("a checkpoint can't be made: {reason}"));
        let vae = Vae::new(self.header.model.clone())?;
        let mut tensors: Vec<(String, Vec<usize>, Vec<u8>)> = Vec::new();
        for (prefix, arena) in [("", &self.parameters), ("adam.first.", &self.first), ("adam.second.", &self.second)] {
            if arena.len() != vae.layout().len() {
                return Err(bad(format!("an arena has {} values, the model {}", arena.len(), vae.layout().len())));
            }
            for parameter in vae.layout().parameters() {
                let values = &arena[parameter.offset..][..parameter.shape.len()];
                let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
                tensors.push((format!("{prefix}{}", parameter.name), stored_shape(parameter), bytes));
            }
        }
        let views: Result<Vec<(&str, TensorView<'_>)>, _> = tensors
            .iter()
            .map(|(name, shape, bytes)| Ok((name.as_str(), TensorView::new(Dtype::F32, shape.clone(), bytes)?)))
            .collect::<Result<_, safetensors::SafeTensorError>>();
        let header = serde_json::to_string(&self.header).map_err(|error| bad(error.to_string()))?;
        let metadata = HashMap::from([(KEY.to_owned(), header)]);
        let views = views.map_err(|error| bad(error.to_string()))?;
        safetensors::serialize(views, Some(metadata)).map_err(|error| bad(error.to_string()))
    }

    /// Writes the file in one step.
    ///
    /// # Errors
    /// Those of [`Checkpoint::to_bytes`], and [`Error::Io`] where it can't be written.
    pub fn save(&self, path: &Path) -> Result<()> {
        write_atomic(path, &self.to_bytes()?)
    }

    /// Reads a file.
    ///
    /// # Errors
    /// [`Error::Io`] where it can't be read; [`Error::Format`] where it is no safetensors file, not one of this crate's,
    /// or where its tensors are not those of the architecture it names.
    pub fn load(path: &Path) -> Result<Checkpoint> {
        let bytes = std::fs::read(path).map_err(Error::io("reading", path))?;
        Checkpoint::from_bytes(&bytes).map_err(|reason| Error::format(path, reason))
    }

    fn from_bytes(bytes: &[u8]) -> Result<Checkpoint, String> {
        let broken = |error: safetensors::SafeTensorError| format!("it is no whole safetensors file: {error}");
        let (_, metadata) = SafeTensors::read_metadata(bytes).map_err(broken)?;
        let tensors = SafeTensors::deserialize(bytes).map_err(broken)?;
        let text = metadata.metadata().as_ref().and_then(|metadata| metadata.get(KEY));
        let text =
            text.ok_or_else(|| format!("it has no metadata `{KEY}`: it must be a checkpoint of this program"))?;
        let header: Header = serde_json::from_str(text).map_err(|error| format!("metadata `{KEY}`: {error}"))?;
        check_header(&header, bytes.len())?;
        let vae = Vae::new(header.model.clone()).map_err(|error| format!("metadata `{KEY}`: {error}"))?;
        let layout = vae.layout();
        let expected = 3 * layout.parameters().len();
        if tensors.len() != expected {
            let found = tensors.len();
            return Err(format!("it has {found} tensors; its architecture has {expected}, Adam's moments counted"));
        }
        let [parameters, first, second] =
            ["", "adam.first.", "adam.second."].map(|prefix| read_arena(&tensors, layout, prefix));
        Ok(Checkpoint { header, parameters: parameters?, first: first?, second: second? })
    }

    /// Checks that it holds this model.
    ///
    /// # Errors
    /// [`Error::Format`] that names `path` and the first tensor that differs, with both shapes.
    pub fn check_model(&self, path: &Path, vae: &Vae) -> Result<()> {
        let (ours, wanted) = (&self.header.model, vae.config());
        if ours == wanted {
            return Ok(());
        }
        let another =
            |reason: String| Err(Error::format(path, format!("a checkpoint of another architecture: {reason}")));
        let held = Vae::new(ours.clone())?;
        for at in 0..held.layout().parameters().len().max(vae.layout().parameters().len()) {
            let named = |layout: &ParameterLayout| {
                layout.parameters().get(at).map(|parameter| (parameter.name.clone(), stored_shape(parameter)))
            };
            match (named(held.layout()), named(vae.layout())) {
                (held, wanted) if held == wanted => {}
                (Some((name, shape)), Some((asked, wanted))) if name == asked => {
                    return another(format!("{name} is {shape:?}, the run's is {wanted:?}"));
                }
                (Some((name, shape)), _) => return another(format!("{name} {shape:?} is not in the run's")),
                (None, Some((name, shape))) => return another(format!("{name} {shape:?} is missing")),
                (None, None) => {}
            }
        }
        another(format!(
            "activation {:?} and loss {:?}, the run's are {:?} and {:?}",
            ours.activation, ours.loss, wanted.activation, wanted.loss
        ))
    }
}

/// PyTorch's shape: biases have one dimension.
fn stored_shape(parameter: &Parameter) -> Vec<usize> {
    match parameter.name.ends_with(".bias") {
        true => vec![parameter.shape.cols],
        false => vec![parameter.shape.rows, parameter.shape.cols],
    }
}

/// Refuses what would break arithmetic or ask for more memory than the file has.
fn check_header(header: &Header, file_len: usize) -> Result<(), String> {
    if header.format != FORMAT {
        return Err(format!("its format is {:?}, this program reads {FORMAT:?}", header.format));
    }
    let model = &header.model;
    if header.height.checked_mul(header.width) != Some(model.features) {
        let Header { height, width, .. } = header;
        return Err(format!("images of {height}x{width} don't have the {} pixels of its model", model.features));
    }
    let doubled = model.latent.checked_mul(2);
    let encoder = [Some(model.features)].into_iter().chain(model.hidden.iter().copied().map(Some)).chain([doubled]);
    let decoder = [model.latent].into_iter().chain(model.hidden.iter().rev().copied()).chain([model.features]);
    let count = |sizes: Vec<Option<usize>>| {
        sizes.windows(2).try_fold(0usize, |sum, pair| sum.checked_add(pair[0]?.checked_add(1)?.checked_mul(pair[1]?)?))
    };
    let values = count(encoder.collect()).and_then(|sum| sum.checked_add(count(decoder.map(Some).collect())?));
    match values.and_then(|values| values.checked_mul(3 * size_of::<f32>())) {
        Some(needed) if needed <= file_len => {}
        _ => return Err(format!("it has {file_len} bytes, too few for the architecture it names")),
    }
    let train = &header.train;
    let positive = train.lr.is_finite() && train.lr > 0.0 && train.beta.is_finite() && train.beta >= 0.0;
    if !positive || train.batch_size == 0 || !header.best_test_loss.is_finite() {
        return Err("its rate, beta, batch size or best test loss is out of range".to_owned());
    }
    Ok(())
}

fn read_arena(tensors: &SafeTensors<'_>, layout: &ParameterLayout, prefix: &str) -> Result<Vec<f32>, String> {
    let mut arena = vec![0.0; layout.len()];
    for parameter in layout.parameters() {
        let name = format!("{prefix}{}", parameter.name);
        let tensor = tensors.tensor(&name).map_err(|_| format!("tensor {name} is missing"))?;
        let shape = stored_shape(parameter);
        if tensor.dtype() != Dtype::F32 {
            return Err(format!("tensor {name} is {:?}, it must be F32", tensor.dtype()));
        }
        if tensor.shape() != shape {
            return Err(format!("tensor {name} is {:?}, its architecture has {shape:?}", tensor.shape()));
        }
        let values = &mut arena[parameter.offset..][..parameter.shape.len()];
        for (value, bytes) in values.iter_mut().zip(tensor.data().as_chunks::<4>().0) {
            *value = f32::from_le_bytes(*bytes);
        }
    }
    Ok(arena)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::Loss;
    use crate::ops::Activation;

    fn checkpoint() -> Checkpoint {
        let model =
            ModelConfig { features: 6, hidden: vec![5], latent: 2, activation: Activation::Tanh, loss: Loss::Bce };
        let layout = Vae::new(model.clone()).unwrap().layout().clone();
        let arena = |factor: f32| layout.initial(3).iter().map(|value| value * factor).collect();
        let train = Training::from(&TrainConfig::default());
        let header = Header::new(model, train, (938, 2), 106.1 / 3.0, (2, 3));
        Checkpoint { header, parameters: arena(1.0), first: arena(2.0), second: arena(3.0) }
    }

    #[test]
    fn a_file_gives_back_the_checkpoint_to_the_byte() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("last.safetensors");
        let checkpoint = checkpoint();
        checkpoint.save(&path).unwrap();
        let read = Checkpoint::load(&path).unwrap();
        assert_eq!(read, checkpoint);
        assert_eq!(read.to_bytes().unwrap(), std::fs::read(&path).unwrap());
    }

    #[test]
    fn no_cut_or_flipped_file_panics() {
        let bytes = checkpoint().to_bytes().unwrap();
        for len in 0..bytes.len() {
            assert!(Checkpoint::from_bytes(&bytes[..len]).is_err(), "{len} bytes");
        }
        for at in 0..bytes.len() {
            let mut bytes = bytes.clone();
            bytes[at] ^= 0x15;
            let _ = Checkpoint::from_bytes(&bytes); // a flipped value is a value; nothing may panic
        }
    }

    #[test]
    fn what_does_not_fit_itself_is_refused() {
        let refused = |change: fn(&mut Header), part: &str| {
            let mut changed = checkpoint();
            let good = serde_json::to_string(&changed.header).unwrap();
            change(&mut changed.header);
            let bad = serde_json::to_string(&changed.header).unwrap();
            let tensors = checkpoint().to_bytes().unwrap();
            let tensors = SafeTensors::deserialize(&tensors).unwrap();
            assert_ne!(good, bad);
            let metadata = HashMap::from([(KEY.to_owned(), bad)]);
            let bytes = safetensors::serialize(tensors.tensors(), Some(metadata)).unwrap();
            let reason = Checkpoint::from_bytes(&bytes).unwrap_err();
            assert!(reason.contains(part), "{reason}");
        };
        refused(|header| header.format = "other".to_owned(), "format");
        refused(|header| header.width = 4, "2x4");
        refused(|header| header.model.latent = 1, "encoder.2.weight");
        refused(|header| header.model.latent = 0, "latent");
        refused(|header| header.model.hidden = vec![usize::MAX], "too few");
        refused(|header| header.model.hidden = vec![4], "encoder.0.weight");
        refused(|header| header.train.batch_size = 0, "batch size");
    }

    #[test]
    fn another_architecture_is_named_by_tensor_and_shapes() {
        let checkpoint = checkpoint();
        let of = |change: fn(&mut ModelConfig)| {
            let mut model = checkpoint.header.model.clone();
            change(&mut model);
            checkpoint.check_model(Path::new("x.safetensors"), &Vae::new(model).unwrap()).unwrap_err().to_string()
        };
        let error = of(|model| model.hidden = vec![7]);
        assert!(error.contains("encoder.0.weight") && error.contains("[5, 6]") && error.contains("[7, 6]"), "{error}");
        assert!(of(|model| model.hidden = vec![5, 5]).contains("another architecture"));
        assert!(of(|model| model.activation = Activation::Relu).contains("Relu"));
    }
}
