//! Operands: how a GEMM reads A and B, stored as they are or computed from what is stored as they are read.
//!
//! An element's address is the sum of a part of its row (of B: its column) and a part of its k, so that an algorithm computes
//! each part once: for a batch read straight from the data set the first walks the epoch's permutation, which is far dearer
//! than the load itself.
//!
//! Algorithms that stage tiles in workgroup memory load vec4s: four rows (of B: columns) at one k. Where the operand is
//! stored with these side by side, as both are of a weight gradient, a vec4 is one load; where it is k-contiguous it is four,
//! whose cache lines neighbours share.

use std::borrow::Cow;

use super::*;

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
            Operand::Gathered(gather) => Shape::new(gather.rows, stored.cols),
        }
    }

    /// Whether four neighbours of a row can be one vec4 load.
    fn is_of_vec4s(&self, stored: Shape) -> bool {
        *self == Operand::Stored && stored.cols.is_multiple_of(FOUR)
    }

    /// The operand's elements.
    pub(super) fn elements<'a, T: Real>(&self, step: &Step, stored: View<'a, T>) -> Cow<'a, [T]> {
        let fill = |compute: &dyn Fn(&mut [T])| {
            let mut elements = vec![T::zero(); self.shape(stored.shape).len()];
            compute(&mut elements);
            Cow::Owned(elements)
        };
        match self {
            Operand::Stored => Cow::Borrowed(stored.values),
            Operand::Gathered(gather) => fill(&|elements| gather.reference(step, &[stored], &mut [elements])),
        }
    }

    /// Links what defines `a_row`, `a_k` and `load_a`.
    fn link_as_a(&self, kernel: Kernel, stored: Shape, transposed: bool) -> Kernel {
        match (self, transposed) {
            (Operand::Stored, false) => kernel.link(fragment!("gemm/operand_a.wgsl")),
            (Operand::Stored, true) => kernel.link(fragment!("gemm/operand_a_transposed.wgsl")),
            (Operand::Gathered(gather), _) => {
                gather.link_rows(kernel.link(fragment!("gemm/operand_a_gathered.wgsl")), stored).binding("DATA", 1)
            }
        }
    }

    /// Links what defines `b_col`, `b_k` and `load_b`.
    fn link_as_b(&self, kernel: Kernel, stored: Shape, transposed: bool) -> Kernel {
        match (self, transposed) {
            (Operand::Stored, true) => kernel.link(fragment!("gemm/operand_b_transposed.wgsl")),
            (Operand::Stored, false) => kernel.link(fragment!("gemm/operand_b.wgsl")),
            (Operand::Gathered(gather), _) => {
                gather.link_rows(kernel.link(fragment!("gemm/operand_b_gathered.wgsl")), stored).binding("DATA", 2)
            }
        }
    }
}

impl Matmul {
    /// Links the loaders of both operands: of elements, or of vec4s too.
    pub(super) fn link_operands(&self, kernel: Kernel, [a, b]: [Shape; 2], by_vec4: bool) -> Kernel {
        let kernel = self.link_a(kernel, a, by_vec4);
        self.link_b(kernel, b, by_vec4)
    }

    fn link_a(&self, kernel: Kernel, stored: Shape, by_vec4: bool) -> Kernel {
        let transposed = self.transpose == Transpose::A;
        if by_vec4 && transposed && self.a.is_of_vec4s(stored) {
            return kernel.link(fragment!("gemm/vec4_a_contiguous.wgsl"));
        }
        let kernel = self.a.link_as_a(kernel, stored, transposed);
        match by_vec4 {
            true => kernel.link(fragment!("gemm/vec4_a.wgsl")).constant("A_K_CONTIGUOUS", usize::from(!transposed)),
            false => kernel,
        }
    }

    fn link_b(&self, kernel: Kernel, stored: Shape, by_vec4: bool) -> Kernel {
        let transposed = self.transpose == Transpose::B;
        if by_vec4 && !transposed && self.b.is_of_vec4s(stored) {
            return kernel.link(fragment!("gemm/vec4_b_contiguous.wgsl"));
        }
        let kernel = self.b.link_as_b(kernel, stored, transposed);
        match by_vec4 {
            true => kernel.link(fragment!("gemm/vec4_b.wgsl")).constant("B_K_CONTIGUOUS", usize::from(transposed)),
            false => kernel,
        }
    }
}
