//! Buffers and vectors aligned to cache lines, and scratch memory per thread that is reused, so that steps allocate nothing
//! once it has grown to size.

use std::cell::Cell;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};

use super::Lanes;

/// One cache line of numbers of any type: the unit of alignment, so that no SIMD vector straddles two lines.
#[derive(Clone, Copy, Debug, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C, align(64))]
struct CacheLine([u64; 8]);

/// Bytes per cache line.
pub(super) const CACHE_LINE: usize = size_of::<CacheLine>();

/// Aligned buffer for numbers of any type; it grows and never shrinks.
#[derive(Debug, Default)]
pub(crate) struct AlignedBuffer(Vec<CacheLine>);

impl AlignedBuffer {
    pub(crate) const EMPTY: AlignedBuffer = AlignedBuffer(Vec::new());

    /// The first `count` elements, of any values; the buffer grows where it is smaller.
    pub(crate) fn slice_mut<T: Lanes>(&mut self, count: usize) -> &mut [T] {
        let lines = (count * size_of::<T>()).div_ceil(CACHE_LINE);
        if self.0.len() < lines {
            self.0.resize(lines, CacheLine([0; 8]));
        }
        &mut bytemuck::cast_slice_mut(&mut self.0)[..count]
    }
}

/// Aligned vector of fixed length.
#[derive(Debug, Default)]
pub(crate) struct AlignedVec<T> {
    buffer: AlignedBuffer,
    len: usize,
    element: PhantomData<T>,
}

impl<T: Lanes> AlignedVec<T> {
    pub(crate) fn new(len: usize, value: T) -> AlignedVec<T> {
        let mut values = AlignedVec { buffer: AlignedBuffer::EMPTY, len, element: PhantomData };
        values.buffer.slice_mut(len).fill(value);
        values
    }
}

impl<T: Lanes> Deref for AlignedVec<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &bytemuck::cast_slice(&self.buffer.0)[..self.len]
    }
}

impl<T: Lanes> DerefMut for AlignedVec<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        self.buffer.slice_mut(self.len)
    }
}

/// Calls `f` with `count` elements of this thread's scratch memory, of any values. Inlined, so that `f` is compiled for the
/// instructions of its caller.
#[inline(always)]
pub(crate) fn scratch<T: Lanes, R>(count: usize, f: impl FnOnce(&mut [T]) -> R) -> R {
    thread_local! {
        static SCRATCH: Cell<AlignedBuffer> = Cell::default();
    }
    // Taken out while in use: what `f` calls may need scratch memory too.
    let mut buffer = SCRATCH.take();
    let result = f(buffer.slice_mut(count));
    SCRATCH.set(buffer);
    result
}
