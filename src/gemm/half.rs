//! GEMM on cooperative matrices: operands in f16, sums in f32, a subgroup a matrix.
//!
//! Weights, gradients and Adam's moments are rounded only on their way into a product; activations are stored in f16
//! (`plan/storage.rs`). Everything else is f32.
//!
//! **Scaling.** f16 ends at 65504, has fewer digits below 6e-5 and nothing below 6e-8, and gradients of a mean over a batch are
//! small. Mixed precision (Micikevicius et al. 2018, PyTorch's `GradScaler`) stores gradients in f16: it multiplies the loss by a
//! guess, skips a step whose gradients overflow, and guesses less. Here they are stored in f32, so each product measures its
//! operands instead. A workgroup takes the largest magnitude of what it loads, slice by slice, and multiplies by the power of two
//! that brings it to about 1000 (`shaders/gemm/half_stage.wgsl`); where a later slice is too large for that, the sums so far are
//! scaled down, which is exact. No finite operand overflows and no step is skipped. Nothing is kept from step to step, so a
//! resumed run gives the same bits without state in its checkpoint. Infinities and NaN stay so, and the run stops at its loss as
//! one in f32 does. The price is a maximum over a subgroup for each slice of an operand.
//!
//! **Shapes.** naga 30's WGSL has matrices of 8x8 and of 16x16 alone: Intel's 8x8x16 and 8x16x16 can't be written, and adapters
//! with only these are refused. wgpu 30 can't ask for a size of subgroups. Where an adapter has several, a workgroup has as many
//! invocations as four of the largest; should subgroups be smaller, the first four of them multiply. Metal is refused: wgpu says
//! 4 to 64 of it, and slices of 8x8 have no vec4 for each invocation of four subgroups of 64. Without
//! cooperative matrices products are in f32, of activations in f16.

use super::DeviceProfile;
use crate::kernel::{Entry, Grid, Kernel, fragment};

/// What an adapter's subgroups multiply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Half {
    /// Rows and columns of a matrix: 8 or 16.
    side: usize,
    /// Invocations of the largest subgroup.
    subgroup: usize,
}

/// Subgroups that multiply, of a workgroup.
const SUBGROUPS: usize = 4;
/// Most invocations of a workgroup, by WebGPU's default limits.
const MOST_INVOCATIONS: usize = 256;

/// A subgroup's tile of the result: matrices along its side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SubgroupTile {
    /// Of slices that are two matrices deep.
    TwoByTwo = 2,
    /// Of slices that are one deep. Sums take 128 registers of subgroups of 32.
    FourByFour = 4,
}

impl Half {
    /// Matrices of `side` by `side`, on subgroups of at most `subgroup` invocations; none where no kernel fits.
    pub fn new(side: usize, subgroup: usize) -> Option<Half> {
        let workgroup = SUBGROUPS * subgroup;
        let fits = [8, 16].contains(&side) && subgroup.is_power_of_two() && workgroup <= MOST_INVOCATIONS;
        // An invocation loads so many vec4s of a slice of an operand, with tiles of either size.
        (fits && [1, 2, 4].contains(&(2 * side * side / workgroup))).then_some(Half { side, subgroup })
    }

    /// The larger tile, where there are enough of it to fill the device.
    pub(super) fn choose(self, profile: &DeviceProfile, [m, n, _]: [usize; 3], count: usize) -> SubgroupTile {
        match self.groups(SubgroupTile::FourByFour, m, n, count) >= profile.workgroups_wanted() {
            true => SubgroupTile::FourByFour,
            false => SubgroupTile::TwoByTwo,
        }
    }

    /// Its kernel, without operands and epilogue, for so many results of `m` rows and `n` columns.
    pub(super) fn kernel(self, tile: SubgroupTile, m: usize, n: usize, count: usize) -> Kernel {
        let fragments = vec![
            fragment!("gemm/half.wgsl"),
            fragment!("gemm/half_stage.wgsl"),
            fragment!("gemm/quad.wgsl"),
            fragment!("gemm/tile.wgsl"),
            match tile {
                SubgroupTile::TwoByTwo => fragment!("gemm/half_2x2.wgsl"),
                SubgroupTile::FourByFour => fragment!("gemm/half_4x4.wgsl"),
            },
            if self.side == 8 { fragment!("gemm/matrix_8.wgsl") } else { fragment!("gemm/matrix_16.wgsl") },
        ];
        let workgroup = SUBGROUPS * self.subgroup;
        Kernel::new(fragments, Entry::Main, workgroup, Grid::Workgroups(self.groups(tile, m, n, count)))
            .constant("WORKGROUP", workgroup)
    }

    /// Workgroups for so many results of `m` rows and `n` columns: four subgroups, two by two, a tile.
    pub(super) fn groups(self, tile: SubgroupTile, m: usize, n: usize, count: usize) -> usize {
        let side = 2 * tile as usize * self.side;
        count * m.div_ceil(side) * n.div_ceil(side)
    }
}

/// What a subgroup multiplies: `16x16x16`.
impl std::fmt::Display for Half {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let side = self.side;
        write!(f, "{side}x{side}x{side}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gemm::AdapterClass;

    #[test]
    fn workgroups_hold_four_of_the_largest_subgroups() {
        // lavapipe's; of 32; NVIDIA's; AMD's of 32 to 64. An invocation would load eight vec4s; half a vec4, as wgpu describes Metal; more
        // than 256 invocations.
        let fits = [(8, 8), (8, 32), (16, 32), (16, 64), (16, 16), (8, 64), (16, 128)];
        let found = fits.map(|(side, subgroup)| Half::new(side, subgroup).is_some());
        assert_eq!(found, [true, true, true, true, false, false, false]);
    }

    #[test]
    fn tiles_are_large_where_there_are_enough() {
        let (half, profile) = (Half::new(16, 32).expect("it fits"), DeviceProfile::new(AdapterClass::Wide));
        let tiles = [[128, 400, 784], [1024, 2048, 784], [1024, 2049, 784]].map(|size| half.choose(&profile, size, 1));
        assert_eq!(tiles, [SubgroupTile::TwoByTwo, SubgroupTile::FourByFour, SubgroupTile::FourByFour]);
        assert_eq!(half.groups(SubgroupTile::TwoByTwo, 128, 400, 1), 2 * 7);
    }
}
