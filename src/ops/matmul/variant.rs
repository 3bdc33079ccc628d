//! The loops that compute a product on a GPU, and the one place where the loop of a product is chosen.

use crate::ops::{Fragment, Profile, fragment};

/// A loop over a product's terms. Each calls what loads and ends define, so each runs every product.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Variant {
    /// Four sums an invocation, nothing reused: what the others are measured against, and never chosen.
    Naive,
    /// A 16 x 8 tile an invocation, in registers.
    Registers,
    /// A 64 x 64 tile a workgroup, through workgroup memory.
    Tiled,
}

impl Variant {
    /// All of them.
    pub const ALL: [Variant; 3] = [Variant::Naive, Variant::Registers, Variant::Tiled];

    /// The one for `[m, k] [k, n]` on an adapter.
    ///
    /// Hardware shares loads through workgroup memory. On software adapters that memory is no faster than any other and
    /// every load goes lane by lane, so what counts is multiply-adds a load.
    pub fn choose(profile: &Profile, [_m, _n, _k]: [usize; 3]) -> Variant {
        match profile.software {
            true => Variant::Registers,
            false => Variant::Tiled,
        }
    }

    /// The file with the entry point.
    pub(super) fn fragment(self) -> Fragment {
        match self {
            Variant::Naive => fragment!("matmul_naive.wgsl"),
            Variant::Registers => fragment!("matmul_registers.wgsl"),
            Variant::Tiled => fragment!("matmul_tiled.wgsl"),
        }
    }

    /// Workgroups for a result of `m` rows and `n` columns.
    pub(super) fn groups(self, m: usize, n: usize) -> usize {
        match self {
            Variant::Naive => (m * n.div_ceil(4)).div_ceil(64),
            // Eight invocations a workgroup: one a lane of a 256-bit vector.
            Variant::Registers => (m.div_ceil(16) * n.div_ceil(8)).div_ceil(8),
            Variant::Tiled => m.div_ceil(64) * n.div_ceil(64),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_choice_follows_the_adapter() {
        let size = [128, 400, 784];
        assert_eq!(Variant::choose(&Profile { software: true }, size), Variant::Registers);
        assert_eq!(Variant::choose(&Profile { software: false }, size), Variant::Tiled);
    }
}
