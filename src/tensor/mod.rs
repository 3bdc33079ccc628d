//! What a value is apart from its numbers: its shape and how its elements are stored. Below everything, and knows nothing.

use std::fmt;

/// The extents of a value: one to four, in the order in which elements are stored, the last one's side by side. Images are
/// `[batch, height, width, channels]`.
///
/// What works on rows sees any value as a matrix: its columns are the last extent, its rows all others together.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Shape {
    /// Those behind the last are 1.
    extents: [usize; Shape::MAX_RANK],
    rank: usize,
}

impl Shape {
    /// The most extents.
    pub const MAX_RANK: usize = 4;

    /// A scalar's shape, `[1, 1]`.
    pub const SCALAR: Shape = Shape::new(1, 1);

    /// A matrix's, `[rows, cols]`.
    pub const fn new(rows: usize, cols: usize) -> Shape {
        Shape::of([rows, cols])
    }

    /// These extents.
    ///
    /// # Panics
    /// Where there are none or more than [`Shape::MAX_RANK`].
    pub const fn of<const N: usize>(extents: [usize; N]) -> Shape {
        assert!(1 <= N && N <= Shape::MAX_RANK, "a shape has one to four extents");
        let mut shape = Shape { extents: [1; Shape::MAX_RANK], rank: N };
        let mut at = 0;
        while at < N {
            shape.extents[at] = extents[at];
            at += 1;
        }
        shape
    }

    /// The extents, outermost first.
    pub fn extents(&self) -> &[usize] {
        &self.extents[..self.rank]
    }

    /// How many extents there are.
    pub const fn rank(self) -> usize {
        self.rank
    }

    /// Rows, seen as a matrix: the product of all extents but the last.
    pub const fn rows(self) -> usize {
        let (mut rows, mut at) = (1, 0);
        while at + 1 < self.rank {
            rows *= self.extents[at];
            at += 1;
        }
        rows
    }

    /// Columns, seen as a matrix: the last extent.
    pub const fn cols(self) -> usize {
        self.extents[self.rank - 1]
    }

    /// Number of elements.
    pub const fn len(self) -> usize {
        self.rows() * self.cols()
    }

    /// Whether there is no element.
    pub const fn is_empty(self) -> bool {
        self.len() == 0
    }
}

impl<const N: usize> From<[usize; N]> for Shape {
    fn from(extents: [usize; N]) -> Shape {
        Shape::of(extents)
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.extents())
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
    /// Half-precision floating point, two to a word on a GPU: data sets, and activations where a plan says so.
    F16,
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
            DType::F16 => 2,
            DType::U8 => 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_shape_is_a_matrix_too() {
        let images = Shape::of([128, 28, 14, 3]);
        assert_eq!(
            (images.rows(), images.cols(), images.len(), images.rank()),
            (128 * 28 * 14, 3, 128 * 28 * 14 * 3, 4)
        );
        assert_eq!(images.to_string(), "[128, 28, 14, 3]");
        let bias = Shape::of([5]);
        assert_eq!((bias.rows(), bias.cols(), bias.extents()), (1, 5, &[5][..]));
        assert_ne!(bias, Shape::new(1, 5));
        assert_eq!(Shape::new(2, 3), Shape::of([2, 3]));
        assert!(Shape::of([2, 0, 4]).is_empty());
    }
}
