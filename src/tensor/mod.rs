//! What a value is apart from its numbers: its shape and how its elements are stored. Below everything, and knows nothing.

use std::fmt;

/// Rows and columns of a value.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Shape {
    /// Number of rows: the batch, for activations.
    pub rows: usize,
    /// Number of columns: the features, for activations.
    pub cols: usize,
}

impl Shape {
    /// A scalar's shape.
    pub const SCALAR: Shape = Shape { rows: 1, cols: 1 };

    /// `[rows, cols]`.
    pub const fn new(rows: usize, cols: usize) -> Shape {
        Shape { rows, cols }
    }

    /// Number of elements.
    pub const fn len(self) -> usize {
        self.rows * self.cols
    }

    /// Whether there is no element.
    pub const fn is_empty(self) -> bool {
        self.len() == 0
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}, {}]", self.rows, self.cols)
    }
}

impl fmt::Debug for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// How a value's elements are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DType {
    /// Floating point: f32 on a GPU; f32 or f64 on the CPU.
    F32,
    /// Unsigned words.
    U32,
    /// Unsigned bytes, four to a word on a GPU; only data sets are stored so.
    U8,
}

impl DType {
    /// Bytes of an element on a GPU.
    pub const fn bytes(self) -> usize {
        match self {
            DType::F32 | DType::U32 => 4,
            DType::U8 => 1,
        }
    }
}
