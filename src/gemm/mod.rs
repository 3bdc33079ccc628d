//! GEMM on a GPU: one core for all of them, `C [m, n] = epilogue(A [m, k] B [k, n])`.
//!
//! A kernel is an algorithm, a loader for each operand and an epilogue, each of them plain WGSL files. The
//! [`Algorithm`] is chosen here, from the size and the device; a [`Loader`] says how an operand is read, stored
//! ([`Dense`]) or computed from what is stored; the epilogue transforms and stores the sums. `tests/gemm.rs` has image
//! patches as a loader that nothing here has heard of.
//!
//! Where an element is found (`OffsetA`, `OffsetB`: an address, or more) is the sum of an offset of its row (of B: its column)
//! and one of its k, so that an algorithm computes each once. Algorithms that stage tiles in workgroup memory load vec4s: four rows (of B: columns) at one k. Where the
//! operand is stored with these side by side, as both are of a weight gradient, a vec4 is one load; where it is k-contiguous it
//! is four, whose cache lines neighbours share.

mod algorithm;
mod half;
mod profile;

pub use algorithm::Algorithm;
pub use half::Half;
pub use profile::{DeviceProfile, STORAGE_BUFFERS, TuningTable};

use crate::kernel::{Fragment, Kernel, Scratch, fragment};

/// An operand's place in a product.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The left operand, at binding 1.
    A,
    /// The right operand, at binding 2.
    B,
}

/// How a kernel reads an operand.
pub trait Loader {
    /// Links what defines the type `OffsetA`, `a_row(row)`, `a_k(k)` and `load_a(a_row + a_k)`, or of B `OffsetB`,
    /// `b_col(col)`, `b_k(k)` and `load_b(b_col + b_k)`.
    fn link(&self, kernel: Kernel, side: Side) -> Kernel;

    /// Whether elements of successive k lie side by side.
    fn k_contiguous(&self) -> bool;

    /// The file that defines loads of four rows (of B: columns) at one k, where these lie side by side and are one load.
    fn vec4(&self, _: Side) -> Option<Fragment> {
        None
    }
}

/// An operand that is stored as it is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dense {
    /// Whether elements of successive k lie side by side: of A as rows `[m, k]`, of B as columns `[n, k]`.
    pub k_contiguous: bool,
    /// How many elements lie side by side.
    pub cols: usize,
}

impl Loader for Dense {
    fn link(&self, kernel: Kernel, side: Side) -> Kernel {
        kernel.link(match (side, self.k_contiguous) {
            (Side::A, true) => fragment!("gemm/operand_a.wgsl"),
            (Side::A, false) => fragment!("gemm/operand_a_transposed.wgsl"),
            (Side::B, true) => fragment!("gemm/operand_b_transposed.wgsl"),
            (Side::B, false) => fragment!("gemm/operand_b.wgsl"),
        })
    }

    fn k_contiguous(&self) -> bool {
        self.k_contiguous
    }

    fn vec4(&self, side: Side) -> Option<Fragment> {
        let one_load = !self.k_contiguous && self.cols.is_multiple_of(4);
        one_load.then_some(match side {
            Side::A => fragment!("gemm/vec4_a_contiguous.wgsl"),
            Side::B => fragment!("gemm/vec4_b_contiguous.wgsl"),
        })
    }
}

/// GEMMs of one size that share a dispatch, as the phases of a transposed convolution do.
#[derive(Clone, Copy)]
pub struct Parts<'p> {
    /// How many.
    pub count: usize,
    /// Links what defines `part_of(tile, tiles)`, `begin(part)` and `finish(row, col, sums)`, as `gemm/whole.wgsl` does.
    pub link: &'p dyn Fn(Kernel) -> Kernel,
}

impl Parts<'_> {
    /// One GEMM.
    pub const WHOLE: Parts<'static> = Parts { count: 1, link: &|kernel| kernel.link(fragment!("gemm/whole.wgsl")) };
}

