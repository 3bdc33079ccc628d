//! Standard output: everything that is printed there goes through here, and the first failure is kept until the end, so
//! that none goes unreported and none stops the work.

use std::fmt::Arguments;
use std::io::{self, ErrorKind, Write, stdout};
use std::sync::{Mutex, PoisonError};

/// The first failure.
static FAILURE: Mutex<Option<io::Error>> = Mutex::new(None);

/// Prints a line.
pub(super) fn say(line: Arguments<'_>) {
    keep(writeln!(stdout(), "{line}"));
}

/// Prints bytes as they are.
pub(super) fn print(bytes: &[u8]) {
    keep(stdout().write_all(bytes));
}

/// Keeps why something was not printed; a reader who has gone away is no failure.
pub(super) fn keep(printed: io::Result<()>) {
    match printed {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            FAILURE.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
        }
        _ => {}
    }
}

/// Prints what is still held back.
///
/// # Errors
/// The first failure since the process began.
pub(super) fn finish() -> io::Result<()> {
    keep(stdout().flush());
    FAILURE.lock().unwrap_or_else(PoisonError::into_inner).take().map_or(Ok(()), Err)
}
