//! One description of an op at one size, which serves correctness, gradient and speed alike.

use super::Op;
use crate::tensor::Shape;

/// What an input holds in a test.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fill {
    /// Standard normal values.
    Normal,
    /// Normal values of standard deviation 30, at most about 163: where exp overflows or vanishes in f32.
    Wide,
    /// Values in [0, 1].
    Unit,
    /// Whole numbers from -2 to 2: many are equal.
    Few,
    /// A data set's bytes.
    Bytes,
    /// A data set's reals, in [0, 1).
    Reals,
}

impl Fill {
    /// Whether it fills a data set, rather than a value that the host writes.
    pub fn is_dataset(self) -> bool {
        matches!(self, Fill::Bytes | Fill::Reals)
    }
}

/// An op, and inputs to run it on.
#[derive(Clone, Debug)]
pub struct Case {
    /// The op.
    pub op: Op,
    /// Its inputs.
    pub inputs: Vec<(Shape, Fill)>,
    /// Terms in the longest sum behind one element: what its rounding error grows with.
    pub terms: usize,
}

impl Case {
    /// A case; inputs are `(shape, fill)`.
    pub fn new<S: Copy + Into<Shape>>(op: impl Into<Op>, terms: usize, inputs: &[(S, Fill)]) -> Case {
        let inputs = inputs.iter().map(|&(shape, fill)| (shape.into(), fill)).collect();
        Case { op: op.into(), inputs, terms }
    }
}

impl std::fmt::Display for Case {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let shapes: Vec<String> = self.inputs.iter().map(|(shape, _)| shape.to_string()).collect();
        write!(f, "{:?} on {}", self.op, shapes.join(", "))
    }
}
