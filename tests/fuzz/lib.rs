//! What the targets share. Each writes its input as a file and reads it through the crate's public functions: the answer
//! is a value that fits itself, or an error that says something; never a panic, a hang, or more memory than such a file
//! needs. `run.sh` sets the bounds.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use flate2::Crc;
use tempfile::TempDir;
use vae_gpu::config::{TrainConfig, Training};
use vae_gpu::data::{DataSource, Fingerprint, ImageSize, Images, Reading, Scale, Schema, Set};
use vae_gpu::models::{Layer, Model, ModelConfig};
use vae_gpu::train::Checkpoint;
use vae_gpu::train::checkpoint::{Header, TrainingState};

/// A folder that lasts as long as the process; `run.sh` puts it into memory.
pub fn folder() -> &'static Path {
    static FOLDER: OnceLock<TempDir> = OnceLock::new();
    FOLDER.get_or_init(|| TempDir::new().unwrap()).path()
}

/// Writes a file into [`folder`].
pub fn write(name: &str, bytes: &[u8]) -> PathBuf {
    let path = folder().join(name);
    std::fs::write(&path, bytes).unwrap();
    path
}

/// Reads data as they are, and once more on another scale without what is not finite; then as data for a model that was
/// trained on them. What is read must have as many values as it says.
pub fn read_data(path: &Path, reading: Reading) {
    let source = DataSource::Path(path.to_owned());
    let check = |set: &Images| {
        assert!(set.count() > 0 && set.names.len() <= set.count());
        assert_eq!(set.pixels.len(), set.count() * set.features());
    };
    for (drop_bad, scale) in [(false, Scale::Auto), (true, Scale::Standard)] {
        let reading = Reading { drop_bad, scale, probabilities: drop_bad.then(|| "--loss bce".to_owned()), ..reading.clone() };
        match reading.read(Some(&source)) {
            Ok(data) => {
                [Some(&data.train), Some(&data.test), data.validation.as_ref()].into_iter().flatten().for_each(check);
                assert_eq!(data.train.size, data.test.size);
                let known = Reading { known: Some(data.schema), ..reading };
                let again = known.read_set(Some(&source), Some(Set::All)).expect("data fit the model of them");
                check(&again.images);
            }
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    }
}

/// Splits an input in two: its first byte is the length of the first part.
pub fn split(input: &[u8]) -> (&[u8], &[u8]) {
    let (first, rest) = input.split_first().unwrap_or((&0, &[]));
    rest.split_at(rest.len().min(usize::from(*first)))
}

/// A checkpoint of a small model.
pub fn checkpoint() -> Checkpoint {
    let layers = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect::<Vec<Layer>>();
    let encoder = layers(&["conv 3 k2 p1", "batch-norm", "relu"]);
    let decoder = layers(&["dense 4", "relu", "unflatten 1 2x2", "conv 1"]);
    let model = ModelConfig { image: [2, 2, 1], encoder, decoder, latent: 2, ..ModelConfig::vae(4) };
    let arena = Model::new(model.clone()).unwrap().layout().initial(3);
    let config = TrainConfig { noise: Some("mask:0.25".parse().unwrap()), ..TrainConfig::default() };
    let state = TrainingState { step: 938, epoch: 2, best_test_loss: 35.5, best_epoch: 1, within: None };
    let schema = Schema { classes: vec!["cat".to_owned()], ..Schema::new(ImageSize::grey(2, 2), true) };
    let header = Header::new(model, Training::of(&config).unwrap(), state, schema, Fingerprint::default());
    Checkpoint { header, parameters: arena.clone(), optimiser: vec![arena.clone(), arena] }
}

/// Reads a checkpoint; one that is read is written to the same bytes again and again.
pub fn read_checkpoint(path: &Path) {
    match Checkpoint::load(path) {
        Ok(checkpoint) => {
            let bytes = checkpoint.to_bytes().unwrap();
            let again = Checkpoint::load(&write("again.safetensors", &bytes)).unwrap();
            assert_eq!(again.to_bytes().unwrap(), bytes);
            assert_eq!(again.identity(), checkpoint.identity());
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

/// A lot that falls on one of `of` inputs: for what would be too slow to do for each.
pub fn one_of(of: u32, input: &[u8]) -> bool {
    let mut sum = Crc::new();
    sum.update(input);
    sum.sum().is_multiple_of(of)
}
