//! Where data come from, as a flag and a configuration file say it.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Synthetic;
use crate::error::{Error, Result};

/// Where a data set comes from; as text "uniform:NxD", "normal:NxD" (N examples of D values), or a path.
///
/// A path that begins like a made-up set is written with its folder: `./uniform:1x1`. One that ends in `.npz:NAME` names
/// an array in that file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DataSource {
    /// A folder of images or of IDX files, or a file: `.npy`, `.npz` (or one array of it, `FILE.npz:NAME`), `.csv`.
    Path(PathBuf),
    /// Made up from random numbers ([`Synthetic`]).
    Synthetic {
        /// What its values are drawn from.
        kind: Synthetic,
        /// Training examples, and as many test examples.
        count: usize,
        /// Values an example.
        features: usize,
    },
}

impl DataSource {
    /// The same source by an absolute path, so that it is found again from any folder; one that can't be resolved stays as
    /// it is, and is reported when it is read.
    pub fn resolved(self) -> DataSource {
        let DataSource::Path(path) = &self else { return self };
        let (file, array) = split_array(path);
        let Ok(file) = std::fs::canonicalize(file) else { return self };
        DataSource::Path(match array {
            Some(array) => PathBuf::from(format!("{}:{array}", file.display())),
            None => file,
        })
    }
}

/// `FILE.npz:NAME` as the file and the array's name; any other path as it is.
pub(super) fn split_array(path: &Path) -> (PathBuf, Option<String>) {
    let parts = path.to_str().and_then(|text| text.rsplit_once(".npz:"));
    match parts {
        Some((stem, array)) => (PathBuf::from(format!("{stem}.npz")), Some(array.to_owned())),
        None => (path.to_owned(), None),
    }
}

/// Values of a made-up training set at most: 1 GiB as f32.
const MOST_VALUES: usize = 1 << 28;

impl FromStr for DataSource {
    type Err = Error;
    fn from_str(text: &str) -> Result<DataSource> {
        let made_up = text.split_once(':').and_then(|(name, size)| {
            let kind = Synthetic::ALL.into_iter().find(|kind| kind.name() == name)?;
            Some((kind, size))
        });
        let Some((kind, size)) = made_up else {
            return Ok(DataSource::Path(PathBuf::from(text)));
        };
        let number = |text: &str| text.parse().ok().filter(|&number: &usize| number >= 1);
        let sizes = size.split_once('x').and_then(|(count, features)| Some((number(count)?, number(features)?)));
        match sizes {
            Some((count, features)) if count.checked_mul(features).is_some_and(|values| values <= MOST_VALUES) => {
                Ok(DataSource::Synthetic { kind, count, features })
            }
            _ => Err(Error::Usage(format!(
                "the data {text} must be {}:NxD: N examples of D values, both from 1 on, N times D at most {MOST_VALUES}; \
                 or a path",
                kind.name()
            ))),
        }
    }
}

impl fmt::Display for DataSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DataSource::Path(path) => write!(f, "{}", path.display()),
            DataSource::Synthetic { kind, count, features } => write!(f, "{}:{count}x{features}", kind.name()),
        }
    }
}

impl Serialize for DataSource {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        match self {
            // Fails where the path is no text, rather than writing another.
            DataSource::Path(path) => path.serialize(serializer),
            DataSource::Synthetic { .. } => serializer.collect_str(self),
        }
    }
}

impl<'de> Deserialize<'de> for DataSource {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<DataSource, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_survive_text_and_malformed_ones_are_refused() {
        let made_up = DataSource::Synthetic { kind: Synthetic::Uniform, count: 1000, features: 784 };
        assert_eq!("uniform:1000x784".parse::<DataSource>().unwrap(), made_up);
        #[derive(Debug, PartialEq, Serialize, Deserialize)]
        struct Holder {
            data: DataSource,
        }
        for text in ["uniform:1000x784", "normal:1x268435456", "/data/mnist", "uniform", "./uniform:1", "C:\\mnist"] {
            let data: DataSource = text.parse().unwrap();
            assert_eq!(data.to_string(), text);
            let held = Holder { data };
            assert_eq!(toml::from_str::<Holder>(&toml::to_string(&held).unwrap()).unwrap(), held);
        }
        for text in
            ["uniform:", "uniform:3", "normal:0x4", "normal:4x0", "uniform:3x4x5", "normal:-1x3", "normal:1x268435457"]
        {
            let message = text.parse::<DataSource>().unwrap_err().to_string();
            assert!(message.contains(text) && message.contains(":NxD") && message.contains("268435456"), "{message}");
        }
        assert!(toml::from_str::<Holder>("data = \"uniform:x\"").is_err());
        assert!(format!("uniform:{}x2", usize::MAX).parse::<DataSource>().is_err());
    }

    #[test]
    fn an_array_of_a_file_is_named_after_a_colon() {
        assert_eq!(split_array(Path::new("a/b.npz:x")), (PathBuf::from("a/b.npz"), Some("x".to_owned())));
        assert_eq!(split_array(Path::new("a/b.npz")), (PathBuf::from("a/b.npz"), None));
    }
}
