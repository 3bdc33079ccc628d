//! Numbers from and for other programs: NumPy's `.npy`, which `numpy.load` opens and `numpy.save` writes. Arrays of data are
//! read from it too.

use std::fs::File;
use std::io::{BufReader, Read, Write};
use std::path::Path;

use npyz::WriterBuilder;

use super::element::{self, Element};
use super::numbers::Numbers;
use crate::error::{Error, Result};
use crate::files::write_atomic;

/// Writes `values`, `[rows, cols]` in row-major order, as little-endian 32-bit floats (`<f4`, C order), in one step.
///
/// # Errors
/// [`Error::Usage`] where `values` does not hold `rows * cols` numbers, [`Error::Io`] where the file can't be written.
pub fn write_f32(path: &Path, rows: usize, cols: usize, values: &[f32]) -> Result<()> {
    if rows.checked_mul(cols) != Some(values.len()) {
        return Err(Error::Usage(format!(
            "writing {}: an array of [{rows}, {cols}] was asked for with {} values: the count must be rows * columns",
            path.display(),
            values.len()
        )));
    }
    let bytes = encode(rows, cols, values).map_err(Error::io("encoding", path))?;
    write_atomic(path, &bytes)
}

/// Reads an array `[rows, cols]` of 32-bit or 64-bit floats: (rows, cols, values in row-major order).
///
/// # Errors
/// [`Error::Io`] where it can't be read; [`Error::Format`] where it is no such array, or shorter than its header says.
pub fn read_f32(path: &Path) -> Result<(usize, usize, Vec<f32>)> {
    let file = File::open(path).map_err(Error::io("reading", path))?;
    decode(BufReader::new(file)).map_err(|reason| Error::format(path, reason))
}

fn decode(reader: impl Read) -> Result<(usize, usize, Vec<f32>), String> {
    let Array { shape, content } = Array::decode(reader)?;
    let &[rows, cols] = shape.as_slice() else {
        return Err(format!("its shape is {shape:?}: an array of two dimensions is needed"));
    };
    let values = match content {
        Content::Numbers(numbers @ (Numbers::Floats(_) | Numbers::Doubles(_))) => {
            numbers.converted(cols, |_, value| value as f32)
        }
        Content::Numbers(_) => return Err("its values are bytes: they must be floats".to_owned()),
        Content::Texts(_) => return Err("its values are texts: they must be floats".to_owned()),
    };
    match values.iter().position(|value| !value.is_finite()) {
        Some(at) => Err(format!("value {at} is {}: values must be finite", values[at])),
        None => Ok((rows, cols, values)),
    }
}

/// Bytes that an array may have in memory: a compressed one may unpack to very many.
const MOST_BYTES: usize = 1 << 32;
/// Bytes that a header's text may have; NumPy writes 118.
const MOST_HEADER: u32 = 1 << 16;

/// What an array holds, in C order.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Content {
    Numbers(Numbers),
    Texts(Vec<String>),
}

/// An array of any shape.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Array {
    pub(super) shape: Vec<usize>,
    pub(super) content: Content,
}

impl Array {
    /// Memory grows with the values that are really there: the header may claim anything.
    pub(super) fn decode(mut reader: impl Read) -> Result<Array, String> {
        let header = Header::read(&mut reader)?;
        let count = header.count()?;
        let most = |size: usize| match count.checked_mul(size).is_none_or(|bytes| bytes > MOST_BYTES) {
            true => Err(format!(
                "its header says {:?}, more than {MOST_BYTES} bytes in memory: a larger array is read in pieces from a \
                 .npy file in C order",
                header.shape
            )),
            false => Ok(()),
        };
        let content = match header.kind()? {
            Kind::Number(element) => {
                most(element.size_in_memory())?;
                let numbers = element.read(reader, count).map_err(broken)?;
                Content::Numbers(match header.fortran {
                    true => numbers.permuted_from_fortran(&header.shape),
                    false => numbers,
                })
            }
            Kind::Text { wide, big_endian, len } => {
                if header.fortran && header.shape.len() > 1 {
                    return Err("its texts are in Fortran's order: numpy.ascontiguousarray gives the other".to_owned());
                }
                most(len.saturating_mul(if wide { 4 } else { 1 }).max(size_of::<String>()))?;
                Content::Texts(texts(reader, count, wide, big_endian, len)?)
            }
        };
        Ok(Array { shape: header.shape, content })
    }
}

