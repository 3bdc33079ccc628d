//! The algorithms that compute a GEMM on a GPU, and the one place where one is chosen.

use super::DeviceProfile;
use crate::kernel::{Entry, Fragment, Grid, Kernel, fragment};
use serde::{Deserialize, Serialize};

/// A GEMM kernel algorithm; all of them take any loaders and any epilogue.
///
/// In files it is its [name](Algorithm::name).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "&'static str", try_from = "String")]
pub enum Algorithm {
    /// Four sums an invocation, nothing reused: what the others are measured against, and never chosen by the rule.
    Naive,
    /// A 16 x 8 tile an invocation, in registers.
    Registers,
    /// A 32 x 32 tile a subgroup of eight, in registers.
    Subgroups,
    /// A 64 x 64 tile a workgroup, through workgroup memory.
    Tiled,
    /// A 32 x 32 tile a workgroup, whose four k-groups split k.
    Split,
}

impl Algorithm {
    /// All of them.
    pub const ALL: [Algorithm; 5] =
        [Algorithm::Naive, Algorithm::Registers, Algorithm::Subgroups, Algorithm::Tiled, Algorithm::Split];

    /// Whether an adapter can run it.
    pub fn runs_on(self, profile: &DeviceProfile) -> bool {
        self != Algorithm::Subgroups || profile.subgroups_of_eight
    }

    /// The algorithm for a GEMM of `size` = `[m, n, k]`: the tuned one, where the profile has it and the adapter can
    /// run it, else by rule.
    ///
    /// The rule: hardware shares loads through workgroup memory; where the large tiles are too few to fill it, it takes the
    /// small ones, whose k-groups split k. On software adapters that memory is no faster than any other and every load
    /// goes lane by lane, so what counts is multiply-adds a load: a subgroup shares its loads.
    pub fn choose(profile: &DeviceProfile, size: [usize; 3]) -> Algorithm {
        let [m, n, _] = size;
        match profile.tuning.get(&size) {
            Some(&variant) if variant.runs_on(profile) => variant,
            // Mesa 22.3 does not finish compiling the subgroup kernel of m = n = k = 1 with a gathered operand.
            _ if profile.software && profile.subgroups_of_eight && size != [1; 3] => Algorithm::Subgroups,
            _ if profile.software => Algorithm::Registers,
            _ if Algorithm::Tiled.groups(m, n, 1) < profile.workgroups_wanted() => Algorithm::Split,
            _ => Algorithm::Tiled,
        }
    }

