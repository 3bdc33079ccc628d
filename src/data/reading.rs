//! From a source to the two sets that training needs, whatever its format.

use std::path::Path;
use std::time::Instant;

use super::source::split_array;
use super::{DataSource, Dataset, Images, Values, arrays, folder, idx, table};
use crate::error::{Error, Result};
use crate::rng::Permutation;

/// The share of the examples that are trained on where a source has no test set and nothing else is said.
const SPLIT: f64 = 0.9;
/// An epoch that no run reaches: its order of the examples decides which are tested.
const SPLIT_EPOCH: u64 = u64::MAX;

/// How a source is read.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reading {
    /// Height and width that a folder's images are resized to.
    pub image_size: Option<(usize, usize)>,
    /// A table's column of labels: its name, or its number from 0.
    pub label_column: Option<String>,
    /// Leave out what can't be read or is not finite, instead of failing.
    pub drop_bad: bool,
    /// The share of the examples that are trained on, where the source has no test set.
    pub split: Option<f64>,
    /// The test set, where it is another source.
    pub test_data: Option<DataSource>,
    /// Which examples the split tests, and made-up data, follow from it.
    pub seed: u32,
}

/// What a reader found: one set, or two.
pub(super) struct Found {
    pub(super) name: String,
    pub(super) train: Images,
    pub(super) test: Option<Images>,
    pub(super) table: bool,
    pub(super) notes: Vec<String>,
}

impl Found {
    /// The images of a file or folder.
    pub(super) fn one(path: &Path, train: Images) -> Found {
        Found { name: idx::folder_name(path), train, test: None, table: false, notes: Vec::new() }
    }
}

impl Reading {
    /// Reads a source; the embedded MNIST where there is none.
    ///
    /// # Errors
    /// [`Error::Io`] where the system fails to read; [`Error::Format`] for what is not as its format says, sets that do
    /// not fit together, values that are not finite; [`Error::Usage`] for an option that the source does not have.
    pub fn read(&self, source: Option<&DataSource>) -> Result<Dataset> {
        let began = Instant::now();
        let mut found = self.find(source)?;
        tracing::info!("read {} in {:.2} s", found.name, began.elapsed().as_secs_f64());
        let mut test = match (&self.test_data, found.test.take()) {
            (Some(other), _) => {
                let other = self.find(Some(other))?;
                found.notes.extend(other.notes);
                Some(other.test.unwrap_or(other.train))
            }
            (None, test) => test,
        };
        if self.split.is_some() && test.is_some() {
            let why = if self.test_data.is_some() { "--test-data names it" } else { "the data have one" };
            return Err(Error::Usage(format!(
                "--split makes a test set of the training data: {why}, it must not be given"
            )));
        }
        let path = match source {
            Some(DataSource::Path(path)) => path.as_path(),
            _ => Path::new(&found.name),
        };
        found.train = self.finite(found.train, path, "example", &mut found.notes)?;
        if let Some(images) = test.take() {
            let path = match &self.test_data {
                Some(DataSource::Path(path)) => path.as_path(),
                _ => path,
            };
            test = Some(self.finite(images, path, "test example", &mut found.notes)?);
        }
        let (train, test) = match test {
            Some(test) => (found.train, test),
            None => self.divide(&found.train, path)?,
        };
        if train.size != test.size {
            let reason = format!("training examples are {}, test examples {}: must be equal", train.size, test.size);
            return Err(Error::format(path, reason));
        }
        if train.dtype() != test.dtype() {
            let reason = "one of the two sets has bytes, the other floats: both must have the same";
            return Err(Error::format(path, reason));
        }
        Ok(Dataset { table: found.table, notes: found.notes, ..Dataset::new(found.name, train, test) })
    }

