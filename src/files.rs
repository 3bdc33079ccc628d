//! Writing a file so that a reader sees the old content or the new, never a part.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// Replaces the file at `path` by `bytes` in one step.
///
/// The bytes go to a temporary file in the same folder, which is flushed to the disk and then renamed to `path`; the
/// folder is flushed after that, so that the rename survives a power cut too. The file gets the permissions of any new
/// file (0666 less the umask on Unix). Of a symbolic link the target is replaced, and the link stays.
///
/// What is no regular file (a device, a pipe) is opened and written to instead, as is anything in /dev or /proc except
/// the files of /dev/shm: `/dev/stdout` may stand for a file that another program has open.
///
/// # Errors
/// [`Error::Io`] that names `path`. The folder must exist: it is not created. A folder is not replaced, nor is a file
/// without write permission, even by root. After an error the old file, if there was one, is as it was, and no temporary
/// file is left.
pub fn write_atomic(path: &Path, bytes: &[u8]) -> Result<()> {
    write(path, bytes).map_err(Error::io("writing", path))
}

/// Begin and end of a temporary file's name.
const PART: (&str, &str) = (".", ".part");

/// Whether a file's name is that of a temporary file of [`write_atomic`].
pub(crate) fn is_part(name: &OsStr) -> bool {
    name.to_str().is_some_and(|name| name.starts_with(PART.0) && name.ends_with(PART.1))
}

/// Checks, before the work, that [`write_atomic`] may write to `path`; nothing is written.
///
/// # Errors
/// [`Error::Io`] that names `path`.
pub(crate) fn check_target(path: &Path) -> Result<()> {
    target(path).map(drop).map_err(Error::io("writing", path))
}

/// What bytes for a path are written to.
enum Target {
    /// A file that is open already.
    Open(File),
    /// What is opened and written to; a file of the system's own folders may be made.
    Through { path: PathBuf, make: bool },
    /// A regular file, there or not.
    Replaced(PathBuf),
}

fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    match target(path)? {
        Target::Open(mut file) => file.write_all(bytes),
        Target::Through { path, make } => {
            File::options().write(true).create(make).truncate(make).open(path)?.write_all(bytes)
        }
        Target::Replaced(path) => replace(&path, bytes),
    }
}

fn target(path: &Path) -> io::Result<Target> {
    let found = match fs::metadata(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        found => found.ok(),
    };
    let (mut path, mut system) = (path.to_owned(), false);
    loop {
        let place = fs::canonicalize(folder_of(&path))?.join(path.file_name().unwrap_or_default());
        if let Some(opened) = descriptor(&place) {
            return opened.map(Target::Open);
        }
        system |= ["/dev", "/proc"].iter().any(|root| place.starts_with(root)) && !place.starts_with("/dev/shm");
        match fs::read_link(&path) {
            Ok(link) => path = folder_of(&path).join(link),
            Err(_) => break,
        }
    }
    match found {
        Some(found) if found.is_dir() => Err(ErrorKind::IsADirectory.into()),
        Some(found) if !found.is_file() => Ok(Target::Through { path, make: false }),
        _ if system => Ok(Target::Through { path, make: true }),
        Some(found) if found.permissions().readonly() => {
            Err(io::Error::new(ErrorKind::PermissionDenied, "the file is read-only"))
        }
        _ => Ok(Target::Replaced(path)),
    }
}

/// The folder that a path lies in; the parent of a bare file name is "", which no system call accepts.
fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    }
}

/// What a process's descriptor writes to, where `place` is the name of one: it is added to, and of this process's own
/// standard output and error the position is shared.
fn descriptor(place: &Path) -> Option<io::Result<File>> {
    let folder = place.parent()?;
    let own = folder == Path::new("/dev/fd") || folder == Path::new(&format!("/proc/{}/fd", std::process::id()));
    let others = folder.starts_with("/proc") && folder.ends_with("fd");
    if !own && !others {
        return None;
    }
    #[cfg(unix)]
    {
        use std::os::fd::AsFd;
        let shared = match place.file_name().and_then(OsStr::to_str) {
            Some("1") if own => Some(io::stdout().flush().and_then(|()| io::stdout().as_fd().try_clone_to_owned())),
            Some("2") if own => Some(io::stderr().as_fd().try_clone_to_owned()),
            _ => None,
        };
        if let Some(shared) = shared {
            return Some(shared.map(File::from));
        }
    }
    Some(File::options().append(true).open(place))
}

fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = folder_of(path);
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
fn sync_folder(folder: &Path) -> io::Result<()> {
    match File::open(folder)?.sync_all() {
        // Some file systems have no flush for folders; the file itself is whole on the disk.
        Err(error) if matches!(error.kind(), ErrorKind::InvalidInput | ErrorKind::Unsupported) => Ok(()),
        done => done,
    }
}

