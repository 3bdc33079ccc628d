//! The numbers that a page holds, by name: one list of bytes, compressed, in pieces of Base64 that browsers keep as texts.

use std::io::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::GzEncoder;
use half::f16;
use serde::Serialize;

use super::Weights;
use crate::error::{Error, Result};

/// Compressed bytes of a piece: its text must not be longer than browsers let a string be, 2^29 characters.
const PIECE: usize = 3 << 26;

/// Bytes that a page may have: browsers keep no longer lists.
const MOST_BYTES: usize = 2 << 30;

/// Checks that a page can hold so many bytes, `what` the last of them.
///
/// # Errors
/// [`Error::Usage`] that says what else to do.
fn check_size(what: &str, bytes: usize) -> Result<()> {
    match bytes <= MOST_BYTES {
        true => Ok(()),
        false => Err(Error::Usage(format!(
            "with {what} the page would hold {bytes} bytes, it can hold {MOST_BYTES}: for a trained model take --format onnx or \
             safetensors, to train it vae-gpu train"
        ))),
    }
}

/// Where a name's numbers lie among the bytes, and how they are stored.
#[derive(Debug, Serialize)]
pub(super) struct Entry {
    name: String,
    dtype: &'static str,
    offset: usize,
    bytes: usize,
}

/// Named numbers.
#[derive(Debug, Default)]
pub(super) struct Values {
    pub(super) entries: Vec<Entry>,
    bytes: Vec<u8>,
}

impl Values {
    pub(super) fn bytes(&mut self, name: &str, values: &[u8]) -> Result<()> {
        self.add(name, "u8", values)
    }

    pub(super) fn words(&mut self, name: &str, values: &[u32]) -> Result<()> {
        self.add(name, "u32", bytemuck::cast_slice(values))
    }

    pub(super) fn reals(&mut self, name: &str, values: &[f32]) -> Result<()> {
        self.add(name, "f32", bytemuck::cast_slice(values))
    }

    pub(super) fn doubles(&mut self, name: &str, values: &[f64]) -> Result<()> {
        self.add(name, "f64", bytemuck::cast_slice(values))
    }

    /// Weights, in the precision asked for.
    ///
    /// # Errors
    /// [`Error::Usage`] where half precision does not hold one.
    pub(super) fn weights(&mut self, name: &str, values: &[f32], precision: Weights) -> Result<()> {
        if precision == Weights::F32 {
            return self.reals(name, values);
        }
        let halves: Vec<f16> = values.iter().copied().map(f16::from_f32).collect();
        if let Some(at) = halves.iter().position(|value| !value.is_finite()) {
            return Err(Error::Usage(format!(
                "--weights f16: a weight is {}, half precision ends at 65504: leave the option out",
                values[at]
            )));
        }
        self.add(name, "f16", bytemuck::cast_slice(&halves))
    }

    /// Adds a list.
    ///
    /// # Errors
    /// [`Error::Usage`] where they are too many for a page.
    fn add(&mut self, name: &str, dtype: &'static str, bytes: &[u8]) -> Result<()> {
        check_size(name, self.bytes.len().saturating_add(bytes.len()))?;
        self.entries.push(Entry { name: name.to_owned(), dtype, offset: self.bytes.len(), bytes: bytes.len() });
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    /// All bytes, as a page has them.
    pub(super) fn pieces(&self) -> Vec<String> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        let compressed = encoder.write_all(&self.bytes).and_then(|()| encoder.finish());
        let compressed = compressed.expect("a list of bytes takes all that is written");
        compressed.chunks(PIECE).map(|piece| STANDARD.encode(piece)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_large_is_refused() {
        assert!(check_size("w", MOST_BYTES).is_ok());
        for bytes in [MOST_BYTES + 1, usize::MAX] {
            let error = check_size("parameters", bytes).unwrap_err();
            let text = error.to_string();
            assert!(
                error.exit_code() == 2 && text.contains("with parameters") && text.contains("--format onnx"),
                "{text}"
            );
        }
    }
}
