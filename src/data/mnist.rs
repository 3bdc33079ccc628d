//! MNIST itself: the copy the binary carries, and the canonical four files on disk.
//!
//! The canonical files (uncompressed, the usual names, 60,000 and 10,000 images of 28x28) are read by the crate
//! `mnist`. It knows only those and panics on anything else, so every header and length is checked first, and all other
//! files go through this crate's own reader.

use std::fs::{self, File};
use std::path::Path;

use crate::data::idx::{
    Files, IMAGE_HEADER, ImageHeader, LABEL_HEADER, folder_name, read_image_header, read_label_header,
};
use crate::data::{Dataset, ImageSize, Images, Values};
use crate::error::{Error, Result};

const TRAIN_COUNT: u32 = 60_000;
const TEST_COUNT: u32 = 10_000;
const SIDE: u32 = 28;

/// The embedded MNIST.
#[cfg(mnist_embedded)]
pub(super) fn embedded() -> Result<Dataset> {
    use crate::data::idx::decode;
    use flate2::read::MultiGzDecoder;

    macro_rules! file {
        ($name:literal) => {
            (
                Path::new(concat!("embedded ", $name)),
                MultiGzDecoder::new(&include_bytes!(concat!("../../assets/mnist/", $name))[..]),
            )
        };
    }
    let read = |images: (&Path, _), labels: (&Path, _)| decode(images.0, images.1, labels.0, labels.1);
    let (train, test) = rayon::join(
        || read(file!("train-images-idx3-ubyte.gz"), file!("train-labels-idx1-ubyte.gz")),
        || read(file!("t10k-images-idx3-ubyte.gz"), file!("t10k-labels-idx1-ubyte.gz")),
    );
    Ok(Dataset::new("mnist", train?, test?))
}

/// The embedded MNIST, in a build that carries none.
#[cfg(not(mnist_embedded))]
pub(super) fn embedded() -> Result<Dataset> {
    Err(Error::Usage(
        "this build carries no data set (it was made without the feature embed-mnist, or from a package, which has no \
         data): pass --data, a folder of images or a file of arrays"
            .to_owned(),
    ))
}

/// Reads `files` through the crate `mnist`, or gives `None` where they are not the canonical four.
pub(super) fn read_canonical(dir: &Path, files: &Files) -> Result<Option<Dataset>> {
    let Some(base_path) = dir.to_str().filter(|_| is_canonical(files)) else {
        return Ok(None);
    };
    let read = mnist::MnistBuilder::new()
        .label_format_digit()
        .base_path(base_path)
        .training_set_length(TRAIN_COUNT)
        .validation_set_length(0)
        .test_set_length(TEST_COUNT)
        .finalize();
    let size = ImageSize::grey(SIDE as usize, SIDE as usize);
    let train = Images { size, pixels: Values::Bytes(read.trn_img), labels: read.trn_lbl };
    let test = Images { size, pixels: Values::Bytes(read.tst_img), labels: read.tst_lbl };
    for (images, count) in [(&train, TRAIN_COUNT), (&test, TEST_COUNT)] {
        if images.count() != count as usize || images.pixels.len() != images.count() * images.features() {
            return Err(Error::format(dir, "files changed while they were read"));
        }
    }
    Ok(Some(Dataset::new(folder_name(dir), train, test)))
}

/// Whether the crate `mnist` can read these files: names, headers and lengths. A fault found here is not reported: the
/// general reader meets it again and says what it is.
fn is_canonical(files: &Files) -> bool {
    let images = |path: &Path, name: &str, count: u32| {
        let wanted = ImageHeader { count, height: SIDE, width: SIDE };
        has_name(path, name)
            && File::open(path).is_ok_and(|mut file| read_image_header(path, &mut file).is_ok_and(|h| h == wanted))
            && wanted.pixels(path).is_ok_and(|pixels| has_length(path, IMAGE_HEADER as u64 + pixels))
    };
    let labels = |path: &Path, name: &str, count: u32| {
        has_name(path, name)
            && File::open(path).is_ok_and(|mut file| read_label_header(path, &mut file).is_ok_and(|c| c == count))
            && has_length(path, LABEL_HEADER as u64 + u64::from(count))
    };
    images(&files.train_images, "train-images-idx3-ubyte", TRAIN_COUNT)
        && labels(&files.train_labels, "train-labels-idx1-ubyte", TRAIN_COUNT)
        && images(&files.test_images, "t10k-images-idx3-ubyte", TEST_COUNT)
        && labels(&files.test_labels, "t10k-labels-idx1-ubyte", TEST_COUNT)
}

