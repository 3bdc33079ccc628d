//! The kinds of number in files of arrays, NumPy's and IDX's, and their bytes.

use std::io::{ErrorKind, Read};

use half::f16;

use super::numbers::Numbers;

/// What a number is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Bool,
    U8,
    I8,
    U16,
    I16,
    U32,
    I32,
    U64,
    I64,
    F16,
    F32,
    F64,
}

/// A number's kind and the order of its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Element {
    pub(super) kind: Kind,
    pub(super) big_endian: bool,
}

/// Bytes that are read at a time.
const PIECE: usize = 1 << 20;

impl Element {
    /// Bytes of a number.
    pub(super) fn size(self) -> usize {
        match self.kind {
            Kind::Bool | Kind::U8 | Kind::I8 => 1,
            Kind::U16 | Kind::I16 | Kind::F16 => 2,
            Kind::U32 | Kind::I32 | Kind::F32 => 4,
            Kind::U64 | Kind::I64 | Kind::F64 => 8,
        }
    }

    /// Bytes that a number takes in memory, in the type that [`Element::read`] gives.
    pub(super) fn size_in_memory(self) -> usize {
        match self.kind {
            Kind::U8 => 1,
            Kind::Bool | Kind::I8 | Kind::U16 | Kind::I16 | Kind::F16 | Kind::F32 => 4,
            _ => 8,
        }
    }

    /// Calls `f` for each number in `bytes`.
    pub(super) fn each(self, bytes: &[u8], mut f: impl FnMut(f64)) {
        macro_rules! each {
            ($kind:ty, $wide:expr) => {
                for bytes in bytes.as_chunks::<{ size_of::<$kind>() }>().0 {
                    let value =
                        if self.big_endian { <$kind>::from_be_bytes(*bytes) } else { <$kind>::from_le_bytes(*bytes) };
                    f($wide(value));
                }
            };
        }
        match self.kind {
            Kind::Bool => bytes.iter().for_each(|&byte| f(f64::from(u8::from(byte != 0)))),
            Kind::U8 => bytes.iter().for_each(|&byte| f(f64::from(byte))),
            Kind::I8 => each!(i8, f64::from),
            Kind::U16 => each!(u16, f64::from),
            Kind::I16 => each!(i16, f64::from),
            Kind::U32 => each!(u32, f64::from),
            Kind::I32 => each!(i32, f64::from),
            Kind::U64 => each!(u64, |value| value as f64),
            Kind::I64 => each!(i64, |value| value as f64),
            Kind::F16 => each!(f16, f64::from),
            Kind::F32 => each!(f32, f64::from),
            Kind::F64 => each!(f64, f64::from),
        }
    }

    /// Reads `count` numbers. Memory grows with what is really there.
    ///
    /// # Errors
    /// The system's; [`ErrorKind::UnexpectedEof`] where there are fewer.
    pub(super) fn read(self, mut reader: impl Read, count: usize) -> std::io::Result<Numbers> {
        let whole = count.saturating_mul(self.size());
        if self.kind == Kind::U8 {
            let mut bytes = Vec::new();
            reader.take(whole as u64).read_to_end(&mut bytes)?;
            return if bytes.len() < whole { Err(ErrorKind::UnexpectedEof.into()) } else { Ok(Numbers::Bytes(bytes)) };
        }
        let (mut floats, mut doubles) = (Vec::new(), Vec::new());
        let mut piece = vec![0; PIECE.min(whole)];
        let mut left = whole;
        while left > 0 {
            let piece = &mut piece[..PIECE.min(left)];
            reader.read_exact(piece)?;
            left -= piece.len();
            match self.size_in_memory() {
                4 => self.each(piece, |value| floats.push(value as f32)), // exact: at most 24 bits
                _ => self.each(piece, |value| doubles.push(value)),
            }
        }
        Ok(if self.size_in_memory() == 4 { Numbers::Floats(floats) } else { Numbers::Doubles(doubles) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_read_in_both_orders() {
        let read = |kind, big_endian, bytes: &[u8]| {
            let element = Element { kind, big_endian };
            let mut values = Vec::new();
            element.read(bytes, bytes.len() / element.size()).unwrap().each(|value| values.push(value)).unwrap();
            values
        };
        assert_eq!(read(Kind::Bool, false, &[0, 1, 2]), [0.0, 1.0, 1.0]);
        assert_eq!(read(Kind::U8, false, &[0, 255]), [0.0, 255.0]);
        assert_eq!(read(Kind::I8, false, &[0x80, 127]), [-128.0, 127.0]);
        assert_eq!(read(Kind::U16, true, &[1, 2]), [258.0]);
        assert_eq!(read(Kind::I16, false, &[0xfe, 0xff]), [-2.0]);
        assert_eq!(read(Kind::F16, false, &f16::from_f32(-0.375).to_le_bytes()), [-0.375]);
        assert_eq!(read(Kind::F32, true, &1.5f32.to_be_bytes()), [1.5]);
        assert_eq!(read(Kind::F64, false, &1_700_000_001.25f64.to_le_bytes()), [1_700_000_001.25]);
        assert_eq!(read(Kind::I64, true, &(-(1i64 << 40)).to_be_bytes()), [-((1u64 << 40) as f64)]);
        assert_eq!(read(Kind::U64, false, &u64::MAX.to_le_bytes()), [u64::MAX as f64]);
        assert_eq!(read(Kind::I32, true, &i32::MIN.to_be_bytes()), [f64::from(i32::MIN)]);
        assert_eq!(read(Kind::U32, false, &u32::MAX.to_le_bytes()), [f64::from(u32::MAX)]);
    }

    #[test]
    fn too_few_bytes_are_an_error() {
        for kind in [Kind::U8, Kind::F64] {
            let element = Element { kind, big_endian: false };
            assert!(element.read(&[0u8; 15][..], usize::MAX / 8).is_err());
        }
    }
}
