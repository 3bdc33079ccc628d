//! What the tests share: the binary, and data that they make.

use std::fs;
use std::path::{Path, PathBuf};

use assert_cmd::Command;
use image::{DynamicImage, GrayImage, ImageFormat};
use npyz::WriterBuilder;
use npyz::npz::NpzWriter;
use vae_gpu::data::{DataSource, Dataset, Images, Reading, Values};
use vae_gpu::train::ModelInput;

pub(crate) fn command(folder: &Path) -> Command {
    let mut command = Command::cargo_bin("vae-gpu").unwrap();
    command.current_dir(folder).env("VAE_GPU_PROFILE", "none");
    command
}

/// Trains on `data` and samples; what was printed, and the samples' picture.
pub(crate) fn train(folder: &Path, data: &str, more: &[&str]) -> (String, DynamicImage) {
    let small = ["--device", "cpu", "--epochs", "1", "--hidden", "8", "--latent", "2", "--batch-size", "16"];
    let trained =
        command(folder).args(["train", "--data", data, "--out", "run"]).args(small).args(more).assert().success();
    let printed = String::from_utf8(trained.get_output().stdout.clone()).unwrap();
    let sample = ["sample", "run", "-n", "4", "--device", "cpu", "--out", "samples.png", "--npy", "samples.npy"];
    command(folder).args(sample).assert().success();
    (printed, image::open(folder.join("samples.png")).unwrap())
}

/// Exit code and message of a run that must fail and leave nothing.
pub(crate) fn refused(folder: &Path, data: &str, more: &[&str]) -> (i32, String) {
    let run = command(folder)
        .args(["train", "--data", data, "--out", "none", "--device", "cpu"])
        .args(more)
        .assert()
        .failure();
    assert!(!folder.join("none").exists(), "{data}: a failed run left a folder");
    let output = run.get_output();
    let message = String::from_utf8(output.stderr.clone()).unwrap();
    assert!(message.starts_with("error: ") && !message.contains("panicked"), "{message}");
    (output.status.code().unwrap(), message)
}

pub(crate) fn names(message: &str, parts: &[&str]) {
    parts.iter().for_each(|part| assert!(message.contains(part), "{part:?} is not in: {message}"));
}

/// Values of a drifting bright spot: something to learn, `[count, height, width, channels]`.
pub(crate) fn spots(count: usize, height: usize, width: usize, channels: usize) -> Vec<u8> {
    let mut values = Vec::new();
    for image in 0..count {
        for y in 0..height {
            for x in 0..width {
                for channel in 0..channels {
                    let away = (x + y + 3 * channel).abs_diff(image % (height + width));
                    values.push(255_u8.saturating_sub(40 * away.min(6) as u8));
                }
            }
        }
    }
    values
}

pub(crate) fn idx(path: PathBuf, shape: &[u32], bytes: &[u8]) {
    let mut file = vec![0, 0, 8, shape.len() as u8];
    shape.iter().for_each(|dim| file.extend(dim.to_be_bytes()));
    file.extend(bytes);
    fs::write(path, file).unwrap();
}

pub(crate) fn npz(path: &Path, arrays: &[(&str, &[u64], Vec<f32>)]) {
    let mut file = NpzWriter::create(path).unwrap();
    for (name, shape, values) in arrays {
        let mut array = file.array(name, Default::default()).unwrap().default_dtype().shape(shape).begin_nd().unwrap();
        array.extend(values.iter().copied()).unwrap();
        array.finish().unwrap();
    }
}

pub(crate) fn fractions(bytes: &[u8]) -> Vec<f32> {
    bytes.iter().map(|&byte| f32::from(byte) / 255.0).collect()
}

/// `count` grey images of 12x10 below `folder`, `pgm` files in two sub-folders.
pub(crate) fn faces(folder: &Path, count: usize) {
    for (at, pixels) in spots(count, 12, 10, 1).chunks(120).enumerate() {
        let class = folder.join(["ann", "bob"][at % 2]);
        fs::create_dir_all(&class).unwrap();
        let image = GrayImage::from_raw(10, 12, pixels.to_vec()).unwrap();
        image.save_with_format(class.join(format!("{at:03}.pgm")), ImageFormat::Pnm).unwrap();
    }
}

/// What a reading gives of a path.
pub(crate) fn read(reading: &Reading, path: &Path) -> Dataset {
    reading.read(Some(&DataSource::Path(path.to_owned()))).unwrap()
}

/// Why a path can't be read.
pub(crate) fn unread(reading: &Reading, path: &Path) -> String {
    reading.read(Some(&DataSource::Path(path.to_owned()))).unwrap_err().to_string()
}

/// All examples of a path in their order.
pub(crate) fn all(reading: &Reading, path: &Path) -> (Images, Vec<String>) {
    let examples = reading.read_set(Some(&DataSource::Path(path.to_owned())), None).unwrap();
    (examples.images, examples.notes)
}

/// The values as a model is shown them, bytes as shares of 255.
pub(crate) fn values(images: &Images) -> Vec<f32> {
    match &images.pixels {
        Values::Bytes(bytes) => bytes.iter().map(|&byte| f32::from(byte) * (1.0 / 255.0)).collect(),
        Values::Reals(reals) => reals.clone(),
        Values::Stored(_) => images.shown(0..images.count(), vae_gpu::config::Binarise::None).unwrap(),
    }
}

/// One of the notes says this.
pub(crate) fn says(notes: &[String], parts: &[&str]) {
    assert!(notes.iter().any(|note| parts.iter().all(|part| note.contains(part))), "{parts:?} is not in {notes:#?}");
}
