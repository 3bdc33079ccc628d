//! Data in NumPy's files: one array in `.npy`, several in `.npz`.
//!
//! Arrays are `[n, values]` (a table), `[n, height, width]`, or images of 1 to 16 channels with these last, as most
//! programs have them, or second, as PyTorch does: whichever is 1 or 3, else the smaller, else the last. Of an `.npz` the one named after a colon is read; without a name
//! `x_train`, `x_val`, `x_test` with their `y_` (Keras' layout), or the only one that is no list of labels. A `.npy` file
//! that is larger than what is held in memory stays where it is, and is read row by row.

use std::fs::File;
use std::io::{BufReader, Read, Seek};
use std::path::Path;

use npyz::npz::{NpzArchive, file_name_from_array_name};
use zip::read::ZipFile;

use super::labels::Labels;
use super::npy::{Array, Content, Header};
use super::numbers::Numbers;
use super::raw::Raw;
use super::reading::{Found, Set};
use super::stored::Stored;
use super::{ImageSize, idx};
use crate::error::{Error, Result};

/// Names under which an archive may hold the labels of its only array.
const LABELS: [&str; 6] = ["labels", "label", "y", "target", "targets", "classes"];
/// What Keras' layout calls the sets.
const SETS: [(Set, &[&str]); 3] =
    [(Set::Train, &["train"]), (Set::Validation, &["val", "valid", "validation"]), (Set::Test, &["test"])];

/// The array of a `.npy` file; one of more than `most` bytes is not held in memory.
pub(super) fn read_npy(path: &Path, most: u64) -> Result<Found> {
    let raw = |reason: String| Error::format(path, reason);
    let mut file = BufReader::new(File::open(path).map_err(Error::io("reading", path))?);
    let mut notes = Vec::new();
    let (shape, content) = match stored(path, &mut file, most)? {
        Some((shape, stored)) => {
            notes.push(format!("{} bytes stay in their file, and are read as they are needed", stored.bytes()));
            (shape, Content::Numbers(Numbers::Stored(stored)))
        }
        None => {
            file.rewind().map_err(Error::io("reading", path))?;
            let Array { shape, content } = Array::decode(file).map_err(raw)?;
            (shape, content)
        }
    };
    let table = shape.len() == 2;
    let examples = examples(&shape, content).map_err(raw)?;
    Ok(Found { name: idx::folder_name(path), sets: vec![(Set::All, examples)], table, notes })
}

/// The rows of an array in C order that takes more than `most` bytes; none of a smaller one, or one that is not whole.
fn stored(path: &Path, file: &mut BufReader<File>, most: u64) -> Result<Option<(Vec<usize>, Stored)>> {
    let Ok(header) = Header::read(file) else { return Ok(None) };
    let (Some(element), [count, row @ ..]) = (header.element(), header.shape.as_slice()) else { return Ok(None) };
    let features = row.iter().try_fold(1, |features: usize, &len| features.checked_mul(len));
    let Some((values, features)) = features.and_then(|features| Some((features.checked_mul(*count)?, features))) else {
        return Ok(None);
    };
    let bytes = |size: usize| (values as u64).saturating_mul(size as u64);
    let start = file.stream_position().map_err(Error::io("reading", path))?;
    let file = file.get_ref().try_clone().map_err(Error::io("reading", path))?;
    let held = file.metadata().map_err(Error::io("reading", path))?.len();
    let is_whole = held >= start.saturating_add(bytes(element.size()));
    match u32::try_from(*count) {
        Ok(count) if bytes(element.size_in_memory()) > most && is_whole && !header.fortran && !row.is_empty() => {
            Ok(Some((header.shape.clone(), Stored::new(file, path, start, element, features, count))))
        }
        _ => Ok(None),
    }
}

