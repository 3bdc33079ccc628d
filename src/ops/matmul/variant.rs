//! The loops that compute a product on a GPU, and the one place where the loop of a product is chosen.

use crate::ops::{Fragment, Profile, fragment};
use serde::{Deserialize, Serialize};

/// A loop over a product's terms. Each calls what loads and ends define, so each runs every product.
///
/// In files it is its [name](Variant::name).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "&'static str", try_from = "String")]
pub enum Variant {
    /// Four sums an invocation, nothing reused: what the others are measured against, and never chosen by the rule.
    Naive,
    /// A 16 x 8 tile an invocation, in registers.
    Registers,
    /// A 32 x 32 tile a subgroup of eight, in registers.
    Subgroups,
    /// A 64 x 64 tile a workgroup, through workgroup memory.
    Tiled,
    /// A 32 x 32 tile a workgroup, four teams of which share the terms.
    Split,
}

/// Workgroups that a large GPU runs at once, about one a core: with fewer it stands partly idle. An estimate, not a
/// measurement; `vae-gpu bench --tune` measures.
const FILLS: usize = 128;

impl Variant {
    /// All of them.
    pub const ALL: [Variant; 5] =
        [Variant::Naive, Variant::Registers, Variant::Subgroups, Variant::Tiled, Variant::Split];

    /// Whether an adapter can run it.
    pub fn runs_on(self, profile: &Profile) -> bool {
        self != Variant::Subgroups || profile.subgroups_of_eight
    }

    /// The one for `[m, k] [k, n]` on an adapter: the profile's, where it has products of this size and the adapter can run
    /// it, else by a rule.
    ///
    /// The rule: hardware shares loads through workgroup memory; where the large tiles are too few to fill it, it takes the
    /// small ones, whose teams split the terms. On software adapters that memory is no faster than any other and every load
    /// goes lane by lane, so what counts is multiply-adds a load: a subgroup shares its loads.
    pub fn choose(profile: &Profile, size: [usize; 3]) -> Variant {
        let [m, n, _] = size;
        match profile.products.get(&size) {
            Some(&variant) if variant.runs_on(profile) => variant,
            // A tile of a single product of computed factors keeps Mesa's compiler (22.3) busy for ever.
            _ if profile.software && profile.subgroups_of_eight && size != [1; 3] => Variant::Subgroups,
            _ if profile.software => Variant::Registers,
            _ if Variant::Tiled.groups(m, n) < FILLS => Variant::Split,
            _ => Variant::Tiled,
        }
    }

    /// Its name, in files and on the screen.
    pub fn name(self) -> &'static str {
        match self {
            Variant::Naive => "naive",
            Variant::Registers => "registers",
            Variant::Subgroups => "subgroups",
            Variant::Tiled => "tiled",
            Variant::Split => "split",
        }
    }

    /// All names, for messages: `naive, registers, subgroups, tiled or split`.
    pub fn allowed() -> String {
        let names = Variant::ALL.map(Variant::name);
        let (last, others) = names.split_last().expect("there are loops");
        format!("{} or {last}", others.join(", "))
    }

    /// The file with the entry point, and what it links with.
    pub(super) fn fragments(self) -> Vec<Fragment> {
        match self {
            Variant::Naive => vec![fragment!("matmul_naive.wgsl")],
            Variant::Registers => vec![fragment!("matmul_registers.wgsl")],
            Variant::Subgroups => vec![fragment!("matmul_subgroups.wgsl"), fragment!("square_tile.wgsl")],
            Variant::Tiled => vec![fragment!("matmul_tiled.wgsl"), fragment!("square_tile.wgsl"), fragment!("micro_tile.wgsl")],
            Variant::Split => vec![fragment!("matmul_split.wgsl"), fragment!("square_tile.wgsl"), fragment!("micro_tile.wgsl")],
        }
    }

    /// Whether it reads its factors by fours.
    pub(super) fn reads_by_fours(self) -> bool {
        matches!(self, Variant::Subgroups | Variant::Tiled | Variant::Split)
    }

    /// Workgroups for a result of `m` rows and `n` columns.
    pub(super) fn groups(self, m: usize, n: usize) -> usize {
        match self {
            Variant::Naive => (m * n.div_ceil(4)).div_ceil(64),
            // Eight invocations a workgroup: one a lane of a 256-bit vector.
            Variant::Registers => (m.div_ceil(16) * n.div_ceil(8)).div_ceil(8),
            Variant::Subgroups => m.div_ceil(32) * n.div_ceil(32),
            Variant::Tiled => m.div_ceil(64) * n.div_ceil(64),
            Variant::Split => m.div_ceil(32) * n.div_ceil(32),
        }
    }
}

impl From<Variant> for &'static str {
    fn from(variant: Variant) -> &'static str {
        variant.name()
    }
}

impl TryFrom<String> for Variant {
    type Error = String;
    fn try_from(name: String) -> Result<Variant, String> {
        let known = Variant::ALL.into_iter().find(|variant| variant.name() == name);
        known.ok_or_else(|| format!("{name:?} is no loop of products: it must be {}", Variant::allowed()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back() {
        for variant in Variant::ALL {
            assert_eq!(Variant::try_from(variant.name().to_owned()), Ok(variant));
        }
        let error = Variant::try_from("fast".to_owned()).unwrap_err();
        assert!(error.ends_with("it must be naive, registers, subgroups, tiled or split"), "{error}");
    }

    #[test]
    fn the_choice_follows_the_adapter_and_the_size() {
        for size in [[128, 400, 784], [1024, 2048, 784]] {
            assert_eq!(Variant::choose(&Profile::new(true), size), Variant::Registers);
            let eights = Profile { subgroups_of_eight: true, ..Profile::new(true) };
            assert_eq!(Variant::choose(&eights, size), Variant::Subgroups);
            assert_eq!(Variant::choose(&eights, [1; 3]), Variant::Registers);
        }
        assert_eq!(Variant::choose(&Profile::new(false), [128, 400, 784]), Variant::Split);
        assert_eq!(Variant::choose(&Profile::new(false), [1024, 2048, 784]), Variant::Tiled);
    }

    #[test]
    fn a_profile_comes_before_the_rule_for_its_sizes_alone() {
        let products = [([128, 400, 784], Variant::Naive), ([1, 2, 3], Variant::Tiled), ([4, 5, 6], Variant::Subgroups)];
        let profile = Profile { products: products.into(), ..Profile::new(true) };
        let sizes = [[128, 400, 784], [1, 2, 3], [128, 784, 400], [4, 5, 6]];
        let choices = sizes.map(|size| Variant::choose(&profile, size));
        // It has no subgroups.
        assert_eq!(choices, [Variant::Naive, Variant::Tiled, Variant::Registers, Variant::Registers]);
    }
}
