//! Rows that stay in their file: of an array that is larger than this machine's memory may hold, each row is read when a
//! batch wants it. What the system has cached is not read from the disk again.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use super::element::{Element, Kind};
use crate::error::{Error, Result};

/// Numbers that are read at a time where all are wanted.
const PIECE: usize = 1 << 20;

/// How a stored number becomes a value, as a function of its place in a row.
pub(super) type Convert = Arc<dyn Fn(usize, f64) -> f32 + Send + Sync>;

/// Rows of a file.
#[derive(Clone)]
pub struct Stored {
    file: Arc<File>,
    path: Arc<Path>,
    /// Where row 0 begins, in bytes.
    start: u64,
    element: Element,
    features: usize,
    /// Which rows of the file, in this order.
    rows: Arc<[u32]>,
    /// Where value `at` of a row stands in the file's row; as it is where there is none.
    order: Option<Arc<[usize]>>,
    convert: Option<Convert>,
}

impl std::fmt::Debug for Stored {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} rows of {}", self.rows.len(), self.path.display())
    }
}

impl PartialEq for Stored {
    fn eq(&self, other: &Stored) -> bool {
        self.path == other.path && self.start == other.start && self.rows == other.rows && self.order == other.order
    }
}

impl Stored {
    /// The first `count` rows of `features` numbers each, which begin `start` bytes into the file.
    pub(super) fn new(file: File, path: &Path, start: u64, element: Element, features: usize, count: u32) -> Stored {
        let (file, path) = (Arc::new(file), Arc::from(path));
        Stored { file, path, start, element, features, rows: (0..count).collect(), order: None, convert: None }
    }

    /// How many values there are.
    pub fn len(&self) -> usize {
        self.rows.len() * self.features
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether the values are bytes.
    pub fn is_bytes(&self) -> bool {
        self.element.kind == Kind::U8 && self.convert.is_none()
    }

    /// Bytes that all values would take in memory.
    pub fn bytes(&self) -> usize {
        self.len() * if self.is_bytes() { 1 } else { size_of::<f32>() }
    }

    pub(super) fn select(&self, positions: &[usize]) -> Stored {
        Stored { rows: positions.iter().map(|&at| self.rows[at]).collect(), ..self.clone() }
    }

    /// Adds rows of the same file.
    pub(super) fn extend(&mut self, other: &Stored) {
        self.rows = self.rows.iter().chain(other.rows.iter()).copied().collect();
    }

    pub(super) fn truncate(&mut self, len: usize) {
        self.rows = self.rows[..len / self.features.max(1)].into();
    }

    pub(super) fn permuted(self, from: Vec<usize>) -> Stored {
        Stored { order: Some(from.into()), ..self }
    }

    pub(super) fn converted(self, convert: Convert) -> Stored {
        Stored { convert: Some(convert), ..self }
    }

    /// Writes the bytes of row `row` to `to`, which is as long as a row.
    ///
    /// # Errors
    /// [`Error::Io`] where the file can't be read, or has become shorter.
    pub fn read_bytes(&self, row: usize, to: &mut [u8]) -> Result<()> {
        let Some(order) = &self.order else { return self.read_row(row, to) };
        let mut stored = vec![0; self.features];
        self.read_row(row, &mut stored)?;
        to.iter_mut().zip(order.iter()).for_each(|(to, &at)| *to = stored[at]);
        Ok(())
    }

    /// Writes row `row` as reals to `to`, which is as long as a row.
    ///
    /// # Errors
    /// As [`Stored::read_bytes`].
    pub fn read_reals(&self, row: usize, to: &mut [f32]) -> Result<()> {
        let numbers = self.numbers(row)?;
        let value = |at: usize, number: f64| self.convert.as_ref().map_or(number as f32, |convert| convert(at, number));
        to.iter_mut().zip(numbers).enumerate().for_each(|(at, (to, number))| *to = value(at, number));
        Ok(())
    }

    /// Calls `f` for each number as it is stored, in order.
    pub(super) fn each(&self, mut f: impl FnMut(f64)) -> Result<()> {
        let whole = self.rows.iter().enumerate().all(|(at, &row)| at == row as usize) && self.order.is_none();
        if !whole {
            return (0..self.rows.len()).try_for_each(|row| {
                self.numbers(row)?.into_iter().for_each(&mut f);
                Ok(())
            });
        }
        let (size, mut done) = (self.element.size(), 0);
        let mut piece = vec![0; PIECE * size];
        while done < self.len() {
            let count = PIECE.min(self.len() - done);
            let piece = &mut piece[..count * size];
            self.read_at(self.start + (done * size) as u64, piece)?;
            self.element.each(piece, &mut f);
            done += count;
        }
        Ok(())
    }

    fn numbers(&self, row: usize) -> Result<Vec<f64>> {
        let mut stored = vec![0; self.features * self.element.size()];
        self.read_row(row, &mut stored)?;
        let mut numbers = Vec::with_capacity(self.features);
        self.element.each(&stored, |number| numbers.push(number));
        Ok(match &self.order {
            Some(order) => order.iter().map(|&at| numbers[at]).collect(),
            None => numbers,
        })
    }

    fn read_row(&self, row: usize, to: &mut [u8]) -> Result<()> {
        let at = self.start + u64::from(self.rows[row]) * (self.features * self.element.size()) as u64;
        self.read_at(at, to)
    }

    fn read_at(&self, at: u64, to: &mut [u8]) -> Result<()> {
        read_exact_at(&self.file, to, at).map_err(Error::io("reading", &self.path))
    }
}

#[cfg(unix)]
fn read_exact_at(file: &File, to: &mut [u8], at: u64) -> std::io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, to, at)
}

#[cfg(windows)]
fn read_exact_at(file: &File, mut to: &mut [u8], mut at: u64) -> std::io::Result<()> {
    while !to.is_empty() {
        let read = std::os::windows::fs::FileExt::seek_read(file, to, at)?;
        if read == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        (to, at) = (&mut to[read..], at + read as u64);
    }
    Ok(())
}
