//! The IDX format of the MNIST files: a big-endian header, then bytes; plain or gzip-compressed.
//!
//! A header is a claim: sizes are computed with checked arithmetic, memory grows with the bytes that really arrive, and
//! reading stops one byte after the promised end. A compressed file is decompressed as a stream under the same bound, and
//! one of its own: few bytes may unpack to very many.

use std::fs::{self, File};
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;

use crate::data::{Dataset, ImageSize, Images, Values};
use crate::error::{Error, Result};

const IMAGE_MAGIC: u32 = 0x0000_0803; // unsigned bytes, 3 dimensions
const LABEL_MAGIC: u32 = 0x0000_0801; // unsigned bytes, 1 dimension
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];
/// Bytes that a compressed file may unpack to; a plain one may have as many as the system stores.
const MOST_UNPACKED: u64 = 1 << 32;

/// Bytes of an image file's header: the magic number and three dimensions, four bytes each.
pub(super) const IMAGE_HEADER: usize = 16;
/// Bytes of a label file's header: the magic number and the count.
pub(super) const LABEL_HEADER: usize = 8;

/// What the header of an image file says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ImageHeader {
    pub(super) count: u32,
    pub(super) height: u32,
    pub(super) width: u32,
}

/// Where the four files of a data set lie.
#[derive(Debug)]
pub(super) struct Files {
    pub(super) train_images: PathBuf,
    pub(super) train_labels: PathBuf,
    pub(super) test_images: PathBuf,
    pub(super) test_labels: PathBuf,
}

impl Files {
    /// Whether a folder has one of the four at least, so that it is one of IDX files.
    pub(super) fn are_in(dir: &Path) -> bool {
        let stems =
            [("train-images", "idx3"), ("train-labels", "idx1"), ("t10k-images", "idx3"), ("t10k-labels", "idx1")];
        stems.iter().any(|(stem, kind)| locate(dir, stem, kind).is_ok())
    }

    /// Finds the four files in `dir`, under any of the allowed names.
    pub(super) fn locate(dir: &Path) -> Result<Files> {
        if !fs::metadata(dir).map_err(Error::io("reading", dir))?.is_dir() {
            return Err(Error::format(dir, "is a file; a folder with the four IDX files is needed"));
        }
        Ok(Files {
            train_images: locate(dir, "train-images", "idx3")?,
            train_labels: locate(dir, "train-labels", "idx1")?,
            test_images: locate(dir, "t10k-images", "idx3")?,
            test_labels: locate(dir, "t10k-labels", "idx1")?,
        })
    }

    /// Reads all four and checks that they fit together.
    pub(super) fn read(&self) -> Result<Dataset> {
        let (train, test) = rayon::join(
            || read_images(&self.train_images, &self.train_labels),
            || read_images(&self.test_images, &self.test_labels),
        );
        let (train, test) = (train?, test?);
        if train.size != test.size {
            let reason = format!("images are {}, those of the training set {}: must be equal", test.size, train.size);
            return Err(Error::format(&self.test_images, reason));
        }
        let dir = self.train_images.parent().unwrap_or(Path::new(""));
        Ok(Dataset::new(folder_name(dir), train, test))
    }
}

/// The last part of a folder's path, with `.` and `..` resolved where the system can.
pub(super) fn folder_name(dir: &Path) -> String {
    let resolved = fs::canonicalize(dir).unwrap_or_else(|_| dir.to_owned());
    match resolved.file_name() {
        Some(name) => name.to_string_lossy().into_owned(),
        None => dir.display().to_string(),
    }
}

fn locate(dir: &Path, stem: &str, kind: &str) -> Result<PathBuf> {
    let (usual, dotted) = (format!("{stem}-{kind}-ubyte"), format!("{stem}.{kind}-ubyte"));
    let names = [&usual, &dotted, &format!("{usual}.gz"), &format!("{dotted}.gz")];
    match names.iter().map(|name| dir.join(name)).find(|path| path.exists()) {
        Some(path) => Ok(path),
        None => Err(Error::format(
            dir,
            format!("a file is missing: allowed names are {}, {}, {} and {}", names[0], names[1], names[2], names[3]),
        )),
    }
}

fn read_images(images: &Path, labels: &Path) -> Result<Images> {
    decode(images, open(images)?, labels, open(labels)?)
}

