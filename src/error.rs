//! The one error type. Every message names the thing, what was found, and what is allowed.
//!
//! Messages are written where the fault is found, by the code that knows the rule; the variants only say which kind of
//! fault it is, because that decides the exit code ([`Error::exit_code`]) and what an embedding program may do about it.

use std::path::{Path, PathBuf};

/// What can go wrong, by kind.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A flag, a configuration value or a combination of them is not allowed.
    #[error("{0}")]
    Usage(String),

    /// A file or folder could not be read or written; the system's own reason is the source.
    #[error("{action} {}", path.display())]
    Io {
        /// What was being done: "reading", "writing", ...
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },

    /// A file's content breaks its format's rules.
    #[error("{}: {reason}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// What was found and what is allowed.
        reason: String,
    },

    /// A graph does not fit together: shapes, missing gradients, unused parameters.
    #[error("{0}")]
    Graph(String),

    /// The device cannot do what was asked, or failed while doing it.
    #[error("device {device}: {reason}")]
    Device {
        /// The adapter's name, or "cpu".
        device: String,
        /// What failed, and what to do about it.
        reason: String,
    },

    /// The process was asked to stop by a signal, and did where it can go on.
    #[error("{reason}")]
    Interrupted {
        /// The signal's number.
        signal: u8,
        /// Where it stopped, and how to go on.
        reason: String,
    },

    /// The numbers went wrong while training.
    #[error("{0}")]
    NonFinite(String),
}

impl Error {
    /// The process exit code: 2 for a usage error, 128 and the number of a signal that stopped it, 1 for every other failure.
    pub fn exit_code(&self) -> u8 {
        match self {
            Error::Usage(_) => 2,
            Error::Interrupted { signal, .. } => 128 + signal,
            _ => 1,
        }
    }

    /// An [`Error::Io`]; for use in `map_err`.
    pub fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Error {
        move |source| Error::Io { action, path: path.to_owned(), source }
    }

    /// An [`Error::Format`].
    pub fn format(path: &Path, reason: impl Into<String>) -> Error {
        Error::Format { path: path.to_owned(), reason: reason.into() }
    }

    /// An [`Error::Device`].
    pub fn device(device: impl Into<String>, reason: impl Into<String>) -> Error {
        Error::Device { device: device.into(), reason: reason.into() }
    }
}

/// `Result` with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A path as a word of a command for a POSIX shell: quoted where it must be, and no option.
pub(crate) fn shell_word(path: &Path) -> String {
    let text = path.display().to_string();
    let text = if text.starts_with('-') { format!("./{text}") } else { text };
    match shlex::try_quote(&text) {
        Ok(word) if cfg!(unix) => word.into_owned(),
        _ => text, // elsewhere no quotes are every shell's, and no path holds what can't be quoted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn a_path_is_one_word_for_a_shell() {
        for plain in ["runs/vae-20250101-000000", "/tmp/a_b.c"] {
            assert_eq!(shell_word(Path::new(plain)), plain);
        }
        for path in ["my run's", "a b", "$HOME", "\"", "`id`", "a\nb", "*", "é", "-rf", "--out"] {
            let word = shell_word(Path::new(path));
            let command = format!("printf %s {word}");
            let echoed = std::process::Command::new("sh").args(["-c", &command]).output().unwrap().stdout;
            let wanted = if path.starts_with('-') { format!("./{path}") } else { path.to_owned() };
            assert_eq!(String::from_utf8(echoed).unwrap(), wanted, "{word}");
        }
    }
}
