//! The algorithms that compute a GEMM on a GPU, and the one place where one is chosen.

use super::{AdapterClass, DeviceProfile, Reads, Subgroups};
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
    /// A 64 x 64 tile a workgroup, through workgroup memory, 4 x 4 of it an invocation.
    Tiled,
    /// A 64 x 64 tile a workgroup of half as many invocations, 8 x 4 of it each.
    Tiled8x4,
    /// A 128 x 64 tile a workgroup of half as many invocations, 8 x 8 of it each.
    Tiled8x8,
    /// A 128 x 128 tile a workgroup, 8 x 8 of it an invocation.
    Square8x8,
    /// A 32 x 32 tile a workgroup, whose four k-groups split k.
    Split,
}

impl Algorithm {
    /// All of them.
    pub const ALL: [Algorithm; 8] = [
        Algorithm::Naive,
        Algorithm::Registers,
        Algorithm::Subgroups,
        Algorithm::Tiled,
        Algorithm::Tiled8x4,
        Algorithm::Tiled8x8,
        Algorithm::Square8x8,
        Algorithm::Split,
    ];

    /// Whether an adapter can run it.
    pub fn runs_on(self, profile: &DeviceProfile) -> bool {
        self != Algorithm::Subgroups || profile.subgroups == Subgroups::OfEight
    }

    /// The algorithm for `count` GEMMs of `size` = `[m, n, k]`: the tuned one, where the profile has it and the adapter can
    /// run it, else by rule.
    ///
    /// The rule: hardware shares loads through workgroup memory, by tiles that its registers hold. On software
    /// adapters that memory is no faster than any other and every load goes lane by lane, so what counts is
    /// multiply-adds a load: a subgroup shares its loads.
    pub fn choose(profile: &DeviceProfile, size: [usize; 3], count: usize) -> Algorithm {
        let [m, n, _] = size;
        match profile.tuning.get(&size) {
            Some(&variant) if variant.runs_on(profile) => variant,
            // Mesa 22.3 does not finish compiling the subgroup kernel of m = n = k = 1 with a gathered operand.
            _ if profile.software() && profile.subgroups == Subgroups::OfEight && size != [1; 3] => {
                Algorithm::Subgroups
            }
            _ if profile.software() => Algorithm::Registers,
            _ => {
                let enough = |found: &&Algorithm| found.groups(m, n, count) >= profile.workgroups_wanted();
                let cheapest = |a: &&Algorithm, b: &&Algorithm| a.cost(m, n).total_cmp(&b.cost(m, n));
                let large = Algorithm::candidates(profile.class).iter().filter(enough).min_by(cheapest);
                large.copied().unwrap_or(Algorithm::Split)
            }
        }
    }

