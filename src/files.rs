//! Writing a file so that a reader sees the old content or the new, never a part.

use std::fs;
use std::io::Write;
use std::path::Path;

use crate::error::{Error, Result};

/// Replaces the file at `path` by `bytes` in one step.
///
/// The bytes go to a temporary file in the same folder, which is flushed to the disk and then renamed to `path`; the
/// folder is flushed after that, so that the rename survives a power cut too. The file gets the permissions of any new
/// file (0666 less the umask on Unix). A symbolic link at `path` is replaced, not followed.
///
/// # Errors
/// [`Error::Io`] that names `path`. The folder must exist: it is not created. After an error the old file, if there was
/// one, is as it was, and no temporary file is left.
pub fn write_atomic(path: &Path, bytes: &[u8]) -> Result<()> {
    replace(path, bytes).map_err(Error::io("writing", path))
}

/// Begin and end of a temporary file's name.
const PART: (&str, &str) = (".", ".part");

/// Whether a file's name is that of a temporary file of [`write_atomic`].
pub(crate) fn is_part(name: &std::ffi::OsStr) -> bool {
    name.to_str().is_some_and(|name| name.starts_with(PART.0) && name.ends_with(PART.1))
}

fn replace(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    // The parent of a bare file name is "", which no system call accepts.
    let folder = match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    let mut builder = tempfile::Builder::new();
    builder.prefix(PART.0).suffix(PART.1);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(fs::Permissions::from_mode(0o666)); // the system takes the umask off
    }
    let mut file = builder.tempfile_in(folder)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|failed| failed.error)?;
    sync_folder(folder)
}

#[cfg(unix)]
fn sync_folder(folder: &Path) -> std::io::Result<()> {
    use std::io::ErrorKind;
    match fs::File::open(folder)?.sync_all() {
        // Some file systems have no flush for folders; the file itself is whole on the disk.
        Err(error) if matches!(error.kind(), ErrorKind::InvalidInput | ErrorKind::Unsupported) => Ok(()),
        done => done,
    }
}

/// Only Unix opens a folder as a file; elsewhere the rename is left to the file system.
#[cfg(not(unix))]
fn sync_folder(_folder: &Path) -> std::io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names_in(folder: &Path) -> Vec<String> {
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[test]
    fn replaces_the_content_and_leaves_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metrics.json");
        write_atomic(&path, b"a long first content").unwrap();
        write_atomic(&path, b"second").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"second");
        assert_eq!(names_in(folder.path()), ["metrics.json"]);
    }

    #[test]
    fn a_failure_names_the_target_and_leaves_no_temporary_file() {
        let folder = tempfile::tempdir().unwrap();
        let missing = folder.path().join("missing").join("last.safetensors");
        let error = write_atomic(&missing, b"x").unwrap_err();
        assert!(error.to_string().contains("last.safetensors"), "{error}");

        let occupied = folder.path().join("occupied"); // a file can't replace a folder
        fs::create_dir(&occupied).unwrap();
        assert!(matches!(write_atomic(&occupied, b"x"), Err(Error::Io { .. })));
        assert_eq!(names_in(folder.path()), ["occupied"]);
    }

    #[cfg(unix)]
    #[test]
    fn the_permissions_are_those_of_an_ordinary_new_file() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let (ours, ordinary) = (folder.path().join("ours"), folder.path().join("ordinary"));
        write_atomic(&ours, b"x").unwrap();
        fs::write(&ordinary, b"x").unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode(&ours), mode(&ordinary));
    }
}
