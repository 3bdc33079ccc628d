//! The names of IDX files: MNIST's, `train-images-idx3-ubyte`, and those of its family, `emnist-letters-test-labels-...`.

use std::fs;
use std::path::{Path, PathBuf};

use super::reading::Set;
use crate::error::{Error, Result};

/// What a file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Content {
    Images,
    Labels,
}

/// A file with what its name says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Named {
    pub(super) path: PathBuf,
    /// What stands before the set: `emnist-letters-`, mostly nothing.
    prefix: String,
    set: Set,
    content: Content,
}

/// The files of one data set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Files {
    pub(super) prefix: String,
    files: Vec<Named>,
}

impl Named {
    /// `[PREFIX]SET-images-idx3-ubyte` or with a dot before `idx3`, and `labels` with `idx1`; any of them with `.gz`.
    fn of(path: &Path) -> Option<Named> {
        let name = path.file_name()?.to_str()?;
        let lower = name.to_lowercase();
        let stem = lower.strip_suffix(".gz").unwrap_or(&lower);
        let (content, at) = [(Content::Images, "-images"), (Content::Labels, "-labels")]
            .into_iter()
            .find_map(|(content, word)| Some((content, stem.find(word)?)))?;
        let rest = &stem[at + "-images".len()..];
        if !rest.starts_with("-idx") && !rest.starts_with(".idx") {
            return None;
        }
        let set = stem[..at].rsplit('-').next()?;
        let kind = if set == "t10k" { Set::Test } else { Set::named(set)? };
        let prefix = name.get(..at - set.len())?.to_owned();
        Some(Named { path: path.to_owned(), prefix, set: kind, content })
    }

    /// A plain file before a compressed one, the usual spelling before the dotted one.
    fn rank(&self) -> (bool, bool) {
        let name = self.path.to_string_lossy();
        (name.ends_with(".gz"), !name.contains("-idx"))
    }
}

/// Whether a folder holds such files, so that it is one of IDX files; whether a file is one.
pub(super) fn are_at(path: &Path) -> bool {
    match fs::read_dir(path) {
        Ok(entries) => entries.flatten().any(|entry| Named::of(&entry.path()).is_some() && entry.path().is_file()),
        Err(_) => Named::of(path).is_some(),
    }
}

impl Files {
    /// Those of a folder, which must be of one data set; or all of the data set that a file of training images is of; or
    /// another file alone, with its labels.
    pub(super) fn locate(path: &Path) -> Result<Files> {
        let named = (!path.is_dir()).then(|| Named::of(path)).flatten();
        let dir = if named.is_some() { path.parent().unwrap_or(Path::new("")) } else { path };
        let dir = if dir == Path::new("") { Path::new(".") } else { dir };
        let entries = fs::read_dir(dir).map_err(Error::io("reading", dir))?;
        let mut files: Vec<Named> = entries
            .flatten()
            .map(|entry| entry.path())
            .filter(|path| path.is_file())
            .filter_map(|path| Named::of(&path))
            .collect();
        files.sort_by(|a, b| (a.rank(), &a.path).cmp(&(b.rank(), &b.path)));
        if let Some(named) = &named {
            files.retain(|file| file.prefix == named.prefix);
            if named.set != Set::Train {
                files.retain(|file| file.set == named.set);
            }
            // The file that was named, not its twin.
            files.retain(|file| {
                file.path.file_name() == named.path.file_name()
                    || (file.set, file.content) != (named.set, named.content)
            });
        }
        let mut prefixes: Vec<String> = files.iter().map(|file| file.prefix.clone()).collect();
        prefixes.sort_unstable();
        prefixes.dedup();
        let [prefix] = prefixes.as_slice() else {
            let first = files.iter().find(|file| (file.set, file.content) == (Set::Train, Content::Images));
            let example = first.or(files.first()).map_or(PathBuf::new(), |file| file.path.clone());
            let reason = format!(
                "it holds the files of {} data sets, which begin {}: name one by its training images, as {}",
                prefixes.len(),
                prefixes.join(", "),
                example.display()
            );
            return Err(Error::format(dir, reason));
        };
        let files = Files { prefix: prefix.clone(), files };
        if named.is_none() && files.get(Set::Train, Content::Images).is_none() {
            let usual = format!("{prefix}train-images-idx3-ubyte");
            let dotted = format!("{prefix}train-images.idx3-ubyte");
            let reason = format!("a file is missing: allowed names are {usual}, {dotted}, {usual}.gz and {dotted}.gz");
            return Err(Error::format(dir, reason));
        }
        Ok(files)
    }

    pub(super) fn get(&self, set: Set, content: Content) -> Option<&Named> {
        self.files.iter().find(|file| (file.set, file.content) == (set, content))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_set_and_content() {
        let of = |name: &str| Named::of(Path::new(name)).map(|named| (named.prefix, named.set, named.content));
        assert_eq!(of("a/train-images-idx3-ubyte"), Some((String::new(), Set::Train, Content::Images)));
        assert_eq!(of("t10k-labels.idx1-ubyte.gz"), Some((String::new(), Set::Test, Content::Labels)));
        assert_eq!(
            of("emnist-letters-test-images-idx3-ubyte.gz"),
            Some(("emnist-letters-".to_owned(), Set::Test, Content::Images))
        );
        assert_eq!(of("train-images-idx3-float"), Some((String::new(), Set::Train, Content::Images)));
        for name in ["train-images.png", "images-idx3-ubyte", "other-images-idx3-ubyte", "train-images-idx3-ubyte/x"] {
            assert_eq!(of(name), None, "{name}");
        }
    }
}
