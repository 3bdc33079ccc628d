//! Checkpoints: safetensors files that hold a model and all that training needs to go on.
//!
//! - Weights stand under PyTorch's names and in its layout, f32: `encoder.0.weight` `[out, in]` or `[out, in, kernel, kernel]`,
//!   `encoder.0.bias` `[out]`.
//! - What the optimiser keeps is named after its arena: Adam's moments are `adam.first.<name>` and `adam.second.<name>`, shaped
//!   like the weight. A reader who wants only weights filters names that begin with `adam.`.
//! - The metadata has one key, `vae-gpu`: a JSON object with the format, the architecture, what trains it, step, epoch,
//!   the best epoch, what the data are. One key, because several have no fixed order in the file.
//!
//! Nothing about time, place, device or the run's intended length is stored: equal training gives equal bytes, resumed
//! or not. Files are read as hostile: whatever they hold, the answer is a checkpoint that fits itself, or an error.

mod header;

use std::path::Path;

pub use header::{Header, TrainingState};

use super::tensor::{Tensor, described, read_arena, safetensors};
use crate::backend::{Device, Session};
use crate::error::{Error, Result, shown_reason};
use crate::files::write_atomic;
use crate::graph::{PARAMETERS, ParameterLayout};
use crate::models::{Model, ModelConfig};

const FORMAT: &str = "vae-gpu/5";
const KEY: &str = "vae-gpu";

/// A model, its optimiser's state, and where its training stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Checkpoint {
    /// Everything but the tensors.
    pub header: Header,
    /// The parameter arena, in the layout of [`Model::layout`].
    pub parameters: Vec<f32>,
    /// The optimiser's arenas ([`Optimiser::arenas`]), in the same layout.
    ///
    /// [`Optimiser::arenas`]: crate::optim::Optimiser::arenas
    pub optimiser: Vec<Vec<f32>>,
}

