//! All code that the compiler can't check: the one module with `unsafe`, a few lines at a time, each with why it is sound.
//!
//! What is here is safe to call. It deliberately decides nothing: how C is split is `compute/gemm`'s business, which
//! kernels are compiled without checks `backend/gpu/kernel.rs`'s.
#![allow(unsafe_code, reason = "this module is where it is allowed")]

use std::marker::PhantomData;

/// Sets an environment variable, where this is the only thread of a Linux process; elsewhere nothing.
pub(crate) fn set_variable(name: &str, value: &str) {
    if std::fs::read_dir("/proc/self/task").is_ok_and(|threads| threads.count() == 1) {
        // SAFETY: no other thread is there to read the environment meanwhile, nor could one be started but by this thread.
        unsafe { std::env::set_var(name, value) };
    }
}

/// Distances between the rows of a matrix in memory: row `(i * counts[0] + j) * counts[1] + l` begins
/// `i * strides[0] + j * strides[1] + l * strides[2]` elements behind row 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RowStrides {
    pub(crate) counts: [usize; 2],
    pub(crate) strides: [usize; 3],
}

impl RowStrides {
    /// One distance between all rows.
    fn uniform(stride: usize) -> RowStrides {
        RowStrides { counts: [1, usize::MAX], strides: [0, 0, stride] }
    }

    #[inline(always)]
    fn at(self, row: usize) -> (usize, usize, usize) {
        let RowStrides { counts: [middle, inner], .. } = self;
        if inner == usize::MAX {
            return (0, 0, row);
        }
        (row / inner / middle, row / inner % middle, row % inner)
    }

    #[inline(always)]
    fn offset(self, (i, j, l): (usize, usize, usize)) -> usize {
        let [outer, middle, inner] = self.strides;
        i * outer + j * middle + l * inner
    }

    #[inline(always)]
    fn next(self, (i, j, l): (usize, usize, usize)) -> (usize, usize, usize) {
        let [middle, inner] = self.counts;
        match (l + 1 < inner, j + 1 < middle) {
            (true, _) => (i, j, l + 1),
            (false, true) => (i, j + 1, 0),
            (false, false) => (i + 1, 0, 0),
        }
    }

    /// Whether rows of `cols` elements have none in common.
    fn apart(self, cols: usize) -> bool {
        let RowStrides { counts: [middle, inner], strides } = self;
        if inner == usize::MAX {
            return strides[2] >= cols;
        }
        let run = (inner - 1) * strides[2] + cols;
        strides[2] >= cols && strides[1] >= run && strides[0] >= (middle - 1) * strides[1] + run
    }
}

