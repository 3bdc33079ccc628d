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

    /// Some of several things that were to be done failed, each for a reason of its own.
    #[error("{0}")]
    Failed(String),
}

/// An [`Error::Graph`] with this message.
pub(crate) fn graph_error<T>(message: impl Into<String>) -> Result<T> {
    Err(Error::Graph(message.into()))
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

/// Characters of a quoted text that a message shows.
const SHOWN: usize = 120;

/// A text as a message quotes it: all of a short one, the beginning of a long one.
pub(crate) fn shown(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// What a TOML reader says is wrong, and where: long lines of the file are cut, and so are long values.
pub(crate) fn shown_toml(error: &toml::de::Error) -> String {
    let (text, reason) = (error.to_string(), error.message());
    let place = text.trim_end().strip_suffix(reason.trim_end()).unwrap_or_default();
    let place: String = place.lines().map(|line| shown(line) + "\n").collect();
    place + &shown_reason(reason) + "\n"
}

/// What a reader says is wrong, where it may quote what it read: a long text is cut in its middle.
pub(crate) fn shown_reason(reason: &str) -> String {
    // What is expected is the program's own text, and may be a list of all keys.
    let (found, expected) = reason.split_at(reason.rfind(", expected one of ").unwrap_or(reason.len()));
    let characters = found.chars().count();
    if characters <= 4 * SHOWN {
        return reason.to_owned();
    }
    let begin: String = found.chars().take(2 * SHOWN).collect();
    let end: String = found.chars().skip(characters - 2 * SHOWN).collect();
    format!("{begin}…{end}{expected}")
}

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

    #[test]
    fn quoted_text_is_cut_between_characters() {
        assert_eq!(shown("short"), "short");
        assert_eq!(shown(&"ü".repeat(SHOWN)), "ü".repeat(SHOWN));
        assert_eq!(shown(&"ü".repeat(SHOWN + 1)), format!("{}…", "ü".repeat(SHOWN)));
    }

    #[test]
    fn a_long_file_does_not_make_a_long_message() {
        #[derive(Debug, serde::Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Holder {
            #[allow(dead_code, reason = "it is read")]
            number: usize,
        }
        let read = |text: &str| toml::from_str::<Holder>(text).unwrap_err();
        let short = read("\nnumber = \"two\"");
        assert_eq!(shown_toml(&short), short.to_string(), "a short message stays as it is");
        let long = "x".repeat(1 << 20);
        let cases = [
            (format!("\nnumber = \"{long}\""), "expected usize"),
            (format!("\nnumber = \"\"\"\n{}\"\"\"", "x\n".repeat(1 << 20)), "expected usize"),
            (format!("\n{long} = 1"), "expected `number`"),
            (format!("\nnumber = {long}"), "must be quoted"),
        ];
        for (file, reason) in cases {
            let text = shown_toml(&read(&file));
            assert!(text.contains("line 2") && text.contains(reason) && text.contains('…'), "{text}");
            assert!(text.chars().count() < 1000, "{} characters", text.chars().count());
        }
    }

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
