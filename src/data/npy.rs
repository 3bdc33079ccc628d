//! Writes numbers for other programs: NumPy's `.npy`, which `numpy.load` opens.

use std::io::Write;
use std::path::Path;

use npyz::WriterBuilder;

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
