//! Data sets: what a model learns from, as packed bytes or reals on the host.
//!
//! A [`DataSource`] names one; each file format has a reader of its own, and [`Reading`] brings what they found into the
//! form that training needs: two sets of one size, values that are numbers, and on request another [`Scale`]. Bytes stay
//! bytes, here and on the device; bringing them to [0, 1] and drawing binary pixels happen where a batch is read.
//! Readers treat every file as hostile: sizes a header claims are checked before they are believed, and memory grows
//! only with bytes that are really there. Nothing here downloads anything.

mod arrays;
mod folder;
mod idx;
mod mnist;
pub mod npy;
mod reading;
mod report;
mod scale;
mod size;
mod source;
mod synthetic;
mod table;

pub use reading::Reading;
pub use report::report;
pub use scale::{Scale, Scaling};
pub use size::ImageSize;
pub use source::DataSource;
pub use synthetic::Synthetic;

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
    /// Rows, columns and channels of an image.
    pub size: ImageSize,
    /// `[count, features]`; the channels of a pixel stand together.
    pub pixels: Values,
    /// `[count]`, the class of each image; which values occur is up to the data set.
    pub labels: Vec<u8>,
}

impl Images {
    /// How many images there are.
    pub fn count(&self) -> usize {
        self.labels.len()
    }

    /// Values in an image.
    pub fn features(&self) -> usize {
        self.size.features()
    }

    /// The images at these positions, in this order.
    ///
    /// # Panics
    /// If a position is not below the count.
    pub fn select(&self, positions: &[usize]) -> Images {
        fn rows<T: Copy>(values: &[T], features: usize, positions: &[usize]) -> Vec<T> {
            positions.iter().flat_map(|&at| &values[at * features..][..features]).copied().collect()
        }
        let features = self.features();
        let pixels = match &self.pixels {
            Values::Bytes(bytes) => Values::Bytes(rows(bytes, features, positions)),
            Values::Reals(reals) => Values::Reals(rows(reals, features, positions)),
        };
        Images { size: self.size, pixels, labels: rows(&self.labels, 1, positions) }
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
    /// "mnist" for the embedded data, "uniform:1000x784" for made-up data, else the folder's or the file's name.
    pub name: String,
    /// What parameters are fitted to.
    pub train: Images,
    /// What is only ever measured.
    pub test: Images,
    /// Columns are quantities of their own, each with its own range: a table's, not an image's.
    pub table: bool,
    /// What was done to the values that the source holds, if anything.
    pub scaling: Option<Scaling>,
    /// What the reader left out, in words.
    pub notes: Vec<String>,
}

impl Dataset {
    /// A training and a test set as they are.
    pub fn new(name: impl Into<String>, train: Images, test: Images) -> Dataset {
        Dataset { name: name.into(), train, test, table: false, scaling: None, notes: Vec::new() }
    }

    /// The MNIST digits that the binary carries: 60,000 training and 10,000 test images of 28x28.
    ///
    /// Y. LeCun, C. Cortes, C. Burges, "The MNIST database of handwritten digits"; CC BY-SA 3.0.
    ///
    /// # Errors
    /// [`Error::Usage`](crate::error::Error::Usage) in a build without the feature `embed-mnist`, or from a
    /// package of the crate, which has no data.
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
        Images { size: ImageSize::grey(1, 2), pixels, labels: vec![7, 8, 9] }
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

    #[test]
    fn selected_images_keep_their_labels() {
        let chosen = three().select(&[2, 0]);
        assert_eq!((chosen.pixels, chosen.labels), (Values::Bytes(vec![20, 21, 0, 1]), vec![9, 7]));
    }
}