    /// Its name, in files and on the screen.
    pub fn name(self) -> &'static str {
        match self {
            Algorithm::Naive => "naive",
            Algorithm::Registers => "registers",
            Algorithm::Subgroups => "subgroups",
            Algorithm::Tiled => "tiled",
            Algorithm::Split => "split",
        }
    }

    /// All names, for messages: `naive, registers, subgroups, tiled or split`.
    pub fn allowed() -> String {
        let names = Algorithm::ALL.map(Algorithm::name);
        let (last, others) = names.split_last().expect("there are algorithms");
        format!("{} or {last}", others.join(", "))
    }

    /// Its kernel, without operands and epilogue, for so many results of `m` rows and `n` columns.
    pub(super) fn kernel(self, m: usize, n: usize, parts: usize) -> Kernel {
        let entry = if self == Algorithm::Subgroups { Entry::RunSubgroup } else { Entry::Run };
        Kernel::new(self.fragments(), entry, self.workgroup(), Grid::Workgroups(self.groups(m, n, parts)))
    }

    /// Invocations a workgroup.
    fn workgroup(self) -> usize {
        match self {
            Algorithm::Naive => 64,
            // One a lane of a 256-bit vector.
            Algorithm::Registers | Algorithm::Subgroups => 8,
            Algorithm::Tiled | Algorithm::Split => 256,
        }
    }

    fn fragments(self) -> Vec<Fragment> {
        let tiled = |main| {
            vec![
                main,
                fragment!("gemm/square_tile.wgsl"),
                fragment!("gemm/thread_tile.wgsl"),
                fragment!("common/tiles.wgsl"),
            ]
        };
        match self {
            Algorithm::Naive => vec![fragment!("gemm/naive.wgsl")],
            Algorithm::Registers => vec![fragment!("gemm/registers.wgsl")],
            Algorithm::Subgroups => vec![fragment!("gemm/subgroups.wgsl"), fragment!("gemm/square_tile.wgsl")],
            Algorithm::Tiled => tiled(fragment!("gemm/tiled.wgsl")),
            Algorithm::Split => tiled(fragment!("gemm/split.wgsl")),
        }
    }

    /// Whether it loads vec4s of its operands.
    pub(super) fn reads_by_vec4(self) -> bool {
        matches!(self, Algorithm::Subgroups | Algorithm::Tiled | Algorithm::Split)
    }

    /// Workgroups for so many results of `m` rows and `n` columns.
    pub(super) fn groups(self, m: usize, n: usize, parts: usize) -> usize {
        match self {
            Algorithm::Naive => (parts * m * n.div_ceil(4)).div_ceil(64),
            Algorithm::Registers => (parts * m.div_ceil(16) * n.div_ceil(8)).div_ceil(8),
            Algorithm::Subgroups | Algorithm::Split => parts * m.div_ceil(32) * n.div_ceil(32),
            Algorithm::Tiled => parts * m.div_ceil(64) * n.div_ceil(64),
        }
    }
}

impl From<Algorithm> for &'static str {
    fn from(variant: Algorithm) -> &'static str {
        variant.name()
    }
}

impl TryFrom<String> for Algorithm {
    type Error = String;
    fn try_from(name: String) -> Result<Algorithm, String> {
        let known = Algorithm::ALL.into_iter().find(|variant| variant.name() == name);
        known.ok_or_else(|| format!("{name:?} is no algorithm for products: it must be {}", Algorithm::allowed()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back() {
        for variant in Algorithm::ALL {
            assert_eq!(Algorithm::try_from(variant.name().to_owned()), Ok(variant));
        }
        let error = Algorithm::try_from("fast".to_owned()).unwrap_err();
        assert!(error.ends_with("it must be naive, registers, subgroups, tiled or split"), "{error}");
    }

    #[test]
    fn the_choice_follows_the_adapter_and_the_size() {
        for size in [[128, 400, 784], [1024, 2048, 784]] {
            assert_eq!(Algorithm::choose(&DeviceProfile::new(true), size), Algorithm::Registers);
            let eights = DeviceProfile { subgroups_of_eight: true, ..DeviceProfile::new(true) };
            assert_eq!(Algorithm::choose(&eights, size), Algorithm::Subgroups);
            assert_eq!(Algorithm::choose(&eights, [1; 3]), Algorithm::Registers);
        }
        assert_eq!(Algorithm::choose(&DeviceProfile::new(false), [128, 400, 784]), Algorithm::Split);
        assert_eq!(Algorithm::choose(&DeviceProfile::new(false), [1024, 2048, 784]), Algorithm::Tiled);
    }

    #[test]
    fn a_profile_comes_before_the_rule_for_its_sizes_alone() {
        let products =
            [([128, 400, 784], Algorithm::Naive), ([1, 2, 3], Algorithm::Tiled), ([4, 5, 6], Algorithm::Subgroups)];
        let profile = DeviceProfile { tuning: products.into(), ..DeviceProfile::new(true) };
        let sizes = [[128, 400, 784], [1, 2, 3], [128, 784, 400], [4, 5, 6]];
        let choices = sizes.map(|size| Algorithm::choose(&profile, size));
        // It has no subgroups.
        assert_eq!(choices, [Algorithm::Naive, Algorithm::Tiled, Algorithm::Registers, Algorithm::Registers]);
    }
}