/// A rectangle of a matrix that is written: threads take disjoint ones of one matrix.
pub(crate) struct Window<'a, T> {
    /// The first element of the matrix's row 0 in the window's columns.
    start: *mut T,
    /// The matrix's row that is the window's first.
    first: usize,
    pub(crate) rows: usize,
    pub(crate) cols: usize,
    strides: RowStrides,
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
        Window::spread(matrix, rows, cols, RowStrides::uniform(cols))
    }

    /// A matrix whose rows lie apart in memory.
    ///
    /// # Panics
    /// Where rows have elements in common, or reach past the end.
    pub(crate) fn spread(memory: &'a mut [T], rows: usize, cols: usize, strides: RowStrides) -> Window<'a, T> {
        let end = rows.checked_sub(1).map_or(0, |last| strides.offset(strides.at(last)) + cols);
        assert!(strides.apart(cols) && end <= memory.len(), "rows lie apart, and in the memory");
        Window { start: memory.as_mut_ptr(), first: 0, rows, cols, strides, matrix: PhantomData }
    }

    /// The first `rows` rows, and the others.
    pub(crate) fn split_rows(self, rows: usize) -> (Window<'a, T>, Window<'a, T>) {
        assert!(rows <= self.rows, "a cut lies within the window");
        (Window { rows, ..self }, Window { first: self.first + rows, rows: self.rows - rows, ..self })
    }

    /// The first `cols` columns, and the others.
    pub(crate) fn split_columns(self, cols: usize) -> (Window<'a, T>, Window<'a, T>) {
        assert!(cols <= self.cols, "a cut lies within the window");
        // SAFETY: column `cols` of the first row is in the matrix, or one past the window's part of that row; the halves share
        // no element.
        let start = unsafe { self.start.add(cols) };
        (Window { cols, ..self }, Window { start, cols: self.cols - cols, ..self })
    }

    /// Calls `f` for each of `count` rows from this one on, with how far its elements lie from the first of the matrix's row 0 in the
    /// window's columns, and these elements.
    #[inline(always)]
    pub(crate) fn each_row(&mut self, row: usize, count: usize, mut f: impl FnMut(usize, &mut [T])) {
        assert!(row + count <= self.rows, "rows lie within the window");
        let mut at = self.strides.at(self.first + row);
        for _ in 0..count {
            let offset = self.strides.offset(at);
            at = self.strides.next(at);
            // SAFETY: these elements are the window's own, and borrowed as it is.
            f(offset, unsafe { std::slice::from_raw_parts_mut(self.start.add(offset), self.cols) });
        }
    }

    /// So many rows from this one on, each from this column on.
    #[inline(always)]
    pub(crate) fn corner<const R: usize>(&mut self, row: usize, col: usize) -> [&mut [T]; R] {
        assert!(row + R <= self.rows && col <= self.cols, "a corner lies within the window");
        if self.strides.counts[1] == usize::MAX {
            let (stride, cols) = (self.strides.strides[2], self.cols - col);
            // SAFETY: as below.
            unsafe {
                let first = self.start.add((self.first + row) * stride + col);
                return std::array::from_fn(|r| std::slice::from_raw_parts_mut(first.add(r * stride), cols));
            }
        }
        let mut at = self.strides.at(self.first + row);
        std::array::from_fn(
            #[inline(always)]
            |_| {
                let offset = self.strides.offset(at) + col;
                at = self.strides.next(at);
                // SAFETY: these elements are the window's own, and borrowed as it is; the rows share none.
                unsafe { std::slice::from_raw_parts_mut(self.start.add(offset), self.cols - col) }
            },
        )
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
            window.each_row(0, window.rows, |_, values| values.fill(mark));
        }
        assert_eq!(matrix[..15], [1, 1, 2, 2, 2].repeat(3));
        assert_eq!(matrix[15..], [3; 20]);
    }

    #[test]
    fn rows_that_lie_apart_are_found() {
        // Every second pixel of every second line of two images of 3 x 4 pixels, two channels each.
        let (mut memory, strides) = ([0; 48], RowStrides { counts: [2, 2], strides: [24, 16, 4] });
        let (mut top, mut bottom) = Window::spread(&mut memory, 8, 2, strides).split_rows(3);
        let (mut row, mut offsets) = (0, Vec::new());
        top.each_row(0, 3, |offset, values| {
            row += 1;
            values.fill(row);
            offsets.push(offset);
        });
        assert_eq!(offsets, [0, 4, 16]);
        bottom.corner::<5>(0, 1).into_iter().enumerate().for_each(|(row, values)| values.fill(4 + row));
        let wanted = [(0, 1), (1, 1), (4, 2), (5, 2), (16, 3), (17, 3), (21, 4), (25, 5), (29, 6), (41, 7), (45, 8)];
        for (at, value) in memory.into_iter().enumerate() {
            assert_eq!(value, wanted.iter().find(|(known, _)| *known == at).map_or(0, |(_, value)| *value), "{at}");
        }
    }

    #[test]
    #[should_panic(expected = "rows lie apart")]
    fn rows_that_overlap_are_refused() {
        Window::spread(&mut [0; 48], 8, 2, RowStrides { counts: [2, 2], strides: [16, 16, 4] });
    }
}
