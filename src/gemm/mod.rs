//! GEMM on a GPU: one core for all of them, `C [m, n] = epilogue(A [m, k] B [k, n])`.
//!
//! A kernel is an algorithm, a loader for each operand and an epilogue, each of them plain WGSL files. The
//! [`Algorithm`] is chosen here, from the size and the device; a [`Loader`] says how an operand is read, stored
//! ([`Dense`]) or computed from what is stored; the epilogue transforms and stores the sums. `tests/gemm.rs` has image
//! patches as a loader that nothing here has heard of.
//!
//! The address of an element (`OffsetA`, `OffsetB`: a number, or more) is the sum of an offset of its row (of B: its column)
//! and one of its k, so that an algorithm computes each once. Algorithms that stage tiles in workgroup memory load quads, four
//! elements that are contiguous in the operand: 128 bits at once, where extents are multiples of four. Workgroup memory has rows
//! (of B: columns) contiguous; a quad of four k is stored across it.

mod algorithm;
mod half;
mod profile;

pub use algorithm::Algorithm;
pub use half::Half;
pub use profile::{AdapterClass, DeviceProfile, STORAGE_BUFFERS, Subgroups, TuningTable};

use crate::kernel::{Kernel, Scratch, fragment};
use half::SubgroupTile;

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
    /// Links what defines the type `OffsetA`, `a_row(row)`, `a_k(k)` and `load_a(a_row + a_k)`, or of B `OffsetB`, `b_col(col)`,
    /// `b_k(k)` and `load_b(b_col + b_k)`. By vec4, it is `load_vec4_a(at)` instead of `load_a`, of four contiguous elements whose first
    /// address is a multiple of four, and `holds_a(at)`: where that is false they count as 0.
    fn link(&self, kernel: Kernel, side: Side, by_vec4: bool) -> Kernel;

    /// Whether elements of successive k are contiguous; else those of successive rows (of B: columns) are.
    fn k_contiguous(&self) -> bool;

    /// Whether contiguous elements can be loaded by vec4: their number is a multiple of four.
    fn has_vec4s(&self) -> bool {
        false
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
    fn link(&self, kernel: Kernel, side: Side, by_vec4: bool) -> Kernel {
        let kernel = kernel.link(match (side, self.k_contiguous) {
            (Side::A, true) => fragment!("gemm/operand_a.wgsl"),
            (Side::A, false) => fragment!("gemm/operand_a_transposed.wgsl"),
            (Side::B, true) => fragment!("gemm/operand_b_transposed.wgsl"),
            (Side::B, false) => fragment!("gemm/operand_b.wgsl"),
        });
        kernel.link(match (side, by_vec4) {
            (Side::A, false) => fragment!("gemm/load_a.wgsl"),
            (Side::A, true) => fragment!("gemm/load_a_vec4.wgsl"),
            (Side::B, false) => fragment!("gemm/load_b.wgsl"),
            (Side::B, true) => fragment!("gemm/load_b_vec4.wgsl"),
        })
    }

    fn k_contiguous(&self) -> bool {
        self.k_contiguous
    }

    fn has_vec4s(&self) -> bool {
        self.cols.is_multiple_of(4)
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

/// A GEMM to compute.
pub struct Problem<'p> {
    /// `[m, n, k]`.
    pub size: [usize; 3],
    /// How A is read.
    pub a: &'p dyn Loader,
    /// How B is read.
    pub b: &'p dyn Loader,
    /// Links what defines `epilogue(row, col, sums)` for up to four columns of a row, which [`Parts`] calls.
    pub epilogue: &'p dyn Fn(Kernel) -> Kernel,
    /// GEMMs of this size that a dispatch computes, where it is not one.
    pub parts: Option<Parts<'p>>,
}

/// Least k of a part on software adapters, where a long k is shared out among workgroups: adding the parts is then little beside
/// computing them.
const PART_MIN_K: usize = 2048;
/// The same on hardware.
const HARDWARE_PART_MIN_K: usize = 512;
/// Workgroups that hardware gets even of a short k, from four slices on: half of a large GPU.
const LEAST_WORKGROUPS: usize = 64;
/// Least k of a part then: a slice of [`Algorithm::Split`], and of cooperative matrices of 16x16.
const SLICE: usize = 32;
/// Most k of a part: Mesa's software drivers end a loop after 65,535 rounds, and leave all that comes behind it out.
const PART_MAX_K: usize = 32_768;
/// Most words of all parts' sums.
const PARTS_MAX_WORDS: usize = 1 << 22;

impl Problem<'_> {
    /// Its kernel on a device.
    pub fn kernel(&self, profile: &DeviceProfile) -> Kernel {
        let [m, n, k] = self.size;
        let part_k = self.part_k(profile);
        match k.div_ceil(part_k) {
            1 => {
                let whole = Parts { count: 1, link: &|kernel| kernel.link(fragment!("gemm/whole.wgsl")) };
                (self.epilogue)(self.main(profile, self.parts.as_ref().unwrap_or(&whole)))
            }
            count => {
                let words = count * m * n.next_multiple_of(4);
                let link = |kernel: Kernel| {
                    let kernel = kernel.link(fragment!("gemm/k_parts.wgsl"));
                    kernel.constant("PARTS", count).constant("PART_K", part_k)
                };
                let add = Kernel::elementwise(fragment!("gemm/add_parts.wgsl"), m * n.div_ceil(4));
                let then = Box::new((self.epilogue)(self.extents(add).constant("PARTS", count)));
                self.main(profile, &Parts { count, link: &link }).scratch(Scratch { words, then })
            }
        }
    }

    /// Of how many k a part sums: a multiple of four, or all. k is shared out where the tiles alone would leave the device idle,
    /// or loops would be too long.
    fn part_k(&self, profile: &DeviceProfile) -> usize {
        let [m, n, k] = self.size;
        if self.parts.is_some() {
            return k;
        }
        let groups = match profile.half {
            Some(half) => half.groups(SubgroupTile::TwoByTwo, m, n, 1),
            None => Algorithm::Split.groups(m, n, 1),
        };
        let fit = (PARTS_MAX_WORDS / (m * n.next_multiple_of(4))).max(1);
        let parts = match profile.software() {
            true => profile.parts(groups, k, (k / PART_MIN_K).min(fit), PART_MAX_K),
            false => {
                let parts = profile.parts(groups, k, k / HARDWARE_PART_MIN_K, usize::MAX);
                let slices = if k < 4 * SLICE { 1 } else { k.div_ceil(SLICE) };
                parts.max(LEAST_WORKGROUPS.div_ceil(groups).min(slices)).min(fit)
            }
        };
        if parts <= 1 { k } else { k.div_ceil(parts).next_multiple_of(4) }
    }

    /// The kernel that computes sums, up to its epilogue.
    fn main(&self, profile: &DeviceProfile, parts: &Parts<'_>) -> Kernel {
        let [m, n, _] = self.size;
        let (kernel, reads) = match profile.half {
            Some(half) => {
                let tile = half.choose(profile, self.size, parts.count);
                (half.kernel(tile, m, n, parts.count), Reads::Quads)
            }
            None => {
                let algorithm = Algorithm::choose(profile, self.size, parts.count);
                (algorithm.kernel(m, n, parts.count), algorithm.reads())
            }
        };
        let mut kernel = (parts.link)(self.extents(kernel));
        if reads == Reads::Quads {
            let [a, b] = [self.a, self.b].map(|operand| usize::from(operand.k_contiguous()));
            kernel = kernel.constant("A_K_CONTIGUOUS", a).constant("B_K_CONTIGUOUS", b);
        }
        let kernel = linked(kernel, self.a, Side::A, reads);
        linked(kernel, self.b, Side::B, reads)
    }

    fn extents(&self, kernel: Kernel) -> Kernel {
        let [m, n, k] = self.size;
        kernel.link(fragment!("gemm/extents.wgsl")).constant("M", m).constant("N", n).constant("K", k)
    }
}