    /// Those for hardware of a class whose workgroups have all of k, in the order in which they are preferred.
    ///
    /// Compilers for AMD, NVIDIA and Apple hold 8 x 8 sums and a slice in flight in registers; Apple's then runs half as many
    /// threads, and Intel's spills (benches/compilers).
    const fn candidates(class: AdapterClass) -> &'static [Algorithm] {
        match class {
            AdapterClass::Wide => &[Algorithm::Square8x8, Algorithm::Tiled8x8, Algorithm::Tiled],
            AdapterClass::Apple | AdapterClass::Intel => &[Algorithm::Tiled8x4],
            AdapterClass::Software => &[],
        }
    }

    /// About how long it takes: the elements of all tiles, also those past the edge, over multiply-adds a number that is read from
    /// workgroup memory.
    fn cost(self, m: usize, n: usize) -> f64 {
        let Some(Staged { tile: [rows, cols], thread: [down, across], .. }) = self.staged() else {
            return f64::INFINITY;
        };
        let rate = (down * across) as f64 / (down + across) as f64;
        (m.next_multiple_of(rows) * n.next_multiple_of(cols)) as f64 / rate
    }

    /// Its name, in files and on the screen.
    pub fn name(self) -> &'static str {
        match self {
            Algorithm::Naive => "naive",
            Algorithm::Registers => "registers",
            Algorithm::Subgroups => "subgroups",
            Algorithm::Tiled => "tiled",
            Algorithm::Tiled8x4 => "tiled-8x4",
            Algorithm::Tiled8x8 => "tiled-8x8",
            Algorithm::Square8x8 => "square-8x8",
            Algorithm::Split => "split",
        }
    }

    /// All names, for messages: `naive, registers, ... or split`.
    pub fn allowed() -> String {
        let names = Algorithm::ALL.map(Algorithm::name);
        let (last, others) = names.split_last().expect("there are algorithms");
        format!("{} or {last}", others.join(", "))
    }

    /// Its kernel, without operands and epilogue, for so many results of `m` rows and `n` columns.
    pub(super) fn kernel(self, m: usize, n: usize, parts: usize) -> Kernel {
        let entry = if self == Algorithm::Subgroups { Entry::RunSubgroup } else { Entry::Run };
        let kernel = Kernel::new(self.fragments(), entry, self.workgroup(), Grid::Workgroups(self.groups(m, n, parts)));
        match self.staged() {
            Some(Staged { tile, depth, thread }) => kernel
                .link(fragment!("gemm/stage.wgsl"))
                .link(fragment!("gemm/quad.wgsl"))
                .link(fragment!("gemm/tile.wgsl"))
                .link(fragment!("common/tiles.wgsl"))
                .link(match thread {
                    [4, 4] => fragment!("gemm/thread_4x4.wgsl"),
                    [8, 4] => fragment!("gemm/thread_8x4.wgsl"),
                    _ => fragment!("gemm/thread_8x8.wgsl"),
                })
                .constant("TILE_M", tile[0])
                .constant("TILE_N", tile[1])
                .constant("TILE_K", depth),
            None => kernel,
        }
    }

    /// Invocations a workgroup.
    fn workgroup(self) -> usize {
        match self {
            Algorithm::Naive => 64,
            // One a lane of a 256-bit vector.
            Algorithm::Registers | Algorithm::Subgroups => 8,
            Algorithm::Tiled8x4 | Algorithm::Tiled8x8 => 128,
            Algorithm::Tiled | Algorithm::Square8x8 | Algorithm::Split => 256,
        }
    }

    /// How operands are staged in workgroup memory, where they are.
    fn staged(self) -> Option<Staged> {
        match self {
            Algorithm::Naive | Algorithm::Registers | Algorithm::Subgroups => None,
            Algorithm::Tiled => Some(Staged { tile: [64, 64], depth: 16, thread: [4, 4] }),
            Algorithm::Tiled8x4 => Some(Staged { tile: [64, 64], depth: 8, thread: [8, 4] }),
            Algorithm::Tiled8x8 => Some(Staged { tile: [128, 64], depth: 8, thread: [8, 8] }),
            Algorithm::Square8x8 => Some(Staged { tile: [128, 128], depth: 8, thread: [8, 8] }),
            Algorithm::Split => Some(Staged { tile: [32, 32], depth: 32, thread: [4, 4] }),
        }
    }

    /// Its own files.
    fn fragments(self) -> Vec<Fragment> {
        match self {
            Algorithm::Naive => vec![fragment!("gemm/naive.wgsl")],
            Algorithm::Registers => vec![fragment!("gemm/registers.wgsl")],
            Algorithm::Subgroups => vec![fragment!("gemm/subgroups.wgsl"), fragment!("gemm/tile.wgsl")],
            Algorithm::Tiled | Algorithm::Tiled8x4 | Algorithm::Tiled8x8 | Algorithm::Square8x8 => {
                vec![fragment!("gemm/tiled.wgsl")]
            }
            Algorithm::Split => vec![fragment!("gemm/split.wgsl")],
        }
    }

    /// How it reads its operands.
    pub(super) fn reads(self) -> Reads {
        match self.staged() {
            Some(_) => Reads::Quads,
            None if self == Algorithm::Subgroups => Reads::Vec4s,
            None => Reads::Elements,
        }
    }

    /// Workgroups for so many results of `m` rows and `n` columns.
    pub(super) fn groups(self, m: usize, n: usize, parts: usize) -> usize {
        let [rows, cols] = match self.staged() {
            Some(Staged { tile, .. }) => tile,
            None if self == Algorithm::Subgroups => [32, 32],
            None if self == Algorithm::Registers => return (parts * m.div_ceil(16) * n.div_ceil(8)).div_ceil(8),
            None => return (parts * m * n.div_ceil(4)).div_ceil(64),
        };
        parts * m.div_ceil(rows) * n.div_ceil(cols)
    }
}