/// Only Unix opens a folder as a file; elsewhere the rename is left to the file system.
#[cfg(not(unix))]
fn sync_folder(_folder: &Path) -> io::Result<()> {
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

    #[test]
    fn a_file_that_nobody_may_write_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kept.npy");
        fs::write(&path, b"old").unwrap();
        let mut permissions = fs::metadata(&path).unwrap().permissions();
        permissions.set_readonly(true);
        fs::set_permissions(&path, permissions).unwrap();
        for refused in [write_atomic(&path, b"new"), check_target(&path)] {
            let Err(Error::Io { path: named, source, .. }) = refused else { panic!("it is read-only") };
            assert_eq!((named, source.to_string()), (path.clone(), "the file is read-only".to_owned()));
        }
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(names_in(folder.path()), ["kept.npy"]);
    }

    #[cfg(unix)]
    #[test]
    fn a_link_stays_and_its_target_is_replaced() {
        use std::os::unix::fs::{MetadataExt, symlink};
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir(at("inner")).unwrap();
        fs::write(at("inner/file"), b"old").unwrap();
        symlink("file", at("inner/near")).unwrap();
        symlink("inner/near", at("far")).unwrap(); // a link to a link, each relative to its own folder
        symlink("inner/new", at("dangling")).unwrap();
        let before = fs::metadata(at("inner/file")).unwrap().ino();
        write_atomic(&at("far"), b"new").unwrap();
        write_atomic(&at("dangling"), b"made").unwrap();
        assert_eq!(fs::read(at("inner/file")).unwrap(), b"new");
        assert_ne!(fs::metadata(at("inner/file")).unwrap().ino(), before, "replaced, not written over");
        assert_eq!(fs::read(at("inner/new")).unwrap(), b"made");
        for link in ["far", "inner/near", "dangling"] {
            assert!(at(link).is_symlink(), "{link}");
        }

        symlink("round", at("round")).unwrap();
        symlink("missing/file", at("nowhere")).unwrap();
        symlink("inner", at("folder")).unwrap();
        for link in ["round", "nowhere", "folder"] {
            assert!(matches!(write_atomic(&at(link), b"x"), Err(Error::Io { .. })), "{link}");
            assert!(at(link).is_symlink(), "{link}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn pipes_and_devices_are_written_to() {
        use std::os::unix::fs::{FileTypeExt, symlink};
        use std::process::Command;
        let folder = tempfile::tempdir().unwrap();
        let (pipe, link) = (folder.path().join("pipe"), folder.path().join("link"));
        assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        symlink("pipe", &link).unwrap();
        for path in [&pipe, &link] {
            let reader = std::thread::spawn({
                let pipe = pipe.clone();
                move || fs::read(pipe).unwrap()
            });
            write_atomic(path, b"through").unwrap();
            assert!(fs::symlink_metadata(&pipe).unwrap().file_type().is_fifo());
            assert_eq!(reader.join().unwrap(), b"through");
        }
        assert!(link.is_symlink());

        let null = folder.path().join("null");
        if !Command::new("mknod").arg(&null).args(["c", "1", "3"]).status().is_ok_and(|made| made.success()) {
            eprintln!("SKIPPED: devices are made by root alone");
            return;
        }
        // A container may keep devices from being opened; they stay all the same.
        let _ = write_atomic(&null, b"away");
        assert!(fs::symlink_metadata(&null).unwrap().file_type().is_char_device());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn files_in_shared_memory_are_files() {
        use std::os::unix::fs::MetadataExt;
        let Ok(folder) = tempfile::tempdir_in("/dev/shm") else {
            eprintln!("SKIPPED: /dev/shm can't be written");
            return;
        };
        let path = folder.path().join("last.safetensors");
        write_atomic(&path, b"old").unwrap();
        let old = File::open(&path).unwrap();
        write_atomic(&path, b"new").unwrap();
        assert_ne!(fs::metadata(&path).unwrap().ino(), old.metadata().unwrap().ino(), "replaced, not written over");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_descriptor_is_added_to() {
        use std::os::fd::AsRawFd;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        fs::write(&path, b"before ").unwrap();
        let open = File::options().append(true).open(&path).unwrap();
        write_atomic(Path::new(&format!("/proc/self/fd/{}", open.as_raw_fd())), b"added ").unwrap();
        write_atomic(Path::new(&format!("/dev/fd/{}", open.as_raw_fd())), b"again").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"before added again");
        assert!(write_atomic(Path::new("/proc/no-such-file"), b"x").is_err());
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