impl Checkpoint {
    /// The file's bytes: the same for the same checkpoint.
    ///
    /// # Errors
    /// [`Error::Usage`] where the arenas are not those of the header's model.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let bad = |reason: String| Error::Usage(format!("a checkpoint can't be made: {reason}"));
        let model = Model::new(self.header.model.clone())?;
        let layout = model.layout();
        let arenas: Vec<&Vec<f32>> = std::iter::once(&self.parameters).chain(&self.optimiser).collect();
        let prefixes = self.header.prefixes();
        if let Some(arena) = arenas.iter().find(|arena| arena.len() != layout.len()) {
            return Err(bad(format!("an arena has {} values, the model {}", arena.len(), layout.len())));
        }
        if arenas.len() != prefixes.len() {
            return Err(bad(format!("it has {} arenas, its optimiser keeps {}", arenas.len(), prefixes.len())));
        }
        let tensors: Vec<Tensor<'_>> =
            prefixes.iter().zip(arenas).flat_map(|(prefix, arena)| Tensor::all(layout, prefix, arena)).collect();
        let header = serde_json::to_string(&self.header).map_err(|error| bad(error.to_string()))?;
        safetensors(&tensors, (KEY, header)).map_err(|error| bad(error.to_string()))
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
        Checkpoint::from_bytes(&bytes).map_err(|reason| Error::format(path, shown_reason(&reason)))
    }

    fn from_bytes(bytes: &[u8]) -> Result<Checkpoint, String> {
        let (tensors, text) = described(bytes, KEY, "a checkpoint of this program")?;
        let header: Header = serde_json::from_str(&text).map_err(|error| format!("metadata `{KEY}`: {error}"))?;
        let model = header.checked_model(bytes.len())?;
        let layout = model.layout();
        let prefixes = header.prefixes();
        let trained = layout.parameters().iter().filter(|parameter| parameter.trained).count();
        let expected = layout.parameters().len() + (prefixes.len() - 1) * trained;
        if tensors.len() != expected {
            let found = tensors.len();
            return Err(format!("it has {found} tensors; its architecture has {expected}, the optimiser's counted"));
        }
        let arena = |prefix: &String| read_arena(&tensors, layout, prefix);
        let (parameters, optimiser) =
            (arena(&prefixes[0])?, prefixes[1..].iter().map(arena).collect::<Result<_, _>>()?);
        Ok(Checkpoint { header, parameters, optimiser })
    }

    /// A session with the model, which is the checkpoint's, and no data.
    ///
    /// # Errors
    /// What the device fails with.
    pub fn session(&self, device: &dyn Device, model: &Model) -> Result<Box<dyn Session>> {
        let mut session = device.session(model.layout(), &[])?;
        session.write_arena(PARAMETERS, &self.parameters)?;
        Ok(session)
    }

    /// What tells this model from another: a checksum of its parameters.
    pub fn identity(&self) -> String {
        let mut sum = flate2::Crc::new();
        self.parameters.iter().for_each(|value| sum.update(&value.to_le_bytes()));
        format!("step {} crc32 {:08x}", self.header.state.step, sum.sum())
    }

    /// Checks that it holds this model.
    ///
    /// # Errors
    /// [`Error::Format`] that names `path` and the first tensor that differs, with both shapes, or the first option.
    pub fn check_model(&self, path: &Path, model: &Model) -> Result<()> {
        let (ours, wanted) = (&self.header.model, model.config());
        if ours == wanted {
            return Ok(());
        }
        let another = |reason: String| {
            Err(Error::format(path, format!("a checkpoint of another architecture: {}", shown_reason(&reason))))
        };
        let held = Model::new(ours.clone())?;
        for at in 0..held.layout().parameters().len().max(model.layout().parameters().len()) {
            let named = |layout: &ParameterLayout| {
                layout.parameters().get(at).map(|parameter| (parameter.name.clone(), parameter.shape))
            };
            match (named(held.layout()), named(model.layout())) {
                (held, wanted) if held == wanted => {}
                (Some((name, shape)), Some((asked, wanted))) if name == asked => {
                    return another(format!("{name} is {shape:?}, the run's is {wanted:?}"));
                }
                (Some((name, shape)), _) => return another(format!("{name} {shape:?} is not in the run's")),
                (None, Some((name, shape))) => return another(format!("{name} {shape:?} is missing")),
                (None, None) => {}
            }
        }
        let options = |config: &ModelConfig| serde_json::to_value(config).unwrap_or_default();
        let (ours, wanted) = (options(ours), options(wanted));
        let differs = ours.as_object().into_iter().flatten().find(|(key, value)| wanted.get(key) != Some(value));
        let Some((key, value)) = differs else { return another("an option differs".to_owned()) };
        another(format!("{key} is {value}, the run's is {}", wanted.get(key).unwrap_or(&serde_json::Value::Null)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{TrainConfig, Training};
    use crate::data::{Fingerprint, ImageSize, Schema};
    use crate::models::Layer;
    use crate::ops::Activation;
    use safetensors::SafeTensors;
    use std::collections::HashMap;

    fn checkpoint() -> Checkpoint {
        let model = ModelConfig {
            encoder: Layer::dense(&[5], Activation::Tanh),
            decoder: Layer::dense(&[5], Activation::Tanh),
            latent: 2,
            image: [2, 3, 1],
            ..ModelConfig::vae(6)
        };
        let layout = Model::new(model.clone()).unwrap().layout().clone();
        let arena = |factor: f32| layout.initial(3).iter().map(|value| value * factor).collect();
        let train = Training::of(&TrainConfig::default()).unwrap();
        let state = TrainingState { step: 938, epoch: 2, best_test_loss: 106.1 / 3.0, best_epoch: 1, within: None };
        let data = Fingerprint { train: 60, validation: 0, test: 10, crc32: 7 };
        let header = Header::new(model, train, state, Schema::new(ImageSize::grey(2, 3), true), data);
        Checkpoint { header, parameters: arena(1.0), optimiser: vec![arena(2.0), arena(3.0)] }
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
        refused(|header| header.schema.size.width = 4, "2x4");
        refused(|header| header.schema.size.channels = 3, "2x3 RGB");
        refused(
            |header| header.schema.scaling = serde_json::from_str(r#"{"offsets": [1, 2], "factors": [1, 1]}"#).ok(),
            "scaling",
        );
        refused(|header| header.schema.white = Some(-1.0), "white");
        refused(|header| header.schema.columns = vec![String::new()], "1 columns of 6");
        refused(|header| header.model.latent = 1, "encoder.2.weight");
        refused(|header| header.model.latent = 0, "latent");
        refused(
            |header| header.model.encoder = Layer::dense(&[usize::MAX], Activation::Relu),
            "no layer: it must be dense N",
        );
        refused(|header| header.model.encoder = Layer::dense(&[1 << 24; 9], Activation::Relu), "too few");
        refused(|header| header.model.encoder = Layer::dense(&[4], Activation::Relu), "encoder.0.weight");
        refused(
            |header| header.train = Training::of(&TrainConfig { batch_size: 0, ..TrainConfig::default() }).unwrap(),
            "--batch-size",
        );
        refused(|header| header.state.best_epoch = 3, "best epoch");
        refused(|header| header.state.step = u64::MAX, "at most 9007199254740992");
    }

    #[test]
    fn another_architecture_is_named_by_tensor_and_shapes() {
        let checkpoint = checkpoint();
        let of = |change: fn(&mut ModelConfig)| {
            let mut model = checkpoint.header.model.clone();
            change(&mut model);
            checkpoint.check_model(Path::new("x.safetensors"), &Model::new(model).unwrap()).unwrap_err().to_string()
        };
        let error = of(|model| model.encoder = Layer::dense(&[7], Activation::Relu));
        assert!(error.contains("encoder.0.weight") && error.contains("[5, 6]") && error.contains("[7, 6]"), "{error}");
        assert!(of(|model| model.encoder = Layer::dense(&[5, 5], Activation::Relu)).contains("another architecture"));
        assert!(of(|model| model.encoder = Layer::dense(&[5], Activation::Relu)).contains("relu"));
    }
}