/// How operands are staged.
struct Staged {
    /// Rows and columns of a workgroup's tile of the result.
    tile: [usize; 2],
    /// k of a slice.
    depth: usize,
    /// Rows and columns of an invocation's thread tile.
    thread: [usize; 2],
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
    fn invocations_load_and_sum_all_of_a_tile() {
        for algorithm in Algorithm::ALL {
            let Some(Staged { tile: [rows, cols], depth, thread: [down, across] }) = algorithm.staged() else {
                continue;
            };
            let (workgroup, k_groups) = (algorithm.workgroup(), if algorithm == Algorithm::Split { 4 } else { 1 });
            assert!([1, 2].contains(&(rows * depth / 4 / workgroup)) && (rows * depth).is_multiple_of(4 * workgroup));
            assert_eq!(cols * depth, 4 * workgroup, "{algorithm:?}");
            assert_eq!(rows * cols * k_groups, down * across * workgroup, "{algorithm:?}");
            // TILE_MEMORY of common/tiles.wgsl.
            assert!(depth * (rows.max(cols) + 4) <= 1152, "{algorithm:?}");
        }
    }

    #[test]
    fn names_are_read_back() {
        for variant in Algorithm::ALL {
            assert_eq!(Algorithm::try_from(variant.name().to_owned()), Ok(variant));
        }
        let error = Algorithm::try_from("fast".to_owned()).unwrap_err();
        assert!(
            error.ends_with("it must be naive, registers, subgroups, tiled, tiled-8x4, tiled-8x8, square-8x8 or split"),
            "{error}"
        );
    }

    #[test]
    fn the_choice_follows_the_adapter_and_the_size() {
        use Algorithm::{Registers, Split, Square8x8, Subgroups, Tiled, Tiled8x4, Tiled8x8};
        // Few tiles of any size; enough of 64 x 64; of 128 x 64; of 128 x 128; enough, of which the largest would be three quarters empty.
        let sizes = [[128, 400, 784], [1024, 784, 400], [1024, 1024, 784], [1024, 2048, 784], [65536, 32, 512]];
        for (class, wanted) in [
            (AdapterClass::Wide, [Split, Tiled, Tiled8x8, Square8x8, Tiled8x8]),
            (AdapterClass::Apple, [Split, Tiled8x4, Tiled8x4, Tiled8x4, Tiled8x4]),
            (AdapterClass::Intel, [Split, Tiled8x4, Tiled8x4, Tiled8x4, Tiled8x4]),
            (AdapterClass::Software, [Registers; 5]),
        ] {
            let profile = DeviceProfile::new(class);
            assert_eq!(sizes.map(|size| Algorithm::choose(&profile, size, 1)), wanted, "{class:?}");
        }
        let eights =
            DeviceProfile { subgroups: super::Subgroups::OfEight, ..DeviceProfile::new(AdapterClass::Software) };
        assert_eq!(sizes.map(|size| Algorithm::choose(&eights, size, 1)), [Subgroups; 5]);
        assert_eq!(Algorithm::choose(&eights, [1; 3], 1), Registers);
    }

    #[test]
    fn a_profile_comes_before_the_rule_for_its_sizes_alone() {
        let products =
            [([128, 400, 784], Algorithm::Naive), ([1, 2, 3], Algorithm::Tiled), ([4, 5, 6], Algorithm::Subgroups)];
        let profile = DeviceProfile { tuning: products.into(), ..DeviceProfile::new(AdapterClass::Software) };
        let sizes = [[128, 400, 784], [1, 2, 3], [128, 784, 400], [4, 5, 6]];
        let choices = sizes.map(|size| Algorithm::choose(&profile, size, 1));
        // It has no subgroups.
        assert_eq!(choices, [Algorithm::Naive, Algorithm::Tiled, Algorithm::Registers, Algorithm::Registers]);
    }
}
