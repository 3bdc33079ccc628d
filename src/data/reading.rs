//! From a source to the sets that training needs, whatever its format.

use std::path::{Path, PathBuf};
use std::time::Instant;

use super::assemble::{Part, assemble};
use super::notes::Tally;
use super::raw::Raw;
use super::source::split_array;
use super::{
    Background, Channels, Condition, DataSource, Dataset, Header, Images, Scale, Schema, arrays, folder, idx,
    idx_files, mnist, table,
};
use crate::error::{Error, Result};
use crate::rng::Permutation;

/// The share of the examples that are trained on where a source has no test set and nothing else is said.
const SPLIT: f64 = 0.9;
/// An epoch that no run reaches: its order of the examples decides which are tested.
const SPLIT_EPOCH: u64 = u64::MAX;
/// Bytes that an array may have in memory where nothing else is said; a larger `.npy` is read in pieces.
const IN_MEMORY: u64 = 1 << 31;

/// How a source is read.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reading {
    /// Height and width that a folder's images are resized to.
    pub image_size: Option<(usize, usize)>,
    /// Channels that a folder's images are brought to; RGB where any is coloured, if it is not said.
    pub channels: Option<Channels>,
    /// What lies behind transparent pixels.
    pub background: Background,
    /// Whether a table's first line names its columns.
    pub header: Header,
    /// A table's column of labels: its name, its number from 0, or `none`.
    pub label_column: Option<String>,
    /// A table's columns that are left out, by name or number from 0.
    pub drop_columns: Vec<String>,
    /// Leave out what can't be read or is not finite, instead of failing.
    pub drop_bad: bool,
    /// The share of the examples that are trained on, where the source has no test set.
    pub split: Option<f64>,
    /// The test set, where it is another source.
    pub test_data: Option<DataSource>,
    /// Which examples the split tests, and made-up data, follow from it.
    pub seed: u32,
    /// How values are scaled, by the training set's.
    pub scale: Scale,
    /// The option that needs values in [0, 1], where one does: [`Scale::Auto`] brings numbers there that do not lie there.
    pub probabilities: Option<String>,
    /// Bytes that an array may have in memory: a larger `.npy` file is read in pieces. 2 GiB where it is not said.
    pub in_memory: Option<u64>,
    /// The classes that are taken, by name or number; all, also examples without a label, where none is named. A split comes
    /// before, so that it is the same whatever is taken.
    pub classes: Vec<String>,
    /// What each example is conditioned on, if anything: each must have it.
    pub condition: Option<Condition>,
    /// What a trained model knows of its data: these are read as those were.
    pub known: Option<Schema>,
    /// Whether classes that the trained model does not know get numbers, behind those that it knows.
    pub new_classes: bool,
}

/// Which examples of a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub enum Set {
    /// All of them
    All,
    /// Those to train on
    Train,
    /// Those that choose the best epoch
    Validation,
    /// Those that are only ever measured
    Test,
}

impl Set {
    /// The set that a folder or file is called after: `train` or `training`, `val`, `valid` or `validation`, `test` or
    /// `testing`, in any case.
    pub(super) fn named(text: &str) -> Option<Set> {
        match text.to_lowercase().as_str() {
            "train" | "training" => Some(Set::Train),
            "val" | "valid" | "validation" => Some(Set::Validation),
            "test" | "testing" => Some(Set::Test),
            _ => None,
        }
    }

    /// `training`, `validation`, `test`; nothing of all.
    fn adjective(self) -> &'static str {
        match self {
            Set::All => "",
            Set::Train => "training ",
            Set::Validation => "validation ",
            Set::Test => "test ",
        }
    }
}

/// What a reader found: sets by what they are called; all examples together where they are not.
pub(super) struct Found {
    pub(super) name: String,
    pub(super) sets: Vec<(Set, Raw)>,
    /// Columns are quantities of their own.
    pub(super) table: bool,
    pub(super) notes: Vec<String>,
}

impl Found {
    fn take(&mut self, set: Set) -> Option<Raw> {
        let at = self.sets.iter().position(|(found, _)| *found == set)?;
        Some(self.sets.remove(at).1)
    }
}

/// Examples of a source that is no training set.
#[derive(Clone, Debug, PartialEq)]
pub struct Examples {
    /// The file's or the folder's name.
    pub name: String,
    /// The examples, in the source's order.
    pub images: Images,
    /// The names of their classes by number.
    pub classes: Vec<String>,
    /// Whether columns are quantities of their own: a table's, not an image's.
    pub table: bool,
    /// What was left out, converted or clipped, in words.
    pub notes: Vec<String>,
}

