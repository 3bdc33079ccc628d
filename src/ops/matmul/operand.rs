//! How a matrix product's operands are read, stored as they are or computed from what is stored.

use std::borrow::Cow;

use super::*;
use crate::gemm::{Dense, Loader, Side};

/// How an operand is read.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Operand {
    /// As it is stored.
    Stored,
    /// From a data set, whose pixels are not drawn: what [`Gather`] would write. Of an operand that is not transposed.
    Gathered(Gather),
}

impl Operand {
    /// The operand's shape, where this is what it is read from.
    pub fn shape(&self, stored: Shape) -> Shape {
        match self {
            Operand::Stored => stored,
            Operand::Gathered(gather) => Shape::new(gather.rows, stored.cols()),
        }
    }

    /// The operand's elements.
    pub(super) fn elements<'a, T: Real>(&self, step: &Step, stored: View<'a, T>) -> Cow<'a, [T]> {
        match self {
            Operand::Stored => Cow::Borrowed(stored.values),
            Operand::Gathered(gather) => {
                let mut elements = vec![T::zero(); self.shape(stored.shape).len()];
                gather.reference(step, &[stored], &mut [&mut elements]);
                Cow::Owned(elements)
            }
        }
    }

    /// How kernels read it, where it is stored so.
    pub(super) fn loader(&self, stored: Shape, k_contiguous: bool) -> Box<dyn Loader> {
        match self {
            Operand::Stored => Box::new(Dense { k_contiguous, cols: stored.cols() }),
            Operand::Gathered(gather) => Box::new(GatheredLoader { gather: *gather, data: stored, k_contiguous }),
        }
    }
}

/// A batch, read from the data set.
struct GatheredLoader {
    gather: Gather,
    data: Shape,
    k_contiguous: bool,
}

impl Loader for GatheredLoader {
    fn link(&self, kernel: Kernel, side: Side, by_vec4: bool) -> Kernel {
        let (file, load, binding) = match (side, by_vec4) {
            (Side::A, false) => (fragment!("gemm/operand_a_gathered.wgsl"), fragment!("gemm/load_a_gathered.wgsl"), 1),
            (Side::A, true) => (fragment!("gemm/operand_a_gathered.wgsl"), fragment!("gemm/load_a_gathered_vec4.wgsl"), 1),
            (Side::B, false) => (fragment!("gemm/operand_b_gathered.wgsl"), fragment!("gemm/load_b_gathered.wgsl"), 2),
            (Side::B, true) => (fragment!("gemm/operand_b_gathered.wgsl"), fragment!("gemm/load_b_gathered_vec4.wgsl"), 2),
        };
        self.gather.link_rows(kernel.link(file).link(load), self.data, by_vec4).binding("DATA", binding)
    }

    fn has_vec4s(&self) -> bool {
        self.data.cols().is_multiple_of(4)
    }

    fn k_contiguous(&self) -> bool {
        self.k_contiguous
    }
}
