//! Memory that factors are laid out in.

use crate::simd::Lanes;

/// A cache line of any numbers: vectors that begin where lines do lie in one.
#[derive(Clone, Copy, Debug, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C, align(64))]
struct Line([u64; 8]);

/// Memory for numbers of any kind; it keeps what it has.
#[derive(Debug, Default)]
pub(super) struct Room(Vec<Line>);

impl Room {
    pub(super) const NONE: Room = Room(Vec::new());

    pub(super) fn of<T: Lanes>(&mut self, count: usize) -> &mut [T] {
        let lines = (count * size_of::<T>()).div_ceil(size_of::<Line>());
        if self.0.len() < lines {
            self.0.resize(lines, Line([0; 8]));
        }
        &mut bytemuck::cast_slice_mut(&mut self.0)[..count]
    }
}
