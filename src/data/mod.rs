//! Data sets: what a model learns from, as packed bytes or reals on the host.
//!
//! A [`DataSource`] names one; each file format has a reader of its own, which finds numbers on the source's own scale, and
//! [`Reading`] brings them into the form that training needs: sets of one size, values that are numbers, on the [`Scale`]
//! asked for. What that form is, a [`Schema`], is kept with a trained model, and later data are brought to it. Bytes stay
//! bytes, here and on the device; bringing them to [0, 1] and drawing binary pixels happen where a batch is read.
//!
//! Nothing is converted, guessed, left out or clipped without a word: what was is a note of the [`Dataset`]. Readers treat
//! every file as hostile: sizes a header claims are checked before they are believed, and memory grows only with bytes that
//! are really there. Nothing here downloads anything.
//!
//! | file | what it does |
//! |---|---|
//! | `folder`, `picture/` | image files: which there are, sets and classes; one file as its pages |
//! | `table`, `header` | `.csv` and `.tsv` |
//! | `npy`, `arrays`, `stored`, `element` | NumPy's files, in memory or in pieces |
//! | `idx`, `idx_files`, `mnist` | MNIST and its family |
//! | `reading`, `assemble`, `labels`, `classes`, `condition`, `scale`, `channels` | from what was found to sets in one form |
//! | `schema`, `report`, `notes` | what is kept, and what is said |

mod arrays;
mod assemble;
mod channels;
mod classes;
mod condition;
mod element;
mod folder;
mod header;
mod idx;
mod idx_files;
mod labels;
mod mnist;
mod notes;
pub mod npy;
mod numbers;
mod picture;
mod raw;
mod reading;
mod report;
mod scale;
mod schema;
mod size;
mod source;
mod stored;
mod synthetic;
mod table;

pub use channels::Channels;
use channels::luma;
pub use classes::class_numbers;
pub use condition::{Condition, Moments};
pub use header::Header;
pub use picture::Background;
pub use reading::{Examples, Reading, Set};
pub use report::{report, report_examples};
pub use scale::{Scale, Scaling};
pub use schema::{Fingerprint, Schema};
pub use size::ImageSize;
pub use source::DataSource;
pub use stored::Stored;
pub use synthetic::Synthetic;

use crate::error::Result;
use crate::tensor::DType;

/// The values of a data set, row-major.
#[derive(Clone, Debug, PartialEq)]
pub enum Values {
    /// Pixels: 0 = black, 255 = white.
    Bytes(Vec<u8>),
    /// Real numbers; where they are pixels, 0 = black, 1 = white.
    Reals(Vec<f32>),
    /// Either of them, in a file that is too large for memory.
    Stored(Stored),
}

impl Values {
    /// Whether they are bytes.
    pub fn are_bytes(&self) -> bool {
        match self {
            Values::Bytes(_) => true,
            Values::Reals(_) => false,
            Values::Stored(stored) => stored.is_bytes(),
        }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        match self {
            Values::Bytes(bytes) => bytes.len(),
            Values::Reals(reals) => reals.len(),
            Values::Stored(stored) => stored.len(),
        }
    }