/// What the values of an array are.
enum Kind {
    Number(Element),
    /// `S` (bytes) and `U` (UTF-32), padded with zeros to `len` characters.
    Text {
        wide: bool,
        big_endian: bool,
        len: usize,
    },
}

/// What stands before the values. It is parsed here: a parser of any literal of Python's takes a time that each bracket within
/// another doubles.
pub(super) struct Header {
    descr: String,
    pub(super) fortran: bool,
    pub(super) shape: Vec<usize>,
}

impl Header {
    pub(super) fn read(reader: &mut impl Read) -> Result<Header, String> {
        let mut start = [0; 8];
        reader.read_exact(&mut start).map_err(broken)?;
        let [0x93, b'N', b'U', b'M', b'P', b'Y', version @ 1..=3, 0] = start else {
            return Err(format!("it begins with {start:02x?}: it is no .npy file of version 1, 2 or 3"));
        };
        let mut len = [0; 4];
        reader.read_exact(&mut len[..if version == 1 { 2 } else { 4 }]).map_err(broken)?;
        let len = u32::from_le_bytes(len);
        if len > MOST_HEADER {
            return Err(format!("its header says that it has {len} bytes: it may have {MOST_HEADER}"));
        }
        let mut text = vec![0; len as usize];
        reader.read_exact(&mut text).map_err(broken)?;
        Header::parse(&String::from_utf8_lossy(&text))
    }

    /// `{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }`, in any order; Python 2 writes `(3L, 4L)`.
    fn parse(text: &str) -> Result<Header, String> {
        let value = |key: &str| {
            let quoted = [format!("'{key}'"), format!("\"{key}\"")];
            let rest = quoted.iter().find_map(|key| text.split_once(key)?.1.trim_start().strip_prefix(':'));
            rest.map(str::trim_start).ok_or_else(|| format!("its header has no {key:?}"))
        };
        let descr = value("descr")?;
        let quote = descr.chars().next().filter(|quote| ['\'', '"'].contains(quote));
        let inner = quote.and_then(|quote| descr[1..].split_once(quote));
        let (descr, _) = inner.ok_or_else(|| no_numbers(descr))?;

        let order = value("fortran_order")?;
        let fortran = order.starts_with("True");
        if !fortran && !order.starts_with("False") {
            return Err(format!("its fortran_order is {order:.40}: it must be True or False"));
        }

        let shape = value("shape")?;
        let sizes = shape.strip_prefix('(').and_then(|shape| shape.split_once(')'));
        let sizes = sizes.and_then(|(sizes, _)| {
            let sizes = sizes.trim().trim_end_matches(',');
            let size = |size: &str| size.trim().trim_end_matches('L').parse().ok();
            if sizes.is_empty() { Some(Vec::new()) } else { sizes.split(',').map(size).collect() }
        });
        let shape = sizes.ok_or_else(|| format!("its shape is {shape:.40}: it must be sizes in brackets"))?;
        Ok(Header { descr: descr.to_owned(), fortran, shape })
    }

    /// How many values there are.
    fn count(&self) -> Result<usize, String> {
        // Without its zeros, so that no product of some of its sizes is too large to count either.
        let sizes = self.shape.iter().filter(|&&len| len > 0);
        match sizes.copied().try_fold(1, |count: usize, len| count.checked_mul(len)) {
            Some(count) if count <= isize::MAX as usize => Ok(self.shape.iter().product()),
            _ => Err(format!("its header says {:?}: so many values can't be counted", self.shape)),
        }
    }

    /// The kind of its numbers; none where they are texts.
    pub(super) fn element(&self) -> Option<Element> {
        match self.kind() {
            Ok(Kind::Number(element)) => Some(element),
            _ => None,
        }
    }

