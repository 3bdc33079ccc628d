//! All code that the compiler can't check: the one module with `unsafe`, a few lines at a time, each with why it is sound.
//!
//! What is here is safe to call. It deliberately decides nothing: how C is split is `compute/gemm`'s business, which
//! kernels are compiled without checks `backend/gpu/kernel.rs`'s.
#![allow(unsafe_code, reason = "this module is where it is allowed")]

use std::marker::PhantomData;

/// A rectangle of a row-major matrix that is written: threads take disjoint ones of one matrix.
pub(crate) struct Window<'a, T> {
    /// Its first element.
    start: *mut T,
    pub(crate) rows: usize,
    pub(crate) cols: usize,
    /// Elements of the matrix from a row to the next.
    stride: usize,
    matrix: PhantomData<&'a mut [T]>,
}

// SAFETY: a window stands for a mutable borrow of its own elements, which no other window holds.
unsafe impl<T: Send> Send for Window<'_, T> {}

impl<'a, T> Window<'a, T> {
    /// All of a matrix of `cols` columns.
    ///
    /// # Panics
    /// Where the elements do not make up whole rows.
    pub(crate) fn new(matrix: &'a mut [T], cols: usize) -> Window<'a, T> {
        assert!(cols > 0 && matrix.len().is_multiple_of(cols), "a matrix has whole rows");
        let rows = matrix.len() / cols;
        Window { start: matrix.as_mut_ptr(), rows, cols, stride: cols, matrix: PhantomData }
    }

    /// The first `rows` rows, and the others.
    pub(crate) fn split_rows(self, rows: usize) -> (Window<'a, T>, Window<'a, T>) {
        assert!(rows <= self.rows, "a cut lies within the window");
        // SAFETY: row `rows` of the window is in the matrix, or one past its end; the halves share no element.
        let start = unsafe { self.start.add(if rows < self.rows { rows * self.stride } else { 0 }) };
        (Window { rows, ..self }, Window { start, rows: self.rows - rows, ..self })
    }

    /// The first `cols` columns, and the others.
    pub(crate) fn split_columns(self, cols: usize) -> (Window<'a, T>, Window<'a, T>) {
        assert!(cols <= self.cols, "a cut lies within the window");
        // SAFETY: column `cols` of the first row is in the matrix, or one past the window's part of that row; the halves share
        // no element.
        let start = unsafe { self.start.add(cols) };
        (Window { cols, ..self }, Window { start, cols: self.cols - cols, ..self })
    }

    /// The window's elements of one of its rows.
    #[inline(always)]
    pub(crate) fn row(&mut self, row: usize) -> &mut [T] {
        assert!(row < self.rows, "a row lies within the window");
        // SAFETY: these elements are the window's own, and borrowed as it is.
        unsafe { std::slice::from_raw_parts_mut(self.start.add(row * self.stride), self.cols) }
    }

    /// So many rows from this one on, each from this column on.
    #[inline(always)]
    pub(crate) fn corner<const R: usize>(&mut self, row: usize, col: usize) -> [&mut [T]; R] {
        assert!(row + R <= self.rows && col <= self.cols, "a corner lies within the window");
        // SAFETY: these elements are the window's own, and borrowed as it is; the rows share none.
        unsafe {
            let first = self.start.add(row * self.stride + col);
            std::array::from_fn(|r| std::slice::from_raw_parts_mut(first.add(r * self.stride), self.cols - col))
        }
    }
}

/// Tells the CPU to fetch an element's cache line, where it can be told; beyond the values nothing is done.
#[inline(always)]
pub(crate) fn prefetch<T>(values: &[T], at: usize) {
    #[cfg(target_arch = "x86_64")]
    if let Some(value) = values.get(at) {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: every x86-64 CPU has the instruction; it reads nothing, and the address is an element's.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(value).cast()) }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (values, at);
}

/// A shader module without injected bounds and loop checks; for this crate's own kernels alone.
pub(crate) fn trusted_module(
    device: &wgpu::Device,
    descriptor: wgpu::ShaderModuleDescriptor<'_>,
) -> wgpu::ShaderModule {
    // SAFETY: every index that our kernels make is below an extent that the planner sized its buffers by, and every loop ends
    // at such an extent; the tests run every one with the checks on, and with guard words.
    unsafe { device.create_shader_module_trusted(descriptor, wgpu::ShaderRuntimeChecks::unchecked()) }
}

/// Compiled kernels, from what a driver gave out before: `data` whole, as a checksum says.
pub(crate) fn pipeline_cache(device: &wgpu::Device, data: Option<&[u8]>) -> wgpu::PipelineCache {
    let descriptor = wgpu::PipelineCacheDescriptor { label: Some("vae-gpu"), data, fallback: true };
    // SAFETY: the data is what `get_data` gave. wgpu compares the adapter and the driver that its header names with these,
    // and begins anew where they differ.
    unsafe { device.create_pipeline_cache(&descriptor) }
}

/// Leave to use what wgpu calls experimental, because its limits are not checked yet.
pub(crate) fn experimental() -> wgpu::ExperimentalFeatures {
    // SAFETY: cooperative matrices alone are used, in one kernel, by whole subgroups, with pointers into workgroup memory
    // whose extents the kernel's own constants give; the tests run it with the checks on.
    unsafe { wgpu::ExperimentalFeatures::enabled() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_make_up_their_matrix() {
        let mut matrix = [0; 7 * 5];
        let (top, bottom) = Window::new(&mut matrix, 5).split_rows(3);
        let (left, right) = top.split_columns(2);
        let (bottom, nothing) = bottom.split_rows(4);
        let (bottom, none) = bottom.split_columns(5);
        assert_eq!((nothing.rows, none.cols), (0, 0));
        for (mark, mut window) in [(1, left), (2, right), (3, bottom)] {
            (0..window.rows).for_each(|row| window.row(row).fill(mark));
        }
        assert_eq!(matrix[..15], [1, 1, 2, 2, 2].repeat(3));
        assert_eq!(matrix[15..], [3; 20]);
    }
}