fn has_name(path: &Path, name: &str) -> bool {
    path.file_name().is_some_and(|found| found == name)
}

fn has_length(path: &Path, bytes: u64) -> bool {
    fs::metadata(path).is_ok_and(|metadata| metadata.is_file() && metadata.len() == bytes)
}

#[cfg(all(test, mnist_embedded))]
mod tests {
    use super::*;

    fn bytes(images: &Images) -> &[u8] {
        let Values::Bytes(bytes) = &images.pixels else { panic!("MNIST has bytes") };
        bytes
    }

    #[test]
    fn the_embedded_data_is_mnist() {
        let mnist = Dataset::embedded().unwrap();
        assert_eq!(mnist.name, "mnist");
        assert_eq!((mnist.train.count(), mnist.test.count()), (60_000, 10_000));
        for images in [&mnist.train, &mnist.test] {
            assert_eq!((images.size, images.features()), (ImageSize::grey(28, 28), 784));
            assert_eq!(images.pixels.len(), images.count() * 784);
        }
        let mut classes = [0; 10];
        mnist.train.labels.iter().for_each(|&label| classes[usize::from(label)] += 1);
        assert_eq!(classes, [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]);

        // The published mean and standard deviation of the training pixels, scaled to [0, 1].
        let sum = |power: i32| bytes(&mnist.train).iter().map(|&p| (f64::from(p) / 255.0).powi(power)).sum::<f64>();
        let count = mnist.train.pixels.len() as f64;
        let mean = sum(1) / count;
        let deviation = (sum(2) / count - mean * mean).sqrt();
        assert!((mean - 0.1307).abs() < 5e-5, "{mean}");
        assert!((deviation - 0.3081).abs() < 5e-5, "{deviation}");
    }

    #[test]
    fn the_crate_and_the_own_reader_read_the_canonical_files_alike() {
        let mnist = Dataset::embedded().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, magic: u32, dims: &[u32], bytes: &[u8]| {
            let mut file = magic.to_be_bytes().to_vec();
            dims.iter().for_each(|dim| file.extend(dim.to_be_bytes()));
            file.extend_from_slice(bytes);
            fs::write(folder.path().join(name), file).unwrap();
        };
        write("train-images-idx3-ubyte", 0x803, &[60_000, 28, 28], bytes(&mnist.train));
        write("train-labels-idx1-ubyte", 0x801, &[60_000], &mnist.train.labels);
        write("t10k-images-idx3-ubyte", 0x803, &[10_000, 28, 28], bytes(&mnist.test));
        write("t10k-labels-idx1-ubyte", 0x801, &[10_000], &mnist.test.labels);

        let files = Files::locate(folder.path()).unwrap();
        let own = files.read().unwrap();
        let through_crate = read_canonical(folder.path(), &files).unwrap().expect("these are the canonical four");
        assert!(own == through_crate, "the two readers differ");
        assert!(own.train == mnist.train && own.test == mnist.test, "the files differ from the embedded data");

        // One byte too many: not for the crate, and our reader says why.
        let mut longer = fs::read(&files.test_labels).unwrap();
        longer.push(0);
        fs::write(&files.test_labels, longer).unwrap();
        assert!(read_canonical(folder.path(), &files).unwrap().is_none());
        let error = Dataset::from_idx_dir(folder.path()).unwrap_err().to_string();
        assert!(error.contains("t10k-labels-idx1-ubyte") && error.contains("more bytes follow"), "{error}");
    }
}

#[cfg(all(test, not(mnist_embedded)))]
mod tests {
    use super::*;

    #[test]
    fn a_build_without_data_says_what_to_pass() {
        let error = Dataset::embedded().unwrap_err();
        assert!(matches!(error, Error::Usage(_)) && error.to_string().contains("--data"), "{error}");
    }
}
