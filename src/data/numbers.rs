//! Numbers as a reader found them, before they are scaled: in the narrowest type that holds each of them exactly.

use rayon::prelude::*;

use super::stored::Stored;
use crate::error::Result;

/// Values on the source's own scale, row-major.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Numbers {
    Bytes(Vec<u8>),
    Floats(Vec<f32>),
    Doubles(Vec<f64>),
    /// Rows that stay in their file.
    Stored(Stored),
}

impl Numbers {
    pub(super) fn len(&self) -> usize {
        match self {
            Numbers::Bytes(bytes) => bytes.len(),
            Numbers::Floats(floats) => floats.len(),
            Numbers::Doubles(doubles) => doubles.len(),
            Numbers::Stored(stored) => stored.len(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether all are bytes.
    pub(super) fn are_bytes(&self) -> bool {
        match self {
            Numbers::Bytes(_) => true,
            Numbers::Stored(stored) => stored.is_bytes(),
            _ => false,
        }
    }

    /// The rows of `features` numbers at these positions, in this order.
    pub(super) fn select(&self, features: usize, positions: &[usize]) -> Numbers {
        match self {
            Numbers::Bytes(bytes) => Numbers::Bytes(rows(bytes, features, positions)),
            Numbers::Floats(floats) => Numbers::Floats(rows(floats, features, positions)),
            Numbers::Doubles(doubles) => Numbers::Doubles(rows(doubles, features, positions)),
            Numbers::Stored(stored) => Numbers::Stored(stored.select(positions)),
        }
    }

    /// Calls `f` for each number in order.
    ///
    /// # Errors
    /// [`crate::Error::Io`] where a stored row can't be read.
    pub(super) fn each(&self, mut f: impl FnMut(f64)) -> Result<()> {
        match self {
            Numbers::Bytes(bytes) => bytes.iter().for_each(|&byte| f(f64::from(byte))),
            Numbers::Floats(floats) => floats.iter().for_each(|&float| f(f64::from(float))),
            Numbers::Doubles(doubles) => doubles.iter().for_each(|&double| f(double)),
            Numbers::Stored(stored) => stored.each(f)?,
        }
        Ok(())
    }

    /// Each number replaced by `f(column, number)`, columns being counted within rows of `features`.
    ///
    /// # Panics
    /// For stored rows, which are converted when they are read.
    pub(super) fn converted<T: Send>(&self, features: usize, f: impl Fn(usize, f64) -> T + Sync) -> Vec<T> {
        fn map<S: Copy + Sync, T: Send>(
            values: &[S],
            features: usize,
            f: impl Fn(usize, f64) -> T + Sync,
            wide: impl Fn(S) -> f64 + Sync,
        ) -> Vec<T> {
            let row = |row: &[S]| row.iter().enumerate().map(|(at, &value)| f(at, wide(value))).collect::<Vec<T>>();
            values.par_chunks(features.max(1)).flat_map_iter(row).collect()
        }
        match self {
            Numbers::Bytes(bytes) => map(bytes, features, f, f64::from),
            Numbers::Floats(floats) => map(floats, features, f, f64::from),
            Numbers::Doubles(doubles) => map(doubles, features, f, |double| double),
            Numbers::Stored(_) => unreachable!("stored rows are converted when they are read"),
        }
    }

    /// The same values in another order within each row of `features`: value `at` of a row is the old value `from[at]`.
    pub(super) fn permuted(self, features: usize, from: Vec<usize>) -> Numbers {
        fn sorted<T: Copy>(values: &[T], features: usize, from: &[usize]) -> Vec<T> {
            values.chunks(features).flat_map(|row| from.iter().map(|&at| row[at])).collect()
        }
        match self {
            Numbers::Bytes(bytes) => Numbers::Bytes(sorted(&bytes, features, &from)),
            Numbers::Floats(floats) => Numbers::Floats(sorted(&floats, features, &from)),
            Numbers::Doubles(doubles) => Numbers::Doubles(sorted(&doubles, features, &from)),
            Numbers::Stored(stored) => Numbers::Stored(stored.permuted(from)),
        }
    }
}

impl Numbers {
    /// Values of an array of this shape from Fortran's order, where the first index runs fastest, to C's.
    pub(super) fn permuted_from_fortran(self, shape: &[usize]) -> Numbers {
        fn sorted<T: Copy>(values: &[T], shape: &[usize]) -> Vec<T> {
            let mut index = vec![0; shape.len()];
            let mut all = Vec::with_capacity(values.len());
            for _ in 0..values.len() {
                let at = index.iter().zip(shape).rev().fold(0, |at, (index, len)| at * len + index);
                all.push(values[at]);
                for (index, len) in index.iter_mut().zip(shape).rev() {
                    *index += 1;
                    if *index < *len {
                        break;
                    }
                    *index = 0;
                }
            }
            all
        }
        match self {
            Numbers::Bytes(bytes) => Numbers::Bytes(sorted(&bytes, shape)),
            Numbers::Floats(floats) => Numbers::Floats(sorted(&floats, shape)),
            Numbers::Doubles(doubles) => Numbers::Doubles(sorted(&doubles, shape)),
            Numbers::Stored(_) => unreachable!("stored rows are in C order"),
        }
    }
}

/// The rows at these positions.
pub(super) fn rows<T: Clone>(values: &[T], features: usize, positions: &[usize]) -> Vec<T> {
    positions.iter().flat_map(|&at| &values[at * features..][..features]).cloned().collect()
}
