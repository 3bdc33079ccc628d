//! Data that a configuration file names by a path relative to itself.

use std::path::{Path, absolute};

use toml::{Table, Value};

use crate::data::DataSource;
use crate::error::{Error, Result};

/// Makes the paths of data in the table of the file at `path` absolute; made-up data stay.
///
/// # Errors
/// [`Error::Format`] where such a path is no text, [`Error::Io`] where the working directory is not known.
pub(super) fn resolve(table: &mut Table, path: &Path) -> Result<()> {
    // What comes through a pipe or a descriptor lies in no folder of the user's.
    let lies = path.is_file() && !path.starts_with("/dev");
    let folder = path.parent().filter(|_| lies).unwrap_or(Path::new(""));
    for key in ["data", "test-data"] {
        let Some(Value::String(text)) = table.get(key) else { continue };
        let DataSource::Path(data) = text.parse()? else { continue };
        if data.as_os_str().is_empty() {
            continue; // no path, and not the folder's
        }
        let data = absolute(folder.join(data)).map_err(Error::io("resolving", path))?;
        let source = Value::try_from(DataSource::Path(data).resolved());
        let source = source.map_err(|error| Error::format(path, format!("{key} can't be resolved: {error}")))?;
        table.insert(key.to_owned(), source);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::config::TrainConfig;

    #[test]
    fn data_lie_beside_the_file_that_names_them() {
        let folder = tempfile::tempdir().unwrap();
        let root = std::fs::canonicalize(folder.path()).unwrap();
        std::fs::create_dir(root.join("inner")).unwrap();
        std::fs::write(root.join("there.npz"), b"").unwrap();
        let path = root.join("inner/config.toml");
        let absolute = root.join("elsewhere.npy").display().to_string();
        let cases = [
            ("../there.npz", root.join("there.npz").display().to_string()),
            ("../there.npz:x", root.join("there.npz:x").display().to_string()),
            ("missing.npy", root.join("inner/missing.npy").display().to_string()),
            ("./uniform:3x2", root.join("inner/uniform:3x2").display().to_string()),
            ("uniform:3x2", "uniform:3x2".to_owned()),
            (&absolute, absolute.clone()),
            ("", String::new()),
        ];
        for (written, wanted) in cases {
            std::fs::write(&path, format!("data = '{written}'\ntest-data = '{written}'\n")).unwrap();
            let table = TrainConfig::table(&path).unwrap();
            assert_eq!([&table["data"], &table["test-data"]], [&wanted.as_str().into(); 2], "{written}");
            let of_run = TrainConfig::load_of_run(&path).unwrap();
            assert_eq!(of_run.data, Some(written.parse().unwrap()), "a run's file is not moved");
            let again = root.join("again.toml");
            std::fs::write(&again, table.to_string()).unwrap();
            assert_eq!(TrainConfig::table(&again).unwrap(), table, "{written}");
        }
    }
}