    fn kind(&self) -> Result<Kind, String> {
        let big_endian = self.descr.starts_with('>');
        let name = self.descr.strip_prefix(['<', '>', '|', '=']).unwrap_or(&self.descr);
        let kind = match name {
            "b1" => element::Kind::Bool,
            "u1" => element::Kind::U8,
            "i1" => element::Kind::I8,
            "u2" => element::Kind::U16,
            "i2" => element::Kind::I16,
            "u4" => element::Kind::U32,
            "i4" => element::Kind::I32,
            "u8" => element::Kind::U64,
            "i8" => element::Kind::I64,
            "f2" => element::Kind::F16,
            "f4" => element::Kind::F32,
            "f8" => element::Kind::F64,
            _ => {
                let len = name.strip_prefix(['S', 'U', 'a']).and_then(|len| len.parse().ok());
                let len = len.filter(|&len: &usize| len <= MOST_HEADER as usize);
                let len = len.ok_or_else(|| no_numbers(&self.descr))?;
                return Ok(Kind::Text { wide: name.starts_with('U'), big_endian, len });
            }
        };
        Ok(Kind::Number(Element { kind, big_endian }))
    }
}

/// `count` texts of `len` characters each.
fn texts(mut reader: impl Read, count: usize, wide: bool, big_endian: bool, len: usize) -> Result<Vec<String>, String> {
    let mut texts = Vec::new();
    let mut bytes = vec![0; len * if wide { 4 } else { 1 }];
    for _ in 0..count {
        reader.read_exact(&mut bytes).map_err(broken)?;
        let text: String = match wide {
            true => {
                let word =
                    |word: &[u8; 4]| if big_endian { u32::from_be_bytes(*word) } else { u32::from_le_bytes(*word) };
                let character = |word| char::from_u32(word).unwrap_or(char::REPLACEMENT_CHARACTER);
                bytes.as_chunks::<4>().0.iter().map(word).map(character).collect()
            }
            false => String::from_utf8_lossy(&bytes).into_owned(),
        };
        texts.push(text.trim_end_matches('\0').to_owned());
    }
    Ok(texts)
}

fn no_numbers(descr: &str) -> String {
    format!("its values are {descr:.40}: they must be bool, integers, floats, or for labels texts")
}

fn broken(error: std::io::Error) -> String {
    format!("it is no whole .npy file: {error}")
}

