//! MNIST itself: the copy the binary carries, and the canonical four files on disk.
//!
//! The canonical files (uncompressed, the usual names, 60,000 and 10,000 images of 28x28) are read by the crate
//! `mnist`. It knows only those and panics on anything else, so every header and length is checked first, and all other
//! files go through this crate's own reader.

use std::fs::{self, File};
use std::path::Path;

use super::ImageSize;
use super::element::Kind;
use super::idx::{Header, folder_name};
use super::labels::Labels;
use super::numbers::Numbers;
use super::raw::Raw;
use super::reading::{Found, Set};
use crate::error::{Error, Result};

const TRAIN_COUNT: u32 = 60_000;
const TEST_COUNT: u32 = 10_000;
const SIDE: u32 = 28;
/// The canonical names, and the sizes that their headers hold.
const CANONICAL: [(&str, &[u32]); 4] = [
    ("train-images-idx3-ubyte", &[TRAIN_COUNT, SIDE, SIDE]),
    ("train-labels-idx1-ubyte", &[TRAIN_COUNT]),
    ("t10k-images-idx3-ubyte", &[TEST_COUNT, SIDE, SIDE]),
    ("t10k-labels-idx1-ubyte", &[TEST_COUNT]),
];

/// The embedded MNIST.
#[cfg(mnist_embedded)]
pub(super) fn embedded() -> Result<Found> {
    use super::idx::decode;
    use flate2::read::MultiGzDecoder;

    macro_rules! file {
        ($name:literal) => {
            decode(
                Path::new(concat!("embedded ", $name)),
                MultiGzDecoder::new(&include_bytes!(concat!("../../assets/mnist/", $name))[..]),
            )
            .map(|(_, numbers)| numbers)
        };
    }
    let set = |images: Numbers, labels: Numbers| {
        let labels = Labels::Numbers(labels.converted(1, |_, value| value));
        let size = ImageSize::grey(SIDE as usize, SIDE as usize);
        Raw { labels, ..Raw::numbers(size, images) }
    };
    let (train, test) = rayon::join(
        || Ok(set(file!("train-images-idx3-ubyte.gz")?, file!("train-labels-idx1-ubyte.gz")?)),
        || Ok(set(file!("t10k-images-idx3-ubyte.gz")?, file!("t10k-labels-idx1-ubyte.gz")?)),
    );
    Ok(Found {
        name: "mnist".to_owned(),
        sets: vec![(Set::Train, train?), (Set::Test, test?)],
        table: false,
        notes: Vec::new(),
    })
}

/// The embedded MNIST, in a build that carries none.
#[cfg(not(mnist_embedded))]
pub(super) fn embedded() -> Result<Found> {
    Err(Error::Usage(
        "this build carries no data set (it was made without the feature embed-mnist, or from a package, which has no \
         data): pass --data, a folder of images or a file of arrays"
            .to_owned(),
    ))
}

/// Reads the canonical four files of a folder through the crate `mnist`, or gives `None` where they are others.
pub(super) fn read_canonical(dir: &Path) -> Result<Option<Found>> {
    let Some(base_path) = dir.to_str().filter(|_| is_canonical(dir)) else {
        return Ok(None);
    };
    let read = mnist::MnistBuilder::new()
        .label_format_digit()
        .base_path(base_path)
        .training_set_length(TRAIN_COUNT)
        .validation_set_length(0)
        .test_set_length(TEST_COUNT)
        .finalize();
    let set = |pixels: Vec<u8>, labels: Vec<u8>, count: u32| {
        let size = ImageSize::grey(SIDE as usize, SIDE as usize);
        if labels.len() != count as usize || pixels.len() != labels.len() * size.features() {
            return Err(Error::format(dir, "files changed while they were read"));
        }
        let labels = Labels::Numbers(labels.into_iter().map(f64::from).collect());
        Ok(Raw { labels, ..Raw::numbers(size, Numbers::Bytes(pixels)) })
    };
    let train = set(read.trn_img, read.trn_lbl, TRAIN_COUNT)?;
    let test = set(read.tst_img, read.tst_lbl, TEST_COUNT)?;
    let sets = vec![(Set::Train, train), (Set::Test, test)];
    Ok(Some(Found { name: folder_name(dir), sets, table: false, notes: Vec::new() }))
}