impl Reading {
    /// Reads a source; the embedded MNIST where there is none.
    ///
    /// # Errors
    /// [`Error::Io`] where the system fails to read; [`Error::Format`] for what is not as its format says, sets that do
    /// not fit together, values that are not finite; [`Error::Usage`] for an option that the source does not have.
    pub fn read(&self, source: Option<&DataSource>) -> Result<Dataset> {
        let began = Instant::now();
        let mut found = self.find(source, self.known.as_ref().map(|known| known.columns.as_slice()))?;
        let path = shown(source, &found.name);
        let (train, validation) = (found.take(Set::All).or(found.take(Set::Train)), found.take(Set::Validation));
        let Some(train) = train else {
            let reason = "it has no training set: one must be called train, or hold all examples";
            return Err(Error::format(&path, reason));
        };
        let mut test = found.take(Set::Test).map(|raw| (raw, path.clone()));
        if let Some(other) = &self.test_data {
            if test.is_some() {
                found.notes.push("the test set that the data have is not read: --test-data names another".to_owned());
            }
            let (raw, notes) = self.other(other, &train)?;
            found.notes.extend(notes);
            test = Some((raw, shown(Some(other), "")));
        }
        if self.split.is_some() && (test.is_some() || validation.is_some()) {
            let why = if self.test_data.is_some() { "--test-data names it" } else { "the data have one" };
            return Err(Error::Usage(format!(
                "--split makes a test set of the training data: {why}, it must not be given"
            )));
        }
        let notes = &mut found.notes;
        let train = self.finite(Part { set: Set::Train, raw: train, path: path.clone() }, notes)?;
        let parts = match (validation, test) {
            (None, None) => self.divide(train)?.into(),
            (None, Some((raw, path))) => vec![train, self.finite(Part { set: Set::Test, raw, path }, notes)?],
            (Some(raw), None) => {
                notes.push("there is no test set: the validation set serves for reports too".to_owned());
                vec![train, self.finite(Part { set: Set::Test, raw, path }, notes)?]
            }
            (Some(validation), Some((raw, test_path))) => vec![
                train,
                self.finite(Part { set: Set::Test, raw, path: test_path }, notes)?,
                self.finite(Part { set: Set::Validation, raw: validation, path }, notes)?,
            ],
        };
        let (mut images, schema) = assemble(self, parts, found.table, &mut found.notes)?;
        let validation = (images.len() > 2).then(|| images.pop()).flatten();
        let (Some(test), Some(train)) = (images.pop(), images.pop()) else {
            unreachable!("there are two sets or three")
        };
        tracing::info!("read {} in {:.2} s", found.name, began.elapsed().as_secs_f64());
        Ok(Dataset { name: found.name, train, validation, test, table: found.table, schema, notes: found.notes })
    }

    /// Reads the examples of one set, or of all, as they come; where none is asked for, those of the test set if the source
    /// has one, else all. Nothing is split off.
    ///
    /// # Errors
    /// As [`Reading::read`], and where the source has no such set.
    pub fn read_set(&self, source: Option<&DataSource>, set: Option<Set>) -> Result<Examples> {
        let known: &[String] = self.known.as_ref().map_or(&[], |known| &known.columns);
        let mut found = self.find(source, Some(known))?;
        let path = shown(source, &found.name);
        let has = |set: Set| found.sets.iter().any(|(held, _)| *held == set);
        let set = set.unwrap_or(if has(Set::Test) { Set::Test } else { Set::All });
        let count: usize = found.sets.iter().map(|(_, raw)| raw.count()).sum();
        let wanted: Vec<Part> = match set {
            Set::All => found.sets.drain(..).collect(),
            set => found.take(set).map(|raw| (set, raw)).into_iter().collect::<Vec<_>>(),
        }
        .into_iter()
        .map(|(set, raw)| Part { set, raw, path: path.clone() })
        .collect();
        if wanted.is_empty() {
            return Err(Error::Usage(format!("{}: it has no {}set", path.display(), set.adjective())));
        }
        let taken: usize = wanted.iter().map(|part| part.raw.count()).sum();
        if taken < count {
            found.notes.push(format!(
                "the {}set alone is read, {taken} of {count} examples (--set all for all)",
                set.adjective()
            ));
        }
        let parts = wanted.into_iter().map(|part| self.finite(part, &mut found.notes)).collect::<Result<Vec<_>>>()?;
        let (images, schema) = assemble(self, parts, found.table, &mut found.notes)?;
        let images = Images::joined(images);
        Ok(Examples { name: found.name, images, classes: schema.classes, table: found.table, notes: found.notes })
    }

    /// The test set that another source is, or has.
    fn other(&self, source: &DataSource, train: &Raw) -> Result<(Raw, Vec<String>)> {
        let mut found = self.find(Some(source), Some(&train.columns))?;
        let raw =
            found.take(Set::Test).or(found.take(Set::All)).or(found.take(Set::Train)).or(found.take(Set::Validation));
        match raw {
            Some(raw) => Ok((raw, found.notes)),
            None => Err(Error::format(&shown(Some(source), &found.name), "there is no example in it")),
        }
    }

