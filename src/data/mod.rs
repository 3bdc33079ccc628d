//! Data sets: what a model learns from, as packed bytes or reals on the host.
//!
//! Pixels stay as they are stored, here and on the device; scaling bytes to [0, 1] and drawing binary pixels happen where
//! a batch is read.
//! Readers treat every file as hostile: sizes a header claims are checked before they are believed, and memory grows
//! only with bytes that are really there. Nothing here downloads anything.

mod idx;
mod mnist;
pub mod npy;
mod synthetic;

pub use synthetic::{DataSource, Synthetic};

use std::path::Path;

use crate::error::Result;

/// The values of a data set, row-major.
#[derive(Clone, Debug, PartialEq)]
pub enum Values {
    /// Pixels: 0 = black, 255 = white.
    Bytes(Vec<u8>),
    /// Real numbers; where they are pixels, 0 = black, 1 = white.
    Reals(Vec<f32>),
}

impl Values {
    /// How many there are.
    pub fn len(&self) -> usize {
        match self {
            Values::Bytes(bytes) => bytes.len(),
            Values::Reals(reals) => reals.len(),
        }
    }

    /// Bytes they take in memory.
    pub fn bytes(&self) -> usize {
        match self {
            Values::Bytes(bytes) => bytes.len(),
            Values::Reals(reals) => size_of_val(reals.as_slice()),
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Keeps the first `len`.
    pub fn truncate(&mut self, len: usize) {
        match self {
            Values::Bytes(bytes) => bytes.truncate(len),
            Values::Reals(reals) => reals.truncate(len),
        }
    }
}

/// One set of examples.
#[derive(Clone, Debug, PartialEq)]
pub struct Images {
    /// Rows of pixels in an image.
    pub height: usize,
    /// Pixels in a row.
    pub width: usize,
    /// `[count, height * width]`.
    pub pixels: Values,
    /// `[count]`, the class of each image; which values occur is up to the data set.
    pub labels: Vec<u8>,
}

impl Images {
    /// How many images there are.
    pub fn count(&self) -> usize {
        self.labels.len()
    }

    /// Values in an image: height * width.
    pub fn features(&self) -> usize {
        self.height * self.width
    }

    /// The first `count` images, or all where there are fewer.
    pub fn take_first(mut self, count: usize) -> Images {
        self.labels.truncate(count);
        self.pixels.truncate(self.labels.len() * self.features());
        self
    }
}

/// A training set and a test set of images of one size.
#[derive(Clone, Debug, PartialEq)]
pub struct Dataset {
    /// "mnist" for the embedded data, "uniform:1000x784" for made-up data, else the folder's name.
    pub name: String,
    /// What parameters are fitted to.
    pub train: Images,
    /// What is only ever measured.
    pub test: Images,
}

impl Dataset {
    /// The MNIST digits that the binary carries: 60,000 training and 10,000 test images of 28x28.
    ///
    /// Y. LeCun, C. Cortes, C. Burges, "The MNIST database of handwritten digits"; CC BY-SA 3.0.
    ///
    /// # Errors
    /// [`Error::Usage`](crate::error::Error::Usage) in a build without the feature `embed-mnist`.
    pub fn embedded() -> Result<Dataset> {
        mnist::embedded()
    }

    /// Reads a folder with the four files of MNIST's layout (IDX), of any image size, each plain or with `.gz` added:
    /// `train-images-idx3-ubyte`, `train-labels-idx1-ubyte`, `t10k-images-idx3-ubyte`, `t10k-labels-idx1-ubyte`. The
    /// spelling `train-images.idx3-ubyte` is accepted too; a plain file is preferred to a compressed one.
    ///
    /// # Errors
    /// [`Error::Io`](crate::error::Error::Io) where the system fails to read, and
    /// [`Error::Format`](crate::error::Error::Format) where a file is missing, is not IDX, is shorter or longer than
    /// its header says, or where images and labels, or training and test images, do not fit together.
    pub fn from_idx_dir(dir: &Path) -> Result<Dataset> {
        let files = idx::Files::locate(dir)?;
        match mnist::read_canonical(dir, &files)? {
            Some(dataset) => Ok(dataset),
            None => files.read(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn three() -> Images {
        let pixels = Values::Bytes(vec![0, 1, 10, 11, 20, 21]);
        Images { height: 1, width: 2, pixels, labels: vec![7, 8, 9] }
    }

    #[test]
    fn sizes_are_counted() {
        let images = three();
        assert_eq!((images.count(), images.features(), images.pixels.len()), (3, 2, 6));
    }

    #[test]
    fn take_first_cuts_pixels_and_labels_alike() {
        let two = three().take_first(2);
        assert_eq!((two.pixels, two.labels), (Values::Bytes(vec![0, 1, 10, 11]), vec![7, 8]));
        let reals = Images { pixels: Values::Reals(vec![0.5; 6]), ..three() };
        assert_eq!(reals.take_first(1).pixels, Values::Reals(vec![0.5; 2]));
        assert_eq!(three().take_first(0).count(), 0);
        assert_eq!(three().take_first(99), three());
    }
}
