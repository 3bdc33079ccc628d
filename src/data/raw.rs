//! Examples as a reader found them, before any set is compared with another.

use super::labels::Labels;
use super::numbers::Numbers;
use super::{ImageSize, channels};

/// One set of examples on its source's own scale.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Raw {
    pub(super) size: ImageSize,
    /// `[count, features]`; the channels of a pixel stand together.
    pub(super) numbers: Numbers,
    /// The number that counts as 1 where nothing else is said: 255 of bytes, 65,535 of pixels of 16 bits, 1 of real-valued
    /// pixels. None where numbers are what they are.
    pub(super) white: Option<f64>,
    /// Read from image files, whose numbers mean nothing but shares of white.
    pub(super) pictures: bool,
    pub(super) labels: Labels,
    /// `[count]`, the file of each example, or where it stood; empty where its number says that.
    pub(super) names: Vec<String>,
    /// `[features]`, the names of a table's columns; empty where they have none.
    pub(super) columns: Vec<String>,
}

impl Raw {
    /// Numbers without labels and names; 255 is white where they are bytes.
    pub(super) fn numbers(size: ImageSize, numbers: Numbers) -> Raw {
        let white = numbers.are_bytes().then_some(255.0);
        Raw { size, numbers, white, pictures: false, labels: Labels::None, names: Vec::new(), columns: Vec::new() }
    }

    pub(super) fn count(&self) -> usize {
        self.numbers.len().checked_div(self.size.features()).unwrap_or(0)
    }

    /// The examples at these positions, in this order.
    pub(super) fn select(&self, positions: &[usize]) -> Raw {
        let names = match self.names.is_empty() {
            true => Vec::new(),
            false => positions.iter().map(|&at| self.names[at].clone()).collect(),
        };
        Raw {
            numbers: self.numbers.select(self.size.features(), positions),
            labels: self.labels.select(positions),
            names,
            columns: self.columns.clone(),
            ..*self
        }
    }

    /// Pixels with so many channels.
    ///
    /// # Panics
    /// Where rows are stored and their channels differ.
    pub(super) fn with_channels(self, count: usize) -> Raw {
        let numbers = channels::convert(self.numbers, self.size.channels, count);
        Raw { size: ImageSize { channels: count, ..self.size }, numbers, ..self }
    }
}