fn open(path: &Path) -> Result<Box<dyn Read>> {
    let file = File::open(path).map_err(Error::io("opening", path))?;
    Ok(if is_gz(path) { Box::new(MultiGzDecoder::new(std::io::BufReader::new(file))) } else { Box::new(file) })
}

/// Whether the name says that the content is gzip-compressed.
fn is_gz(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "gz")
}

/// Decodes one set from two streams of plain IDX bytes; the paths are for messages only.
pub(super) fn decode(
    image_path: &Path,
    mut image_bytes: impl Read,
    label_path: &Path,
    mut label_bytes: impl Read,
) -> Result<Images> {
    let header = read_image_header(image_path, &mut image_bytes)?;
    let ImageHeader { count, height, width } = header;
    let promised = header.pixels(image_path)?;
    if promised > MOST_UNPACKED && is_gz(image_path) {
        let reason = format!(
            "header promises {promised} bytes of pixels: at most {MOST_UNPACKED} are unpacked from a .gz file; gunzip it, \
             plain files may have any number"
        );
        return Err(Error::format(image_path, reason));
    }
    let what = format!("{promised} bytes of pixels ({count} images of {height}x{width})");
    let pixels = read_exactly(image_path, image_bytes, promised, &what)?;

    let label_count = read_label_header(label_path, &mut label_bytes)?;
    if label_count != count {
        let reason = format!("{label_count} labels for the {count} images of {}: must be equal", image_path.display());
        return Err(Error::format(label_path, reason));
    }
    let labels = read_exactly(label_path, label_bytes, u64::from(count), &format!("{count} bytes of labels"))?;
    Ok(Images { size: ImageSize::grey(height as usize, width as usize), pixels: Values::Bytes(pixels), labels })
}

impl ImageHeader {
    /// Bytes of pixels that follow the header, where a number of 64 bits can hold them.
    pub(super) fn pixels(self, path: &Path) -> Result<u64> {
        let ImageHeader { count, height, width } = self;
        (u64::from(height) * u64::from(width)).checked_mul(u64::from(count)).ok_or_else(|| {
            Error::format(path, format!("header promises {count} images of {height}x{width}: too many bytes to count"))
        })
    }
}

pub(super) fn read_image_header(path: &Path, reader: &mut impl Read) -> Result<ImageHeader> {
    let [magic, count, height, width] = read_header::<IMAGE_HEADER, 4>(path, reader)?;
    check_magic(path, magic, IMAGE_MAGIC, "images: unsigned bytes, 3 dimensions")?;
    if [count, height, width].contains(&0) {
        let reason = format!("header promises {count} images of {height}x{width}: none of the three may be 0");
        return Err(Error::format(path, reason));
    }
    Ok(ImageHeader { count, height, width })
}

/// Reads the header of a label file: how many labels follow.
pub(super) fn read_label_header(path: &Path, reader: &mut impl Read) -> Result<u32> {
    let [magic, count] = read_header::<LABEL_HEADER, 2>(path, reader)?;
    check_magic(path, magic, LABEL_MAGIC, "labels: unsigned bytes, 1 dimension")?;
    if count == 0 {
        return Err(Error::format(path, "header promises 0 labels: at least 1 is needed"));
    }
    Ok(count)
}

fn read_header<const BYTES: usize, const WORDS: usize>(path: &Path, reader: &mut impl Read) -> Result<[u32; WORDS]> {
    let mut bytes = Vec::with_capacity(BYTES);
    reader.take(BYTES as u64).read_to_end(&mut bytes).map_err(read_error(path))?;
    if bytes.len() < BYTES {
        let reason = format!("truncated: the header takes {BYTES} bytes, file has {}", bytes.len());
        return Err(Error::format(path, reason));
    }
    let mut words = bytes.chunks_exact(4).map(|word| u32::from_be_bytes([word[0], word[1], word[2], word[3]]));
    Ok(std::array::from_fn(|_| words.next().expect("4 bytes a word")))
}

fn check_magic(path: &Path, found: u32, allowed: u32, meaning: &str) -> Result<()> {
    if found == allowed {
        return Ok(());
    }
    let hint = match found.to_be_bytes() {
        [a, b, ..] if [a, b] == GZIP_MAGIC => "; this is gzip data, the file's name must end in .gz",
        _ => "",
    };
    Err(Error::format(path, format!("magic number is {found:#010x}, must be {allowed:#010x} ({meaning}){hint}")))
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