/// A product to compute.
pub struct Problem<'p> {
    /// `[m, n, k]`.
    pub size: [usize; 3],
    /// How A is read.
    pub a: &'p dyn Loader,
    /// How B is read.
    pub b: &'p dyn Loader,
    /// Links what defines `epilogue(row, col, sums)` for up to four columns of a row, which [`Parts`] calls.
    pub epilogue: &'p dyn Fn(Kernel) -> Kernel,
    /// GEMMs of this size that a dispatch computes.
    pub parts: Parts<'p>,
    /// What A is multiplied by before it is rounded to f16, about: a gradient of a mean over many examples is small.
    pub a_scale: usize,
}

/// Least k of a part, where a long k is shared out among workgroups: adding the parts is then little beside computing them.
const PART_MIN_K: usize = 2048;
/// Most k of a part: Mesa's software drivers end a loop after 65,535 rounds, and leave all that comes behind it out.
const PART_MAX_K: usize = 32_768;
/// Most words of all parts' sums.
const PARTS_MAX_WORDS: usize = 1 << 22;

impl Problem<'_> {
    /// Its kernel on a device.
    pub fn kernel(&self, profile: &DeviceProfile) -> Kernel {
        let [m, n, k] = self.size;
        match self.k_parts(profile) {
            1 => (self.epilogue)(self.main(profile, self.parts)),
            count => {
                let (words, part_k) = (count * m * n.next_multiple_of(4), k.div_ceil(count));
                let link = |kernel: Kernel| {
                    let kernel = kernel.link(fragment!("gemm/k_parts.wgsl"));
                    kernel.constant("PARTS", count).constant("PART_K", part_k)
                };
                let add = Kernel::elementwise(fragment!("gemm/add_parts.wgsl"), m * n.div_ceil(4));
                let then = Box::new((self.epilogue)(self.extents(add).constant("PARTS", count)));
                self.main(profile, Parts { count, link: &link }).scratch(Scratch { words, then })
            }
        }
    }

    /// Among how many parts k is shared out: where the tiles alone would leave the device idle, or loops would be too long.
    fn k_parts(&self, profile: &DeviceProfile) -> usize {
        let [m, n, k] = self.size;
        let stride = m * n.next_multiple_of(4);
        if self.parts.count > 1 {
            return 1;
        }
        let most = (k / PART_MIN_K).min((PARTS_MAX_WORDS / stride).max(1));
        profile.parts(Algorithm::Split.groups(m, n, 1), k, most, PART_MAX_K)
    }

    /// The kernel that computes sums, up to its epilogue.
    fn main(&self, profile: &DeviceProfile, parts: Parts<'_>) -> Kernel {
        let [m, n, _] = self.size;
        let (kernel, by_vec4) = match profile.half {
            Some(half) => (half.kernel(m, n, parts.count, self.a_scale), false),
            None => {
                let algorithm = Algorithm::choose(profile, self.size);
                (algorithm.kernel(m, n, parts.count), algorithm.reads_by_vec4())
            }
        };
        let kernel = (parts.link)(self.extents(kernel));
        let kernel = linked(kernel, self.a, Side::A, by_vec4);
        linked(kernel, self.b, Side::B, by_vec4)
    }

    fn extents(&self, kernel: Kernel) -> Kernel {
        let [m, n, k] = self.size;
        kernel.link(fragment!("gemm/extents.wgsl")).constant("M", m).constant("N", n).constant("K", k)
    }
}

/// Links an operand: loads of elements, or of vec4s too.
fn linked(kernel: Kernel, operand: &dyn Loader, side: Side, by_vec4: bool) -> Kernel {
    if by_vec4 && let Some(file) = operand.vec4(side) {
        return kernel.link(file);
    }
    let kernel = operand.link(kernel, side);
    let k_contiguous = usize::from(operand.k_contiguous());
    match (by_vec4, side) {
        (false, _) => kernel,
        (true, Side::A) => kernel.link(fragment!("gemm/vec4_a.wgsl")).constant("A_K_CONTIGUOUS", k_contiguous),
        (true, Side::B) => kernel.link(fragment!("gemm/vec4_b.wgsl")).constant("B_K_CONTIGUOUS", k_contiguous),
    }
}
