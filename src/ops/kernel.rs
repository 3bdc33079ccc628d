//! What an op says of its kernel: the WGSL fragments that link to it, its numbers, and how many workgroups it takes.

use super::{Algorithm, Half};
use std::collections::BTreeMap;

/// A `.wgsl` file of `shaders/`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Fragment {
    /// The file's name, for messages.
    pub name: &'static str,
    /// The file's text.
    pub source: &'static str,
}

/// The [`Fragment`] in `shaders/$name`.
macro_rules! fragment {
    ($name:literal) => {
        $crate::ops::Fragment {
            name: $name,
            source: include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/shaders/", $name)),
        }
    };
}
pub(crate) use fragment;

/// A kernel to link and dispatch.
///
/// The linked text is the fragments joined; WGSL allows declarations in any order. Each dispatch is a line of
/// workgroups that the back-end folds into two dimensions where it exceeds 65,535 (`shaders/common/grid.wgsl` unfolds it).
#[derive(Clone, Debug, PartialEq)]
pub struct Kernel {
    /// The files, the one with the entry point `main` first.
    pub fragments: Vec<Fragment>,
    /// Values of the files' `override` constants.
    pub constants: Vec<(&'static str, f64)>,
    /// Number of workgroups.
    pub groups: usize,
}

/// Invocations a workgroup of kernels that compute one element an invocation.
pub const ELEMENTWISE: usize = 128;

/// Invocations a workgroup of kernels that sum one row a workgroup; also the width of their fixed tree.
pub const REDUCTION: usize = 64;

impl Kernel {
    /// A kernel that computes element `i < count` in invocation `i`. It reads `COUNT` and links with `common/grid.wgsl`.
    pub fn elementwise(main: Fragment, count: usize) -> Kernel {
        Kernel {
            fragments: vec![main, fragment!("common/grid.wgsl")],
            constants: vec![("WORKGROUP", ELEMENTWISE as f64), ("COUNT", count as f64)],
            groups: count.div_ceil(ELEMENTWISE),
        }
    }

    /// A kernel that sums row `r < rows` in workgroup `r`. It links with `common/grid.wgsl` and `reduce/tree.wgsl`.
    pub fn reduction(main: Fragment, rows: usize) -> Kernel {
        Kernel {
            fragments: vec![main, fragment!("common/grid.wgsl"), fragment!("reduce/tree.wgsl")],
            constants: vec![("WORKGROUP", REDUCTION as f64)],
            groups: rows,
        }
    }

    /// Also links with `fragment`, once.
    pub fn link(mut self, fragment: Fragment) -> Kernel {
        if !self.fragments.contains(&fragment) {
            self.fragments.push(fragment);
        }
        self
    }

    /// Sets the `override` constant `name`.
    pub fn constant(mut self, name: &'static str, value: usize) -> Kernel {
        self.constants.push((name, value as f64));
        self
    }
}

/// The loop of products `[m, k] [k, n]`, by `[m, n, k]`.
pub type Products = BTreeMap<[usize; 3], Algorithm>;

/// What the choice of a kernel variant may depend on; never on a timing of the run itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Profile {
    /// The adapter runs on the CPU (lavapipe, WARP): there workgroup memory is no faster than any other, and each buffer
    /// load is a gather.
    pub software: bool,
    /// Kernels may exchange values within subgroups, which have eight invocations, all of them.
    pub subgroups_of_eight: bool,
    /// What a tuning run found for products of these sizes; all others follow the rule of [`Algorithm::choose`].
    pub products: Products,
    /// Where products are computed in f16, the matrices that they are computed by.
    pub half: Option<Half>,
}

impl Profile {
    /// The rule alone.
    pub const fn new(software: bool) -> Profile {
        Profile { software, subgroups_of_eight: false, products: Products::new(), half: None }
    }
}