    /// What a source holds; of a table that is no training set only the columns that this has.
    fn find(&self, source: Option<&DataSource>, columns: Option<&[String]>) -> Result<Found> {
        let path = match source {
            Some(DataSource::Path(path)) => path,
            Some(&DataSource::Synthetic { kind, count, features }) => {
                self.fits("made-up data", false, false)?;
                return Ok(kind.found(count, features, self.seed));
            }
            None => {
                self.fits("the embedded MNIST", false, false)?;
                return mnist::embedded();
            }
        };
        let (file, array) = split_array(path);
        let is_folder = std::fs::metadata(&file).map_err(Error::io("reading", &file))?.is_dir();
        if idx_files::are_at(path) {
            self.fits("a folder of IDX files", false, false)?;
            return match mnist::read_canonical(path)? {
                Some(found) => Ok(found),
                None => idx::read(path),
            };
        }
        if is_folder {
            self.fits("a folder of images", true, false)?;
            return folder::read(path, self);
        }
        let kind = file.extension().map(|kind| kind.to_string_lossy().to_lowercase()).unwrap_or_default();
        self.fits("a file of arrays", false, kind == "csv" || kind == "tsv")?;
        match kind.as_str() {
            "npy" => arrays::read_npy(&file, self.in_memory.unwrap_or(IN_MEMORY)),
            "npz" => arrays::read_npz(&file, array.as_deref()),
            "csv" | "tsv" => table::read(&file, self, columns),
            _ => Err(Error::format(
                path,
                "data are .npy, .npz, .csv or .tsv files, or a folder of images or of IDX files",
            )),
        }
    }

    /// Refuses options that a kind of source does not have; a trained model's may belong to its own data alone.
    fn fits(&self, what: &str, images: bool, table: bool) -> Result<()> {
        if self.known.is_some() {
            return Ok(());
        }
        let refuse = |given: bool, option: &str, of: &str| match given {
            true => Err(Error::Usage(format!("{option} is for {of}: {what} has no use for it"))),
            false => Ok(()),
        };
        let folder = "a folder of images";
        refuse(self.image_size.is_some() && !images, "--image-size", folder)?;
        refuse(self.channels.is_some() && !images, "--channels", folder)?;
        refuse(self.background != Background::default() && !images, "--background", folder)?;
        let file = "a .csv or .tsv file";
        refuse(self.label_column.is_some() && !table, "--label-column", file)?;
        refuse(!self.drop_columns.is_empty() && !table, "--drop-columns", file)?;
        refuse(self.header != Header::Auto && !table, "--header", file)
    }

    /// The examples whose values all are numbers, or an error where some are not and may not be left out.
    fn finite(&self, part: Part, notes: &mut Vec<String>) -> Result<Part> {
        let Part { set, raw, path } = &part;
        let (features, what) = (raw.size.features(), format!("{}example", set.adjective()));
        let (mut bad, mut first, mut at) = (Vec::new(), None, 0);
        if !raw.numbers.are_bytes() {
            raw.numbers.each(|value| {
                if !value.is_finite() {
                    first.get_or_insert((at, value));
                    if bad.last() != Some(&(at / features)) {
                        bad.push(at / features);
                    }
                }
                at += 1;
            })?;
        }
        let Some((at, value)) = first else { return Ok(part) };
        let name = |row: usize| raw.names.get(row).map_or(String::new(), |name| format!(", {name}"));
        if self.drop_bad && bad.len() < raw.count() {
            let mut tally = Tally::default();
            bad.iter().for_each(|&row| tally.add(format_args!("number {row} from 0{}", name(row))));
            let values = "values that are not finite, and";
            tally.note(&what, &format!("holds {values} is left out"), &format!("hold {values} are left out"), notes);
            let good: Vec<usize> = (0..raw.count()).filter(|row| bad.binary_search(row).is_err()).collect();
            let mut raw = raw.select(&good);
            if raw.names.is_empty() {
                raw.names = good.iter().map(|row| format!("row {row}")).collect();
            }
            return Ok(Part { raw, ..part });
        }
        let (row, column) = (at / features, at % features);
        let column = raw.columns.get(column).map_or(format!("{column}"), |name| format!("{column} ({name})"));
        let reason = format!(
            "{what} {row} (from 0{}) holds {value} as value {column}; {} of {} {what}s hold such: values must be finite \
             numbers; --drop-bad leaves the others in",
            name(row),
            bad.len(),
            raw.count()
        );
        Err(Error::format(path, reason))
    }

    /// Two sets out of one: which examples are tested follows from the seed.
    fn divide(&self, part: Part) -> Result<[Part; 2]> {
        let (count, split, path) = (part.raw.count(), self.split.unwrap_or(SPLIT), &part.path);
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
        let of = |set: Set, positions: &[usize]| Part { set, raw: part.raw.select(positions), path: path.clone() };
        Ok([of(Set::Train, train), of(Set::Test, test)])
    }
}

/// The path of a source, for messages.
fn shown(source: Option<&DataSource>, name: &str) -> PathBuf {
    match source {
        Some(DataSource::Path(path)) => path.clone(),
        _ => Path::new(name).to_owned(),
    }
}