    fn find(&self, source: Option<&DataSource>) -> Result<Found> {
        let path = match source {
            Some(DataSource::Path(path)) => path,
            Some(DataSource::Synthetic { kind, count, features }) => {
                self.fits("made-up data", false, false)?;
                return Ok(Dataset::synthetic(*kind, *count, *features, self.seed).into());
            }
            None => {
                self.fits("the embedded MNIST", false, false)?;
                return Ok(Dataset::embedded()?.into());
            }
        };
        let (file, array) = split_array(path);
        if std::fs::metadata(&file).map_err(Error::io("reading", &file))?.is_dir() {
            if idx::Files::are_in(path) {
                self.fits("a folder of IDX files", false, false)?;
                return Ok(Dataset::from_idx_dir(path)?.into());
            }
            self.fits("a folder of images", true, false)?;
            return folder::read(path, self);
        }
        let kind = file.extension().map(|kind| kind.to_string_lossy().to_lowercase()).unwrap_or_default();
        self.fits("a file of arrays", kind.is_empty(), kind == "csv" || kind == "tsv")?;
        match kind.as_str() {
            "npy" => arrays::read_npy(&file),
            "npz" => arrays::read_npz(&file, array.as_deref()),
            "csv" | "tsv" => table::read(&file, self.label_column.as_deref()),
            _ => Err(Error::format(
                path,
                "data are .npy, .npz, .csv or .tsv files, or a folder of images or of the four IDX files",
            )),
        }
    }

    /// Refuses options that a kind of source does not have.
    fn fits(&self, what: &str, image_size: bool, label_column: bool) -> Result<()> {
        let refuse = |given: bool, option: &str, of: &str| match given {
            true => Err(Error::Usage(format!("{option} is for {of}: {what} has no use for it"))),
            false => Ok(()),
        };
        refuse(self.image_size.is_some() && !image_size, "--image-size", "a folder of images")?;
        refuse(self.label_column.is_some() && !label_column, "--label-column", "a .csv or .tsv file")
    }

    /// The examples whose values all are numbers, or an error where some are not and may not be left out.
    fn finite(&self, images: Images, path: &Path, what: &str, notes: &mut Vec<String>) -> Result<Images> {
        let Values::Reals(reals) = &images.pixels else { return Ok(images) };
        let rows = || reals.chunks(images.features()).enumerate();
        let good: Vec<usize> = rows().filter(|(_, row)| row.iter().all(|v| v.is_finite())).map(|(at, _)| at).collect();
        let bad = images.count() - good.len();
        if bad == 0 {
            return Ok(images);
        }
        if self.drop_bad && !good.is_empty() {
            notes.push(format!("{bad} of {} {what}s hold values that are not finite and are left out", images.count()));
            return Ok(images.select(&good));
        }
        let first =
            rows().find_map(|(at, row)| row.iter().position(|value| !value.is_finite()).map(|c| (at, c, row[c])));
        let (row, column, value) = first.unwrap_or((0, 0, f32::NAN));
        let reason = format!(
            "{what} {row} (from 0) holds {value} as value {column}; {bad} of {} {what}s hold such: values must be finite \
             numbers; --drop-bad leaves the others in",
            images.count()
        );
        Err(Error::format(path, reason))
    }

    /// Two sets out of one: which examples are tested follows from the seed.
    fn divide(&self, images: &Images, path: &Path) -> Result<(Images, Images)> {
        let (count, split) = (images.count(), self.split.unwrap_or(SPLIT));
        let Ok(n) = u32::try_from(count) else {
            return Err(Error::format(path, format!("it has {count} examples: at most 2^32 - 1 may be")));
        };
        if n < 2 {
            return Err(Error::format(path, "it has one example: at least two are needed, to train on and to test"));
        }
        let trained = ((f64::from(n) * split).round() as usize).clamp(1, count - 1);
        let order = Permutation::new(self.seed, SPLIT_EPOCH, n);
        let mut positions: Vec<usize> = (0..n).map(|at| order.at(at) as usize).collect();
        let (train, test) = positions.split_at_mut(trained);
        train.sort_unstable();
        test.sort_unstable();
        Ok((images.select(train), images.select(test)))
    }
}

impl From<Dataset> for Found {
    fn from(data: Dataset) -> Found {
        Found { name: data.name, train: data.train, test: Some(data.test), table: data.table, notes: data.notes }
    }
}