    /// Bytes they take in memory, or would take.
    pub fn bytes(&self) -> usize {
        match self {
            Values::Bytes(bytes) => bytes.len(),
            Values::Reals(reals) => size_of_val(reals.as_slice()),
            Values::Stored(stored) => stored.bytes(),
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Adds values of one type behind these.
    fn extend(&mut self, others: Values) {
        match (self, others) {
            (Values::Bytes(all), Values::Bytes(bytes)) => all.extend(bytes),
            (Values::Reals(all), Values::Reals(reals)) => all.extend(reals),
            (Values::Stored(all), Values::Stored(stored)) => all.extend(&stored),
            _ => unreachable!("sets of one source have one type"),
        }
    }

    /// Keeps the first `len`.
    pub fn truncate(&mut self, len: usize) {
        match self {
            Values::Bytes(bytes) => bytes.truncate(len),
            Values::Reals(reals) => reals.truncate(len),
            Values::Stored(stored) => stored.truncate(len),
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
    /// `[count]`, the class of each image by its number in [`Schema::classes`]; none where it is not known.
    pub labels: Vec<Option<u32>>,
    /// `[count]`, the file that each image is from, below the folder that was read; empty where there are no such files.
    pub names: Vec<String>,
    /// `[count, width]`, what a conditional model is given of each image: bytes of unit vectors of classes, 255 for 1, or numbers.
    pub condition: Option<Values>,
}

impl Images {
    /// How the pixels are stored on a device.
    pub fn dtype(&self) -> DType {
        if self.pixels.are_bytes() { DType::U8 } else { DType::F32 }
    }

    /// Images without labels.
    ///
    /// # Panics
    /// If the pixels are not those of whole images.
    pub fn new(size: ImageSize, pixels: Values) -> Images {
        let count = pixels.len() / size.features().max(1);
        assert_eq!(count * size.features(), pixels.len(), "pixels of whole images of {size}");
        Images { size, pixels, labels: vec![None; count], names: Vec::new(), condition: None }
    }

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
        use numbers::rows;
        let features = self.features();
        let selected = |values: &Values, width: usize| match values {
            Values::Bytes(bytes) => Values::Bytes(rows(bytes, width, positions)),
            Values::Reals(reals) => Values::Reals(rows(reals, width, positions)),
            Values::Stored(stored) => Values::Stored(stored.select(positions)),
        };
        let pixels = selected(&self.pixels, features);
        let condition = self.condition.as_ref().map(|values| selected(values, values.len() / self.count().max(1)));
        let names = if self.names.is_empty() { Vec::new() } else { rows(&self.names, 1, positions) };
        Images { size: self.size, pixels, labels: rows(&self.labels, 1, positions), names, condition }
    }

    /// The first `count` images, or all where there are fewer.
    pub fn take_first(mut self, count: usize) -> Images {
        let before = self.count().max(1);
        self.labels.truncate(count);
        if let Some(condition) = &mut self.condition {
            condition.truncate(condition.len() / before * self.labels.len());
        }
        self.names.truncate(count);
        self.pixels.truncate(self.labels.len() * self.features());
        self
    }

    /// Calls `f` with the values of each image, bytes as numbers from 0 to 255.
    pub(crate) fn each_row(&self, mut f: impl FnMut(&[f32])) -> Result<()> {
        let features = self.features();
        let mut row = vec![0.0; features];
        match &self.pixels {
            Values::Reals(reals) => reals.chunks(features).for_each(f),
            Values::Bytes(bytes) => {
                for bytes in bytes.chunks(features) {
                    row.iter_mut().zip(bytes).for_each(|(to, &byte)| *to = f32::from(byte));
                    f(&row);
                }
            }
            Values::Stored(stored) => {
                for at in 0..self.count() {
                    stored.read_reals(at, &mut row)?;
                    f(&row);
                }
            }
        }
        Ok(())
    }

    /// Sets of one size and type, one after another.
    pub(crate) fn joined(sets: Vec<Images>) -> Images {
        let mut sets = sets.into_iter();
        let mut all = sets.next().unwrap_or_else(|| Images::new(ImageSize::grey(0, 0), Values::Bytes(Vec::new())));
        for set in sets {
            all.pixels.extend(set.pixels);
            if let (Some(all), Some(condition)) = (&mut all.condition, set.condition) {
                all.extend(condition);
            }
            all.labels.extend(set.labels);
            all.names.extend(set.names);
        }
        all
    }

    /// A checksum (CRC-32) of the values and the conditions.
    ///
    /// # Errors
    /// [`crate::Error::Io`] where pixels that stay in their file can't be read.
    pub fn checksum(&self) -> Result<u32> {
        let mut sum = flate2::Crc::new();
        self.sum(&mut sum)?;
        Ok(sum.sum())
    }

    /// Adds the values and the conditions to a checksum.
    fn sum(&self, sum: &mut flate2::Crc) -> Result<()> {
        match &self.condition {
            Some(Values::Bytes(bytes)) => sum.update(bytes),
            Some(Values::Reals(reals)) => sum.update(bytemuck::cast_slice(reals)),
            Some(Values::Stored(_)) | None => {}
        }
        match &self.pixels {
            Values::Bytes(bytes) => sum.update(bytes),
            Values::Reals(reals) => sum.update(bytemuck::cast_slice(reals)),
            Values::Stored(stored) if stored.is_bytes() => {
                let mut row = vec![0; self.features()];
                (0..self.count()).try_for_each(|at| {
                    stored.read_bytes(at, &mut row)?;
                    sum.update(&row);
                    Ok(())
                })?;
            }
            Values::Stored(_) => self.each_row(|row| sum.update(bytemuck::cast_slice(row)))?,
        }
        Ok(())
    }
}

/// A training set and a test set of images of one size, and a validation set where the source has one.
#[derive(Clone, Debug, PartialEq)]
pub struct Dataset {
    /// "mnist" for the embedded data, "uniform:1000x784" for made-up data, else the folder's or the file's name.
    pub name: String,
    /// What parameters are fitted to.
    pub train: Images,
    /// What chooses the best epoch and ends training early, where it is not the test set.
    pub validation: Option<Images>,
    /// What is only ever measured.
    pub test: Images,
    /// Columns are quantities of their own, each with its own range: a table's, not an image's.
    pub table: bool,
    /// What the values, the classes and the columns are.
    pub schema: Schema,
    /// What was left out, converted, guessed or clipped, in words.
    pub notes: Vec<String>,
}

impl Dataset {
    /// A training and a test set as they are.
    pub fn new(name: impl Into<String>, train: Images, test: Images) -> Dataset {
        let schema = Schema::new(train.size, train.pixels.are_bytes());
        Dataset { name: name.into(), train, validation: None, test, table: false, schema, notes: Vec::new() }
    }

    /// The MNIST digits that the binary carries: 60,000 training and 10,000 test images of 28x28.
    ///
    /// Y. LeCun, C. Cortes, C. Burges, "The MNIST database of handwritten digits"; CC BY-SA 3.0.
    ///
    /// # Errors
    /// [`Error::Usage`](crate::error::Error::Usage) in a build without the feature `embed-mnist`, or from a
    /// package of the crate, which has no data.
    pub fn embedded() -> Result<Dataset> {
        Reading::default().read(None)
    }

    /// What epochs are measured on: the validation set, or the test set where there is none.
    pub fn held_out(&self) -> &Images {
        self.validation.as_ref().unwrap_or(&self.test)
    }

    /// The sets that there are, by what they are called.
    pub(crate) fn sets(&self) -> impl Iterator<Item = (&'static str, &Images)> {
        let validation = self.validation.as_ref().map(|set| ("validation", set));
        [Some(("training", &self.train)), validation, Some(("test", &self.test))].into_iter().flatten()
    }

    /// What tells these examples from others.
    ///
    /// # Errors
    /// [`Error::Io`](crate::error::Error::Io) where values that stay in their file can't be read.
    pub fn fingerprint(&self) -> Result<Fingerprint> {
        let mut sum = flate2::Crc::new();
        self.sets().try_for_each(|(_, set)| set.sum(&mut sum))?;
        let count = |set: &Images| set.count() as u64;
        Ok(Fingerprint {
            train: count(&self.train),
            validation: self.validation.as_ref().map_or(0, count),
            test: count(&self.test),
            crc32: sum.sum(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn three() -> Images {
        let pixels = Values::Bytes(vec![0, 1, 10, 11, 20, 21]);
        let names = ["a", "b", "c"].map(str::to_owned).to_vec();
        Images { labels: vec![Some(7), None, Some(9)], names, ..Images::new(ImageSize::grey(1, 2), pixels) }
    }

    #[test]
    fn sizes_are_counted() {
        let images = three();
        assert_eq!((images.count(), images.features(), images.pixels.len()), (3, 2, 6));
    }

    #[test]
    fn take_first_cuts_pixels_and_labels_alike() {
        let two = three().take_first(2);
        assert_eq!((two.pixels, two.labels), (Values::Bytes(vec![0, 1, 10, 11]), vec![Some(7), None]));
        assert_eq!(two.names, ["a", "b"]);
        let reals = Images { pixels: Values::Reals(vec![0.5; 6]), ..three() };
        assert_eq!(reals.take_first(1).pixels, Values::Reals(vec![0.5; 2]));
        assert_eq!(three().take_first(0).count(), 0);
        assert_eq!(three().take_first(99), three());
    }

    #[test]
    fn selected_images_keep_their_labels() {
        let chosen = three().select(&[2, 0]);
        assert_eq!((chosen.pixels, chosen.labels), (Values::Bytes(vec![20, 21, 0, 1]), vec![Some(9), Some(7)]));
        assert_eq!(chosen.names, ["c", "a"]);
    }
}
