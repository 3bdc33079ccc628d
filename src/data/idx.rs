//! The IDX format of the MNIST files: a big-endian header, then numbers; plain or gzip-compressed.
//!
//! A header is a claim: sizes are computed with checked arithmetic, memory grows with the bytes that really arrive, and
//! reading stops one byte after the promised end. A compressed file is decompressed as a stream under the same bound, and
//! one of its own: few bytes may unpack to very many.

use std::fs::{self, File};
use std::io::{ErrorKind, Read};
use std::path::Path;

use flate2::read::MultiGzDecoder;

use super::ImageSize;
use super::element::{Element, Kind};
use super::idx_files::{Content, Files, Named};
use super::labels::Labels;
use super::numbers::Numbers;
use super::raw::Raw;
use super::reading::{Found, Set};
use crate::error::{Error, Result};

const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];
/// Bytes that a compressed file may unpack to; a plain one may have as many as the system stores.
const MOST_UNPACKED: u64 = 1 << 32;

/// What a file's header says: what its numbers are, and how many in each dimension.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) element: Element,
    pub(super) sizes: Vec<u32>,
}

/// The sets of a folder, or of the family of files that one file's name is of.
pub(super) fn read(path: &Path) -> Result<Found> {
    let files = Files::locate(path)?;
    let mut notes = Vec::new();
    let mut sets = Vec::new();
    for set in [Set::Train, Set::Validation, Set::Test] {
        let (images, labels) = (files.get(set, Content::Images), files.get(set, Content::Labels));
        match (images, labels) {
            (Some(images), labels) => sets.push((set, examples(images, labels, &mut notes)?)),
            (None, Some(labels)) => {
                return Err(Error::format(&labels.path, "it has labels: the file of their images is missing"));
            }
            (None, None) => {}
        }
    }
    if files.prefix.to_lowercase().starts_with("emnist") {
        notes.push(
            "EMNIST's files hold each image mirrored at its diagonal: they are read as they are stored".to_owned(),
        );
    }
    let dir = if path.is_dir() { path } else { path.parent().unwrap_or(path) };
    Ok(Found { name: folder_name(dir), sets, table: false, notes })
}

/// The examples of a file, and their labels if there is a file of them.
pub(super) fn examples(images: &Named, labels: Option<&Named>, notes: &mut Vec<String>) -> Result<Raw> {
    let (sizes, numbers) = decode(&images.path, open(&images.path)?)?;
    let refused = |reason: String| Error::format(&images.path, reason);
    let size = match *sizes.as_slice() {
        [_, features] => ImageSize::of_features(features),
        [_, height, width] => ImageSize::grey(height, width),
        [_, height, width, channels @ 1..=ImageSize::MOST_CHANNELS] => ImageSize { height, width, channels },
        _ => {
            let reason = format!("its sizes are {sizes:?}: examples have 2 to 4 of them, channels (1 to 16) last");
            return Err(refused(reason));
        }
    };
    let count = sizes[0];
    let Some(labels) = labels else {
        notes.push(format!("{} has no file of labels beside it: its examples have none", images.path.display()));
        return Ok(Raw::numbers(size, numbers));
    };
    let (sizes, values) = decode(&labels.path, open(&labels.path)?)?;
    if sizes.as_slice() != [count] {
        let reason = match *sizes.as_slice() {
            [found] => format!("{found} labels for the {count} images of {}: must be equal", images.path.display()),
            _ => format!("its sizes are {sizes:?}: labels must have one, their count"),
        };
        return Err(Error::format(&labels.path, reason));
    }
    let labels = Labels::Numbers(values.converted(1, |_, value| value));
    Ok(Raw { labels, ..Raw::numbers(size, numbers) })
}

/// The last part of a path, with `.` and `..` resolved where the system can.
pub(super) fn folder_name(dir: &Path) -> String {
    let resolved = fs::canonicalize(dir).unwrap_or_else(|_| dir.to_owned());
    match resolved.file_name() {
        Some(name) => name.to_string_lossy().into_owned(),
        None => dir.display().to_string(),
    }
}

fn open(path: &Path) -> Result<Box<dyn Read>> {
    let file = File::open(path).map_err(Error::io("opening", path))?;
    Ok(if is_gz(path) { Box::new(MultiGzDecoder::new(std::io::BufReader::new(file))) } else { Box::new(file) })
}

/// Whether the name says that the content is gzip-compressed.
fn is_gz(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "gz")
}

