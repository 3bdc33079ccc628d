//! A table of examples: a line for each, with what a command found of it.

use std::path::Path;

use crate::data::Examples;
use crate::error::{Error, Result};
use crate::files::write_atomic;

/// Writes a CSV file with a line for each example: its number, its file, its class by number and name, and in columns
/// called `names` what `of` gives for its position.
pub(super) fn write_examples<const N: usize>(
    file: &Path,
    examples: &Examples,
    names: [&str; N],
    of: impl Fn(usize) -> [String; N],
) -> Result<()> {
    write_atomic(file, &table(examples, names, of).map_err(Error::io("encoding", file))?)
}

fn table<const N: usize>(
    examples: &Examples,
    names: [&str; N],
    of: impl Fn(usize) -> [String; N],
) -> std::io::Result<Vec<u8>> {
    let Examples { images, classes, .. } = examples;
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(["example", "file", "label", "class"].iter().chain(&names))?;
    for (at, label) in images.labels.iter().enumerate() {
        let file = images.names.get(at).cloned().unwrap_or_default();
        let class = label.and_then(|label| classes.get(label as usize)).cloned().unwrap_or_default();
        let label = label.map_or(String::new(), |label| label.to_string());
        writer.write_record([at.to_string(), file, label, class].iter().chain(&of(at)))?;
    }
    writer.into_inner().map_err(|error| error.into_error())
}
