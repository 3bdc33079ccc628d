//! GEMM on cooperative matrices: operands in f16, sums in f32, a subgroup a matrix.
//!
//! Everything else stays f32: weights, activations, gradients and Adam's moments are rounded only on their way into a
//! product. A value beyond f16's 65504 becomes infinite there, and the run stops at its loss; small ones lose digits below
//! 6e-5 and vanish below 6e-8. A gradient of a mean over a batch is as many times smaller as that has examples, so a
//! gradient that enters a product is multiplied by about that number first.

use crate::kernel::{Entry, Grid, Kernel, fragment};

/// What an adapter's subgroups multiply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Half {
    /// Rows and columns of a matrix: 8 or 16.
    pub side: usize,
    /// Invocations a subgroup.
    pub subgroup: usize,
}

/// Subgroups a workgroup, and cooperative matrices along a side of its tile.
const SUBGROUPS: usize = 4;

impl Half {
    /// Its kernel, without operands and epilogue, for so many results of `m` rows and `n` columns; A is multiplied by `a_scale` before it
    /// is rounded.
    pub(super) fn kernel(self, m: usize, n: usize, parts: usize, a_scale: usize) -> Kernel {
        let matrices = if self.side == 8 { fragment!("gemm/matrix_8.wgsl") } else { fragment!("gemm/matrix_16.wgsl") };
        let fragments = vec![fragment!("gemm/half.wgsl"), fragment!("gemm/tile.wgsl"), matrices];
        let groups = parts * m.div_ceil(SUBGROUPS * self.side) * n.div_ceil(SUBGROUPS * self.side);
        let workgroup = SUBGROUPS * self.subgroup;
        Kernel::new(fragments, Entry::Main, workgroup, Grid::Workgroups(groups))
            .constant("WORKGROUP", workgroup)
            .constant("A_SCALE", a_scale.next_power_of_two())
    }
}