/// Decodes a stream of plain IDX bytes to its end: sizes and numbers. The path is for messages only.
pub(super) fn decode(path: &Path, mut reader: impl Read) -> Result<(Vec<usize>, Numbers)> {
    let header = Header::read(path, &mut reader)?;
    let promised = header.bytes(path)?;
    if promised > MOST_UNPACKED && is_gz(path) {
        let reason = format!(
            "header promises {promised} bytes: at most {MOST_UNPACKED} are unpacked from a .gz file; gunzip it, plain files \
             may have any number"
        );
        return Err(Error::format(path, reason));
    }
    let what = format!("{promised} bytes ({:?} numbers)", header.sizes);
    let bytes = read_exactly(path, reader, promised, &what)?;
    let numbers = match header.element.kind {
        Kind::U8 => Numbers::Bytes(bytes),
        _ => {
            let count = bytes.len() / header.element.size();
            header.element.read(&bytes[..], count).map_err(Error::io("reading", path))?
        }
    };
    Ok((header.sizes.iter().map(|&size| size as usize).collect(), numbers))
}

impl Header {
    /// Reads the magic number, two zeros, the kind of number and how many dimensions, and their sizes.
    pub(super) fn read(path: &Path, reader: &mut impl Read) -> Result<Header> {
        let [zero, zero_too, kind, dimensions] = read_header::<4>(path, reader)?;
        let element = match kind {
            0x08 => Some(Kind::U8),
            0x09 => Some(Kind::I8),
            0x0b => Some(Kind::I16),
            0x0c => Some(Kind::I32),
            0x0d => Some(Kind::F32),
            0x0e => Some(Kind::F64),
            _ => None,
        };
        let element = element.filter(|_| [zero, zero_too] == [0, 0] && (1..=4).contains(&dimensions));
        let Some(kind) = element else {
            let hint = match [zero, zero_too] {
                GZIP_MAGIC if is_gz(path) => {
                    "; this is gzip data within gzip data: it was compressed twice, gunzip it once"
                }
                GZIP_MAGIC => "; this is gzip data, the file's name must end in .gz",
                _ => "",
            };
            let found = u32::from_be_bytes([zero, zero_too, kind, dimensions]);
            let reason = format!(
                "magic number is {found:#010x}, must be 0x00000803 (unsigned bytes, 3 dimensions: images), 0x00000801 \
                 (1 dimension: labels), or its like for other numbers (09, 0b to 0e) and up to 4 dimensions{hint}"
            );
            return Err(Error::format(path, reason));
        };
        let size = |_| Ok(u32::from_be_bytes(read_header::<4>(path, reader)?));
        let sizes = (0..dimensions).map(size).collect::<Result<Vec<u32>>>()?;
        if sizes.contains(&0) {
            return Err(Error::format(path, format!("header promises {sizes:?} numbers: none of the sizes may be 0")));
        }
        Ok(Header { element: Element { kind, big_endian: true }, sizes })
    }

    /// Bytes that follow the header, where a number of 64 bits can hold them.
    pub(super) fn bytes(&self, path: &Path) -> Result<u64> {
        let mut sizes = self.sizes.iter().map(|&size| u64::from(size));
        let bytes = sizes.try_fold(self.element.size() as u64, u64::checked_mul);
        bytes.ok_or_else(|| {
            Error::format(path, format!("header promises {:?} numbers: too many bytes to count", self.sizes))
        })
    }
}

fn read_header<const BYTES: usize>(path: &Path, reader: &mut impl Read) -> Result<[u8; BYTES]> {
    let mut bytes = Vec::with_capacity(BYTES);
    reader.take(BYTES as u64).read_to_end(&mut bytes).map_err(read_error(path))?;
    bytes.try_into().map_err(|_| Error::format(path, "truncated: the file ends within its header"))
}

/// Reads `promised` bytes to the end of the stream; `what` tells what they are.
fn read_exactly(path: &Path, reader: impl Read, promised: u64, what: &str) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    reader.take(promised.saturating_add(1)).read_to_end(&mut bytes).map_err(read_error(path))?;
    let found = bytes.len() as u64;
    if found < promised {
        return Err(Error::format(path, format!("truncated: header promises {what}, file has {found}")));
    }
    if found > promised {
        return Err(Error::format(path, format!("header promises {what}, but more bytes follow: none may")));
    }
    Ok(bytes)
}

/// What a failed read means: the decompressor reports bad data by these kinds, the system by others.
fn read_error(path: &Path) -> impl FnOnce(std::io::Error) -> Error {
    move |error| match error.kind() {
        ErrorKind::UnexpectedEof | ErrorKind::InvalidData | ErrorKind::InvalidInput => {
            Error::format(path, format!("truncated or corrupt gzip data: {error}"))
        }
        _ => Error::io("reading", path)(error),
    }
}

#[cfg(test)]
#[path = "idx_tests.rs"]
mod tests;