/// Whether the crate `mnist` can read a folder's files: names, headers and lengths. A fault found here is not reported: the
/// general reader meets it again and says what it is.
fn is_canonical(dir: &Path) -> bool {
    CANONICAL.iter().all(|(name, sizes)| {
        let path = dir.join(name);
        let header = File::open(&path).ok().and_then(|mut file| Header::read(&path, &mut file).ok());
        header.is_some_and(|header| {
            let length = header.bytes(&path).map(|bytes| 4 * (1 + sizes.len() as u64) + bytes);
            header.element.kind == Kind::U8
                && header.sizes == *sizes
                && length
                    .is_ok_and(|length| fs::metadata(&path).is_ok_and(|found| found.is_file() && found.len() == length))
        })
    })
}

#[cfg(all(test, mnist_embedded))]
mod tests {
    use super::*;

    fn bytes(set: &(Set, Raw)) -> &[u8] {
        let Numbers::Bytes(bytes) = &set.1.numbers else { panic!("MNIST has bytes") };
        bytes
    }

    fn labels(set: &(Set, Raw)) -> Vec<u8> {
        let Labels::Numbers(labels) = &set.1.labels else { panic!("MNIST has labels") };
        labels.iter().map(|&label| label as u8).collect()
    }

    #[test]
    fn the_embedded_data_is_mnist() {
        let mnist = embedded().unwrap();
        let [train, test] = mnist.sets.as_slice() else { panic!("MNIST has two sets") };
        assert_eq!((mnist.name.as_str(), train.1.count(), test.1.count()), ("mnist", 60_000, 10_000));
        for set in &mnist.sets {
            assert_eq!((set.1.size, bytes(set).len()), (ImageSize::grey(28, 28), set.1.count() * 784));
        }
        let mut classes = [0; 10];
        labels(train).into_iter().for_each(|label| classes[usize::from(label)] += 1);
        assert_eq!(classes, [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]);

        // The published mean and standard deviation of the training pixels, scaled to [0, 1].
        let sum = |power: i32| bytes(train).iter().map(|&p| (f64::from(p) / 255.0).powi(power)).sum::<f64>();
        let count = bytes(train).len() as f64;
        let mean = sum(1) / count;
        let deviation = (sum(2) / count - mean * mean).sqrt();
        assert!((mean - 0.1307).abs() < 5e-5, "{mean}");
        assert!((deviation - 0.3081).abs() < 5e-5, "{deviation}");
    }

    #[test]
    fn the_crate_and_the_own_reader_read_the_canonical_files_alike() {
        let mnist = embedded().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, dims: &[u32], bytes: &[u8]| {
            let mut file = vec![0, 0, 8, dims.len() as u8];
            dims.iter().for_each(|dim| file.extend(dim.to_be_bytes()));
            file.extend_from_slice(bytes);
            fs::write(folder.path().join(name), file).unwrap();
        };
        for (set, files) in mnist.sets.iter().zip(CANONICAL.as_chunks::<2>().0) {
            write(files[0].0, files[0].1, bytes(set));
            write(files[1].0, files[1].1, &labels(set));
        }
        let own = crate::data::idx::read(folder.path()).unwrap();
        let through_crate = read_canonical(folder.path()).unwrap().expect("these are the canonical four");
        assert!(own.sets == through_crate.sets, "the two readers differ");
        assert!(own.sets == mnist.sets, "the files differ from the embedded data");

        // One byte too many: not for the crate, and our reader says why.
        let path = folder.path().join("t10k-labels-idx1-ubyte");
        let mut longer = fs::read(&path).unwrap();
        longer.push(0);
        fs::write(&path, longer).unwrap();
        assert!(read_canonical(folder.path()).unwrap().is_none());
        let error = crate::data::idx::read(folder.path()).err().unwrap().to_string();
        assert!(error.contains("t10k-labels-idx1-ubyte") && error.contains("more bytes follow"), "{error}");
    }
}

#[cfg(all(test, not(mnist_embedded)))]
mod tests {
    use super::*;

    #[test]
    fn a_build_without_data_says_what_to_pass() {
        let error = embedded().err().unwrap();
        assert!(matches!(error, Error::Usage(_)) && error.to_string().contains("--data"), "{error}");
    }
}
