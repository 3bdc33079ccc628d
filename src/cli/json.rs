//! `--json FILE`: a result for other programs, in a file or, by `-`, on standard output in place of what people read.

use std::path::Path;

use serde::Serialize;

use super::say;
use crate::error::{Error, Result};
use crate::files::{check_target, write_atomic};

/// Where the result goes.
pub(super) struct Json<'a> {
    file: Option<&'a Path>,
}

impl<'a> Json<'a> {
    /// What `--json` was given, where it was; a file is checked before the work.
    pub(super) fn new(file: Option<&'a Path>) -> Result<Json<'a>> {
        let json = Json { file };
        if let (Some(file), false) = (file, json.is_stdout()) {
            check_target(file)?;
        }
        Ok(json)
    }

    /// Whether standard output is the result's alone.
    pub(super) fn is_stdout(&self) -> bool {
        self.file.is_some_and(|file| file.as_os_str() == "-")
    }

    /// Writes the result where it was asked for, and says which file has it.
    pub(super) fn write(&self, result: &impl Serialize) -> Result<()> {
        let Some(file) = self.file else { return Ok(()) };
        let text = serde_json::to_string_pretty(result)
            .map_err(|error| Error::Usage(format!("the result can't be written as JSON: {error}")))?;
        if self.is_stdout() {
            say(format_args!("{text}"));
            return Ok(());
        }
        write_atomic(file, text.as_bytes())?;
        say(format_args!("{}", file.display()));
        Ok(())
    }
}
