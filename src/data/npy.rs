//! Numbers from and for other programs: NumPy's `.npy`, which `numpy.load` opens and `numpy.save` writes. Arrays of data are
//! read from it too.

use std::fs::File;
use std::io::{BufReader, Read, Write};
use std::path::Path;

use npyz::WriterBuilder;

use super::Values;
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
    let Array { shape, values } = Array::decode(reader)?;
    let &[rows, cols] = shape.as_slice() else {
        return Err(format!("its shape is {shape:?}: an array of two dimensions is needed"));
    };
    let Values::Reals(values) = values else {
        return Err("its values are bytes: they must be floats".to_owned());
    };
    match values.iter().position(|value| !value.is_finite()) {
        Some(at) => Err(format!("value {at} is {}: values must be finite", values[at])),
        None => Ok((rows, cols, values)),
    }
}

/// Values an array may have: 4 GiB as f32.
const MOST_VALUES: usize = 1 << 30;
/// Bytes that a header's text may have; NumPy writes 118.
const MOST_HEADER: u32 = 1 << 16;

/// An array of any shape: unsigned bytes as they are, all other numbers as f32.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Array {
    pub(super) shape: Vec<usize>,
    pub(super) values: Values,
}

impl Array {
    pub(super) fn read(path: &Path) -> Result<Array> {
        let file = File::open(path).map_err(Error::io("reading", path))?;
        Array::decode(BufReader::new(file)).map_err(|reason| Error::format(path, reason))
    }

    /// Memory grows with the values that are really there: the header may claim anything.
    pub(super) fn decode(mut reader: impl Read) -> Result<Array, String> {
        let Header { descr, fortran, shape } = Header::read(&mut reader)?;
        // Without its zeros, so that no product of some of its sizes is too large to count either.
        let count = shape.iter().filter(|&&len| len > 0).try_fold(1, |count: usize, &len| count.checked_mul(len));
        if count.is_none_or(|count| count > MOST_VALUES) {
            return Err(format!("its header says {shape:?}: at most {MOST_VALUES} values are read"));
        }
        if fortran && shape.len() > 1 {
            return Err("its order is Fortran's: numpy.ascontiguousarray gives the other".to_owned());
        }
        let count = shape.iter().product();
        macro_rules! reals {
            ($kind:ty) => {
                Values::Reals(values::<$kind, f32>(reader, &descr, count, |value| value as f32)?)
            };
        }
        let values = match descr.strip_prefix(['<', '>', '|']).unwrap_or_default() {
            "u1" => Values::Bytes(values::<u8, u8>(reader, &descr, count, |value| value)?),
            "b1" => Values::Reals(values::<bool, f32>(reader, &descr, count, |value| f32::from(u8::from(value)))?),
            "i1" => reals!(i8),
            "i2" => reals!(i16),
            "i4" => reals!(i32),
            "i8" => reals!(i64),
            "u2" => reals!(u16),
            "u4" => reals!(u32),
            "u8" => reals!(u64),
            "f4" => reals!(f32),
            "f8" => reals!(f64),
            _ => return Err(no_numbers(&descr)),
        };
        Ok(Array { shape, values })
    }
}

/// What stands before the values. npyz would read it as any literal of Python's, in a time that each bracket within another
/// doubles, and into as much memory as its length claims: it is shown one of our own making instead.
pub(super) struct Header {
    descr: String,
    fortran: bool,
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

    /// `{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }`, in any order.
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
            let size = |size: &str| size.trim().parse().ok();
            if sizes.is_empty() { Some(Vec::new()) } else { sizes.split(',').map(size).collect() }
        });
        let shape = sizes.ok_or_else(|| format!("its shape is {shape:.40}: it must be sizes in brackets"))?;
        Ok(Header { descr: descr.to_owned(), fortran, shape })
    }
}

fn no_numbers(descr: &str) -> String {
    format!("its values are {descr:.40}: they must be bool, integers, or floats of 32 or 64 bits")
}

fn broken(error: std::io::Error) -> String {
    format!("it is no whole .npy file: {error}")
}

/// `count` values of the kind `descr`, which is one that [`Array::decode`] knows.
fn values<S: npyz::Deserialize, T>(
    reader: impl Read,
    descr: &str,
    count: usize,
    into: impl Fn(S) -> T,
) -> Result<Vec<T>, String> {
    let dict = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({count},), }}");
    let header = [b"\x93NUMPY\x01\x00", &(dict.len() as u16).to_le_bytes()[..], dict.as_bytes()].concat();
    let file = npyz::NpyFile::new(header.chain(reader)).map_err(broken)?;
    let mut values = Vec::new();
    for value in file.data::<S>().map_err(|error| error.to_string())? {
        values.push(into(value.map_err(broken)?));
    }
    Ok(values)
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
        assert!(claims("(1099511627776, 1099511627776)").contains("at most"));
        assert!(claims("(1048576, 1024)").contains("whole"));
        assert!(claims("(0,)").contains("two dimensions"));
        assert!(decode(&encode(1, 1, &[f32::NAN]).unwrap()[..]).unwrap_err().contains("finite"));
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