/// The array `name` of a `.npz` file, or those that its names tell.
pub(super) fn read_npz(path: &Path, name: Option<&str>) -> Result<Found> {
    let file = File::open(path).map_err(Error::io("reading", path))?;
    let broken = |error: std::io::Error| Error::format(path, format!("it is no whole .npz file: {error}"));
    let mut archive = Archive { path, archive: NpzArchive::new(BufReader::new(file)).map_err(broken)? };
    let names: Vec<String> = archive.archive.array_names().map(str::to_owned).collect();
    let holds = |name: &str| names.iter().any(|held| held == name);
    let (mut sets, mut notes, mut table) = (Vec::new(), Vec::new(), false);
    let mut add = |set: Set, data: &str, labels: Option<&str>, archive: &mut Archive<'_>| -> Result<()> {
        let array = archive.array(data)?;
        table = array.shape.len() == 2;
        let refused = |reason| Error::format(path, format!("array {data:?}: {reason}"));
        let mut examples = examples(&array.shape, array.content).map_err(refused)?;
        if let Some(name) = labels {
            let (of, note) = self::labels(archive.array(name)?, examples.count())
                .map_err(|reason| Error::format(path, format!("array {name:?}: {reason}")))?;
            examples.labels = of;
            notes.extend(note.map(|note| format!("array {name:?}: {note}")));
        }
        sets.push((set, examples));
        Ok(())
    };
    if name.is_none() && holds("x_train") {
        for (set, words) in SETS {
            for word in words {
                let (x, y) = (format!("x_{word}"), format!("y_{word}"));
                if holds(&x) {
                    add(set, &x, holds(&y).then_some(&y), &mut archive)?;
                }
            }
        }
    } else {
        let labels = LABELS.into_iter().find(|&label| holds(label) && Some(label) != name);
        let data = match name {
            Some(name) if holds(name) => name,
            Some(name) => return Err(archive.refuse(&names, &format!("there is no array {name:?}"))),
            None => {
                let mut others = names.iter().filter(|&held| Some(held.as_str()) != labels);
                match (others.next(), others.next()) {
                    (Some(only), None) => only,
                    (None, _) => return Err(archive.refuse(&names, "there is no array of data")),
                    _ => return Err(archive.refuse(&names, "there are several arrays: name one, as in FILE.npz:NAME")),
                }
            }
        };
        add(Set::All, data, labels, &mut archive)?;
    }
    Ok(Found { name: idx::folder_name(path), sets, table, notes })
}

struct Archive<'p> {
    path: &'p Path,
    archive: NpzArchive<BufReader<File>>,
}

impl Archive<'_> {
    fn open(&mut self, name: &str) -> Result<ZipFile<'_>, String> {
        let file = self.archive.zip_archive().by_name(&file_name_from_array_name(name));
        file.map_err(|error| error.to_string())
    }

    fn array(&mut self, name: &str) -> Result<Array> {
        let read = |file| {
            let mut file = BufReader::new(file);
            let array = Array::decode(&mut file)?;
            // Where its bytes end, their checksum is compared with the archive's.
            file.read(&mut [0]).map_err(|error| error.to_string())?;
            Ok(array)
        };
        let array = self.open(name).and_then(read);
        array.map_err(|reason: String| Error::format(self.path, format!("array {name:?}: {reason}")))
    }

    /// An error that lists the arrays.
    fn refuse(&mut self, names: &[String], reason: &str) -> Error {
        let mut shape = |name: &str| self.open(name).and_then(|mut file| Ok(Header::read(&mut file)?.shape));
        let shapes = names.iter().take(20).map(|name| match shape(name) {
            Ok(shape) => format!("{name} {shape:?}"),
            Err(_) => format!("{name} (unreadable)"),
        });
        let shapes = shapes.collect::<Vec<_>>().join(", ");
        Error::format(self.path, format!("{reason}; its arrays are: {shapes}"))
    }
}

/// An array as examples without labels.
fn examples(shape: &[usize], content: Content) -> Result<Raw, String> {
    let Content::Numbers(numbers) = content else {
        return Err("its values are texts: data must be numbers".to_owned());
    };
    let (size, channels_first) = match *shape {
        [_, features] => (ImageSize::of_features(features), false),
        [_, height, width] => (ImageSize::grey(height, width), false),
        [_, height, width, channels @ (1 | 3)] => (ImageSize { height, width, channels }, false),
        [_, channels @ (1 | 3), height, width] => (ImageSize { height, width, channels }, true),
        [_, height, width, channels] if channels <= ImageSize::MOST_CHANNELS && channels <= height => {
            (ImageSize { height, width, channels }, false)
        }
        [_, channels, height, width] if channels <= ImageSize::MOST_CHANNELS => {
            (ImageSize { height, width, channels }, true)
        }
        _ => {
            return Err(format!(
                "its shape is {shape:?}: it must be [n, values], [n, height, width], [n, height, width, channels] or \
                 [n, channels, height, width], of 1 to 16 channels"
            ));
        }
    };
    if numbers.is_empty() {
        return Err(format!("its shape is {shape:?}: there is no value in it"));
    }
    let numbers = match channels_first && size.channels > 1 {
        true => {
            let pixels = size.height * size.width;
            let from = (0..size.features()).map(|at| at % size.channels * pixels + at / size.channels).collect();
            numbers.permuted(size.features(), from)
        }
        false => numbers,
    };
    Ok(Raw::numbers(size, numbers))
}