fn encode(rows: usize, cols: usize, values: &[f32]) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(128 + size_of_val(values));
    let f4 = npyz::DType::Plain("<f4".parse().expect("NumPy's name of a little-endian f32"));
    let options = npyz::WriteOptions::<f32>::new().dtype(f4).shape(&[rows as u64, cols as u64]);
    let mut writer = options.writer(bytes.by_ref()).begin_nd()?;
    writer.extend(values.iter().copied())?;
    writer.finish()?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_back_as_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("latents.npy");
        let values = [0.0, -1.5, f32::MIN_POSITIVE, f32::INFINITY, 3.25e7, 1.0 / 3.0];
        write_f32(&path, 2, 3, &values).unwrap();

        let bytes = std::fs::read(&path).unwrap();
        let npy = npyz::NpyFile::new(&bytes[..]).unwrap();
        assert_eq!((npy.shape(), npy.order()), (&[2, 3][..], npyz::Order::C));
        assert_eq!(npy.dtype().descr(), "'<f4'");
        assert_eq!(npy.into_vec::<f32>().unwrap(), values);
    }

    #[test]
    fn hostile_bytes_are_errors() {
        let good = encode(2, 3, &[1.0; 6]).unwrap();
        assert_eq!(decode(&good[..]).unwrap(), (2, 3, vec![1.0; 6]));
        for len in 0..good.len() {
            assert!(decode(&good[..len]).is_err(), "{len} bytes");
        }
        for at in 0..good.len() {
            for bits in [0x01, 0x15, 0x80] {
                let mut bytes = good.clone();
                bytes[at] ^= bits;
                let _ = decode(&bytes[..]); // a flipped value is a value; nothing may panic
            }
        }
        let claims = |shape: &str| {
            let dict = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}\n");
            let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
            bytes.extend((dict.len() as u16).to_le_bytes());
            bytes.extend(dict.as_bytes());
            decode(&bytes[..]).unwrap_err()
        };
        assert!(claims("(1099511627776, 1099511627776)").contains("can't be counted"));
        assert!(claims("(1048576, 1025)").contains("4294967296 bytes"));
        assert!(claims("(1048576, 1024)").contains("whole"));
        assert!(claims("(0,)").contains("two dimensions"));
        assert!(decode(&encode(1, 1, &[f32::NAN]).unwrap()[..]).unwrap_err().contains("finite"));
    }

    fn array(descr: &str, fortran: bool, shape: &str, values: &[u8]) -> Result<Array, String> {
        let order = if fortran { "True" } else { "False" };
        let dict = format!("{{'descr': '{descr}', 'fortran_order': {order}, 'shape': {shape}, }}\n");
        let header = [b"\x93NUMPY\x01\x00", &(dict.len() as u16).to_le_bytes()[..], dict.as_bytes()].concat();
        Array::decode(&[&header, values].concat()[..])
    }

    #[test]
    fn arrays_of_other_programs_are_read() {
        // Python 2's shapes, half precision, big-endian numbers.
        let read = array("<f2", false, "(2L, 1L)", &[0x00, 0x3c, 0x00, 0xb8]).unwrap();
        assert_eq!((read.shape, read.content), (vec![2, 1], Content::Numbers(Numbers::Floats(vec![1.0, -0.5]))));
        let read = array(">i8", false, "(1,)", &[0, 0, 0, 0, 0, 0, 1, 0]).unwrap();
        assert_eq!(read.content, Content::Numbers(Numbers::Doubles(vec![256.0])));
        // numpy.asfortranarray(numpy.arange(12).reshape(2, 3, 2)).tobytes("F")
        let stored = [0, 6, 2, 8, 4, 10, 1, 7, 3, 9, 5, 11];
        let read = array("|u1", true, "(2, 3, 2)", &stored).unwrap();
        assert_eq!(read.content, Content::Numbers(Numbers::Bytes((0..12).collect())));
        let read = array("<U2", false, "(2,)", &[97, 0, 0, 0, 0, 0, 0, 0, 0xe9, 0, 0, 0, 98, 0, 0, 0]).unwrap();
        assert_eq!(read.content, Content::Texts(vec!["a".to_owned(), "éb".to_owned()]));
        let read = array("|S3", false, "(2,)", b"catox\0").unwrap();
        assert_eq!(read.content, Content::Texts(vec!["cat".to_owned(), "ox".to_owned()]));
        for descr in ["<c8", "|O", "<M8[ns]", "|V8"] {
            assert!(array(descr, false, "(1,)", &[0; 16]).unwrap_err().contains(descr), "{descr}");
        }
    }

    /// NumPy's format, version 1.0: magic, version, header length, a Python dict padded to 64 bytes, the data.
    #[test]
    fn the_bytes_follow_the_format() {
        let bytes = encode(1, 2, &[1.0, -2.0]).unwrap();
        assert_eq!(bytes[..8], *b"\x93NUMPY\x01\x00");
        let header = 10 + usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
        assert_eq!(bytes[header - 1], b'\n');
        let dict: String = String::from_utf8(bytes[10..header].to_vec()).unwrap().replace(' ', "");
        for entry in ["'descr':'<f4'", "'fortran_order':False", "'shape':(1,2"] {
            assert!(dict.contains(entry), "{dict}");
        }
        assert_eq!(bytes[header..], [0, 0, 128, 63, 0, 0, 0, 192]);
    }

    #[test]
    fn an_empty_array_is_fine_and_a_wrong_count_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.npy");
        write_f32(&path, 0, 2, &[]).unwrap();
        for (rows, cols) in [(2, 2), (usize::MAX, 2)] {
            let error = write_f32(&path, rows, cols, &[1.0, 2.0]).unwrap_err();
            assert!(matches!(error, Error::Usage(_)), "{error}");
        }
    }
}
