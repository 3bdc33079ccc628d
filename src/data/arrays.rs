//! Data in NumPy's files: one array in `.npy`, several in `.npz`.
//!
//! Arrays are `[n, values]` (a table), `[n, height, width]`, or images of 1 or 3 channels with these last, as most
//! programs have them, or second, as PyTorch does. Of an `.npz` the one named after a colon is read; without a name
//! `x_train`, `x_test`, `y_train` and `y_test` (Keras' layout), or the only one that is no list of labels.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use npyz::npz::{NpzArchive, file_name_from_array_name};
use zip::read::ZipFile;

use super::npy::{Array, Header};
use super::reading::Found;
use super::{ImageSize, Images, Values};
use crate::error::{Error, Result};

/// Names under which an archive may hold the labels of its only array.
const LABELS: [&str; 4] = ["labels", "label", "y", "target"];

/// The array of a `.npy` file.
pub(super) fn read_npy(path: &Path) -> Result<Found> {
    let array = Array::read(path)?;
    let table = array.shape.len() == 2;
    let images = images(array, None).map_err(|reason| Error::format(path, reason))?;
    Ok(Found { table, ..Found::one(path, images) })
}

/// The array `name` of a `.npz` file, or the one or two that its names tell.
pub(super) fn read_npz(path: &Path, name: Option<&str>) -> Result<Found> {
    let file = File::open(path).map_err(Error::io("reading", path))?;
    let broken = |error: std::io::Error| Error::format(path, format!("it is no whole .npz file: {error}"));
    let mut archive = Archive { path, archive: NpzArchive::new(BufReader::new(file)).map_err(broken)? };
    let names: Vec<String> = archive.archive.array_names().map(str::to_owned).collect();
    let holds = |name: &str| names.iter().any(|held| held == name);
    if name.is_none() && holds("x_train") {
        let mut set = |x: &str, y: &str| -> Result<Option<(Images, bool)>> {
            let labels = if holds(y) { Some(y) } else { None };
            holds(x).then(|| archive.images(x, labels)).transpose()
        };
        let test = set("x_test", "y_test")?.map(|(test, _)| test);
        let Some((train, table)) = set("x_train", "y_train")? else { unreachable!("it holds x_train") };
        return Ok(Found { test, table, ..Found::one(path, train) });
    }
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
    let (images, table) = archive.images(data, labels)?;
    Ok(Found { table, ..Found::one(path, images) })
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

    /// Images, and whether they are a table.
    fn images(&mut self, name: &str, labels: Option<&str>) -> Result<(Images, bool)> {
        let array = self.array(name)?;
        let table = array.shape.len() == 2;
        let labels = labels.map(|labels| self.array(labels)).transpose()?;
        let path = self.path;
        let images =
            images(array, labels).map_err(|reason| Error::format(path, format!("array {name:?}: {reason}")))?;
        Ok((images, table))
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

/// An array as images, with these labels.
fn images(array: Array, labels: Option<Array>) -> Result<Images, String> {
    let Array { shape, values } = array;
    let (size, values) = match *shape.as_slice() {
        [_, features] => (ImageSize::of_features(features), values),
        [_, height, width] => (ImageSize::grey(height, width), values),
        [_, height, width, channels @ (1 | 3)] => (ImageSize { height, width, channels }, values),
        [_, channels @ (1 | 3), height, width] => {
            let size = ImageSize { height, width, channels };
            (size, interleaved(values, size))
        }
        _ => {
            return Err(format!(
                "its shape is {shape:?}: it must be [n, values], [n, height, width], [n, height, width, 1 or 3] or \
                 [n, 1 or 3, height, width]"
            ));
        }
    };
    let count = shape[0];
    if count == 0 || size.features() == 0 {
        return Err(format!("its shape is {shape:?}: there is no value in it"));
    }
    let labels = match labels {
        None => vec![0; count],
        Some(labels) if labels.values.len() == count => match labels.values {
            Values::Bytes(labels) => labels,
            Values::Reals(labels) => {
                let label =
                    |&label: &f32| (label.fract() == 0.0 && (0.0..256.0).contains(&label)).then_some(label as u8);
                labels
                    .iter()
                    .map(label)
                    .collect::<Option<_>>()
                    .ok_or("its labels must be whole numbers from 0 to 255")?
            }
        },
        Some(labels) => {
            return Err(format!("it has {count} examples and {} labels: must be equal", labels.values.len()));
        }
    };
    Ok(Images { size, pixels: values, labels })
}

/// Channels that lie one after another, brought together pixel by pixel.
fn interleaved(values: Values, size: ImageSize) -> Values {
    fn sorted<T: Copy>(values: &[T], size: ImageSize) -> Vec<T> {
        let pixels = size.height * size.width;
        let image = |image: &[T]| -> Vec<T> {
            (0..pixels).flat_map(|at| (0..size.channels).map(move |c| c * pixels + at)).map(|at| image[at]).collect()
        };
        values.chunks(size.features().max(1)).flat_map(image).collect()
    }
    match values {
        Values::Bytes(bytes) => Values::Bytes(sorted(&bytes, size)),
        Values::Reals(reals) => Values::Reals(sorted(&reals, size)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(shape: &[usize]) -> Array {
        let count = shape.iter().product::<usize>();
        Array { shape: shape.to_vec(), values: Values::Bytes((0..count).map(|i| i as u8).collect()) }
    }

    #[test]
    fn shapes_become_sizes() {
        let size = |shape: &[usize]| images(bytes(shape), None).map(|images| images.size.to_string());
        assert_eq!(size(&[5, 16]).unwrap(), "4x4");
        assert_eq!(size(&[5, 6]).unwrap(), "1x6");
        assert_eq!(size(&[5, 2, 3]).unwrap(), "2x3");
        assert_eq!(size(&[5, 2, 3, 3]).unwrap(), "2x3 RGB");
        assert_eq!(size(&[5, 3, 2, 4]).unwrap(), "2x4 RGB");
        for shape in [&[5][..], &[5, 2, 2, 4], &[0, 4], &[4, 0], &[1, 2, 3, 4, 5]] {
            assert!(size(shape).unwrap_err().contains("shape"), "{shape:?}");
        }
    }

    #[test]
    fn channels_that_come_first_are_brought_together() {
        let first = images(bytes(&[2, 3, 1, 2]), None).unwrap();
        assert_eq!(first.pixels, Values::Bytes(vec![0, 2, 4, 1, 3, 5, 6, 8, 10, 7, 9, 11]));
    }

    #[test]
    fn labels_must_fit() {
        let labels = |values: Vec<f32>| Some(Array { shape: vec![values.len()], values: Values::Reals(values) });
        assert_eq!(images(bytes(&[2, 4]), labels(vec![7.0, 255.0])).unwrap().labels, [7, 255]);
        assert!(images(bytes(&[2, 4]), labels(vec![7.0])).unwrap_err().contains("1 labels"));
        assert!(images(bytes(&[2, 4]), labels(vec![7.0, 0.5])).unwrap_err().contains("whole numbers"));
    }
}