/// The labels of `count` examples, one each, or a row each with a one at its class; and what is to be said of them.
fn labels(array: Array, count: usize) -> Result<(Labels, Option<&'static str>), String> {
    let shape = array.shape;
    let classes = match *shape.as_slice() {
        [n] | [n, 1] if n == count => 1,
        [n, classes] if n == count => classes,
        _ => return Err(format!("its shape is {shape:?}: it must be [{count}], a label for each example")),
    };
    let numbers = match array.content {
        Content::Texts(texts) if classes == 1 => return Ok((Labels::Texts(texts), None)),
        Content::Texts(_) => {
            return Ok((Labels::None, Some("several texts an example are no class: there are no labels")));
        }
        Content::Numbers(numbers) => numbers.converted(classes, |_, value| value),
    };
    if classes == 1 {
        return Ok(match Labels::Numbers(numbers) {
            labels if labels.are_real() => {
                (Labels::None, Some("numbers that are not whole are no classes: examples have no labels"))
            }
            labels => (labels, None),
        });
    }
    let class = |row: &[f64]| {
        let one = row.iter().position(|&value| value == 1.0)?;
        row.iter().enumerate().all(|(at, &value)| at == one || value == 0.0).then_some(one as f64)
    };
    Ok(match numbers.chunks(classes.max(1)).map(class).collect::<Option<Vec<f64>>>() {
        Some(numbers) => (Labels::Numbers(numbers), Some("a row with a one at each example's class: one-hot labels")),
        None => (Labels::None, Some("several numbers an example are no class: examples have no labels")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(shape: &[usize]) -> Result<Raw, String> {
        let count = shape.iter().product::<usize>();
        examples(shape, Content::Numbers(Numbers::Bytes((0..count).map(|i| i as u8).collect())))
    }

    #[test]
    fn shapes_become_sizes() {
        let size = |shape: &[usize]| bytes(shape).map(|examples| examples.size.to_string());
        assert_eq!(size(&[5, 16]).unwrap(), "4x4");
        assert_eq!(size(&[5, 6]).unwrap(), "1x6");
        assert_eq!(size(&[5, 2, 3]).unwrap(), "2x3");
        assert_eq!(size(&[5, 2, 3, 3]).unwrap(), "2x3 RGB");
        assert_eq!(size(&[5, 3, 2, 4]).unwrap(), "2x4 RGB");
        assert_eq!([size(&[5, 8, 9, 5]).unwrap(), size(&[5, 5, 8, 9]).unwrap()], ["8x9x5"; 2]);
        for shape in [&[5][..], &[5, 17, 18, 19], &[0, 4], &[4, 0], &[1, 2, 3, 4, 5]] {
            assert!(size(shape).unwrap_err().contains("shape"), "{shape:?}");
        }
    }

    #[test]
    fn channels_that_come_first_are_brought_together() {
        let first = bytes(&[2, 3, 1, 2]).unwrap();
        assert_eq!(first.numbers, Numbers::Bytes(vec![0, 2, 4, 1, 3, 5, 6, 8, 10, 7, 9, 11]));
    }

    #[test]
    fn labels_are_classes_or_none() {
        let of = |shape: &[usize], values: Vec<f32>| {
            labels(Array { shape: shape.to_vec(), content: Content::Numbers(Numbers::Floats(values)) }, 2)
        };
        assert_eq!(of(&[2], vec![7.0, 300.0]).unwrap(), (Labels::Numbers(vec![7.0, 300.0]), None));
        assert_eq!(of(&[2, 1], vec![7.0, -1.0]).unwrap().0, Labels::Numbers(vec![7.0, -1.0]));
        assert!(of(&[1], vec![7.0]).unwrap_err().contains("[2]"));
        let (none, note) = of(&[2], vec![7.0, 0.5]).unwrap();
        assert!(none == Labels::None && note.unwrap().contains("no classes"));
        let (one_hot, note) = of(&[2, 3], vec![0.0, 1.0, 0.0, 0.0, 0.0, 1.0]).unwrap();
        assert!(one_hot == Labels::Numbers(vec![1.0, 2.0]) && note.unwrap().contains("one-hot"));
        assert_eq!(of(&[2, 2], vec![1.0, 1.0, 0.0, 0.0]).unwrap().0, Labels::None);
        let texts = Content::Texts(vec!["b".to_owned(), "a".to_owned()]);
        let (named, _) = labels(Array { shape: vec![2], content: texts }, 2).unwrap();
        assert_eq!(named, Labels::Texts(vec!["b".to_owned(), "a".to_owned()]));
    }
}