/// How an algorithm reads its operands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reads {
    /// One element at a time.
    Elements,
    /// Four rows (of B: columns) at one k.
    Vec4s,
    /// Four contiguous elements: of successive k, or rows (of B: columns).
    Quads,
}

/// Links an operand, and how it is read.
fn linked(kernel: Kernel, operand: &dyn Loader, side: Side, reads: Reads) -> Kernel {
    let k_contiguous = operand.k_contiguous();
    let by_vec4 = operand.has_vec4s() && (reads == Reads::Quads || (reads == Reads::Vec4s && !k_contiguous));
    let kernel = operand.link(kernel, side, by_vec4);
    if reads == Reads::Elements {
        return kernel;
    }
    let [rows, vec4, vec4_contiguous] = match side {
        Side::A => {
            [fragment!("gemm/rows_a.wgsl"), fragment!("gemm/vec4_a.wgsl"), fragment!("gemm/vec4_a_contiguous.wgsl")]
        }
        Side::B => {
            [fragment!("gemm/cols_b.wgsl"), fragment!("gemm/vec4_b.wgsl"), fragment!("gemm/vec4_b_contiguous.wgsl")]
        }
    };
    let [quad, quad_vec4, quad_k_contiguous] = match side {
        Side::A => [
            fragment!("gemm/quad_a.wgsl"),
            fragment!("gemm/quad_a_vec4.wgsl"),
            fragment!("gemm/quad_a_k_contiguous.wgsl"),
        ],
        Side::B => [
            fragment!("gemm/quad_b.wgsl"),
            fragment!("gemm/quad_b_vec4.wgsl"),
            fragment!("gemm/quad_b_k_contiguous.wgsl"),
        ],
    };
    match (reads, by_vec4, k_contiguous) {
        (Reads::Quads, true, _) => kernel.link(quad_vec4),
        (Reads::Quads, false, true) => kernel.link(quad_k_contiguous),
        (Reads::Quads, false, false) => kernel.link(rows).link(vec4).link(quad),
        (_, true, _) => kernel.link(vec4_contiguous),
        (_, false, _) => kernel.link(rows).link(vec4),
    }
}
