//! Images `[batch, height, width, channels]` at another size, as PyTorch's `nn.Upsample(size=...)` makes them, and the adjoint of
//! that linear map, which is its gradient.
//!
//! Which elements are read, and by what weight, follows from whole numbers alone, so that both directions agree on every device.
//! The adjoint gathers on a GPU, an invocation an element over the outputs that read it; on the CPU it scatters an image at a
//! time. No low-pass filter: what is made smaller aliases, as in PyTorch.

use super::*;

/// How values between elements are found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Interpolation {
    /// That of element `floor(i in / out)`.
    Nearest,
    /// Linear along both extents between centres of elements (PyTorch's `align_corners=False`); at the border the outermost.
    Bilinear,
}

impl Interpolation {
    /// Both.
    pub const ALL: [Interpolation; 2] = [Interpolation::Nearest, Interpolation::Bilinear];

    /// The file that defines `taps_of(i, in, out)`, `first_reader` and `readers_end`.
    fn fragment(self) -> Fragment {
        match self {
            Interpolation::Nearest => fragment!("resize/nearest.wgsl"),
            Interpolation::Bilinear => fragment!("resize/bilinear.wgsl"),
        }
    }

    /// The elements of an extent of `from` that element i of one of `to` is made of, and the second one's weight.
    #[inline(always)]
    fn taps<T: Real>(self, i: usize, from: usize, to: usize) -> ([usize; 2], T) {
        match self {
            Interpolation::Nearest => ([i * from / to; 2], T::zero()),
            Interpolation::Bilinear => {
                // (i + 1/2) from / to - 1/2, at least 0, in units of 1 / (2 to).
                let (at, unit) = (((2 * i + 1) * from).saturating_sub(to), 2 * to);
                let first = at / unit;
                let weight = T::from_f64((at % unit) as f64) / T::from_f64(unit as f64);
                ([first, (first + 1).min(from - 1)], weight)
            }
        }
    }
}

/// `y[n, i, j, c]`, images of this size made of x: input `[batch, height, width, channels]`, value `[batch, size, channels]`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Resize {
    /// How values between elements are found.
    pub mode: Interpolation,
    /// `[height, width]` of y.
    pub size: [usize; 2],
}

impl Operation for Resize {
    const NAME: &'static str = "resize";

    fn shape(&self, inputs: &[Shape]) -> Result<Shape> {
        let [x] = arity(Self::NAME, inputs)?;
        resized(Self::NAME, x, self.size)
    }

    fn reference<T: Real>(&self, _: &Step, inputs: &[View<'_, T>], outputs: &mut [&mut [T]]) {
        let (x, mode, [out_height, out_width]) = (inputs[0], self.mode, self.size);
        let &[_, height, width, channels] = x.shape.extents() else { unreachable!("the shape rule asks for images") };
        parallel_rows(outputs[0], out_width * channels, #[inline(always)] |row, y| {
            let image = row / out_height * height;
            let row_of = |row: usize| &x.values[(image + row) * width * channels..][..width * channels];
            let (rows, weight) = mode.taps::<T>(row % out_height, height, out_height);
            let [above, below] = rows.map(row_of);
            for (i, y) in y.chunks_exact_mut(channels).enumerate() {
                let (cols, across) = mode.taps::<T>(i, width, out_width);
                let [left, right] = cols.map(|col| col * channels);
                let corners = [&above[left..], &above[right..], &below[left..], &below[right..]].map(|x| &x[..channels]);
                if mode == Interpolation::Nearest {
                    y.copy_from_slice(corners[0]);
                    continue;
                }
                let ([a, b, c, d], [up, back]) = (corners, [T::one() - weight, T::one() - across]);
                for (((y, (&a, &b)), &c), &d) in y.iter_mut().zip(a.iter().zip(b)).zip(c).zip(d) {
                    *y = up * (back * a + across * b) + weight * (back * c + across * d);
                }
            }
        });
    }

    fn gradient(&self, back: &mut Backward<'_>) -> Result<Vec<Option<NodeId>>> {
        let [_, height, width, _] = images_of(Self::NAME, "x", back.shape(back.inputs[0]))?;
        let adjoint = ResizeGradient { mode: self.mode, size: [height, width] };
        Ok(vec![Some(back.apply(adjoint, &[back.d_output])?)])
    }

    fn kernel(&self, inputs: &[Shape], output: Shape, _: &DeviceProfile) -> Kernel {
        let kernel = Kernel::of_values(fragment!("resize/resize.wgsl"), output.len(), 1).loading_x();
        link(kernel, self.mode, inputs[0], output)
    }

    fn is_activation(&self) -> bool {
        true
    }

    fn loads_half(&self, input: usize) -> bool {
        input == 0
    }

    fn cases() -> Vec<Case> {
        sizes().map(|(mode, x, size)| Case::new(Resize { mode, size }, 4, &[(x, Fill::Normal)])).collect()
    }
}

/// The adjoint of [`Resize`]: `d_x[n, y, x, c]` = the sum of d_y over the elements made of it, by their weights.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ResizeGradient {
    /// How values between elements were found.
    pub mode: Interpolation,
    /// `[height, width]` of x.
    pub size: [usize; 2],
}

impl Operation for ResizeGradient {
    const NAME: &'static str = "resize_gradient";

    fn shape(&self, inputs: &[Shape]) -> Result<Shape> {
        let [d_y] = arity(Self::NAME, inputs)?;
        resized(Self::NAME, d_y, self.size)
    }

    fn reference<T: Real>(&self, _: &Step, inputs: &[View<'_, T>], outputs: &mut [&mut [T]]) {
        let (d_y, mode, [height, width]) = (inputs[0], self.mode, self.size);
        let &[_, out_height, out_width, channels] = d_y.shape.extents() else {
            unreachable!("the shape rule asks for images")
        };
        parallel_rows(outputs[0], height * width * channels, #[inline(always)] |image, d_x| {
            d_x.fill(T::zero());
            for i in 0..out_height {
                let (rows, weight) = mode.taps::<T>(i, height, out_height);
                let d_y = &d_y.values[(image * out_height + i) * out_width * channels..][..out_width * channels];
                for (j, d_y) in d_y.chunks_exact(channels).enumerate() {
                    let (cols, across) = mode.taps::<T>(j, width, out_width);
                    let pixel = |row: usize, col: usize| (row * width + col) * channels;
                    if mode == Interpolation::Nearest {
                        add_scaled(&mut d_x[pixel(rows[0], cols[0])..], T::one(), d_y);
                        continue;
                    }
                    for (row, weight) in [(rows[0], T::one() - weight), (rows[1], weight)] {
                        add_scaled(&mut d_x[pixel(row, cols[0])..], weight * (T::one() - across), d_y);
                        add_scaled(&mut d_x[pixel(row, cols[1])..], weight * across, d_y);
                    }
                }
            }
        });
    }

    fn gradient(&self, back: &mut Backward<'_>) -> Result<Vec<Option<NodeId>>> {
        let [_, height, width, _] = images_of(Self::NAME, "x", back.shape(back.inputs[0]))?;
        Ok(vec![Some(back.apply(Resize { mode: self.mode, size: [height, width] }, &[back.d_output])?)])
    }

    fn kernel(&self, inputs: &[Shape], output: Shape, _: &DeviceProfile) -> Kernel {
        link(Kernel::elementwise(fragment!("resize/resize_gradient.wgsl"), output.len()), self.mode, output, inputs[0])
    }

    fn cases() -> Vec<Case> {
        let case = |(mode, x, [out_height, out_width]): (Interpolation, Shape, [usize; 2])| {
            let &[batch, height, width, channels] = x.extents() else { unreachable!("the cases have images") };
            let d_y = Shape::of([batch, out_height, out_width, channels]);
            // The outputs that read an element, and one more to either side.
            let terms = (2 * out_height.div_ceil(height) + 1) * (2 * out_width.div_ceil(width) + 1);
            Case::new(ResizeGradient { mode, size: [height, width] }, terms, &[(d_y, Fill::Normal)])
        };
        sizes().map(case).collect()
    }
}

/// `sums += weight terms`, of as many as there are terms.
#[inline(always)]
fn add_scaled<T: Real>(sums: &mut [T], weight: T, terms: &[T]) {
    for (sum, &term) in sums.iter_mut().zip(terms) {
        *sum = *sum + weight * term;
    }
}

/// The shape of x at this size.
fn resized(name: &str, x: Shape, size: [usize; 2]) -> Result<Shape> {
    let [batch, height, width, channels] = images_of(name, "x", x)?;
    if [size[0], size[1], height, width].contains(&0) {
        return graph_error(format!("{name}: x is {x}, the size {size:?}: no extent may be 0"));
    }
    Ok(Shape::of([batch, size[0], size[1], channels]))
}

/// Links what relates images of the one shape to those of the other.
fn link(kernel: Kernel, mode: Interpolation, x: Shape, y: Shape) -> Kernel {
    kernel
        .link(mode.fragment())
        .constant("HEIGHT", x.extents()[1])
        .constant("WIDTH", x.extents()[2])
        .constant("CHANNELS", x.cols())
        .constant("OUT_HEIGHT", y.extents()[1])
        .constant("OUT_WIDTH", y.extents()[2])
}

/// What both are tested on: larger and smaller by whole numbers and by others, and single elements.
fn sizes() -> impl Iterator<Item = (Interpolation, Shape, [usize; 2])> {
    let shapes = [
        ([1, 1, 1, 1], [1, 1]),
        ([2, 4, 4, 16], [8, 8]),
        ([1, 7, 5, 3], [10, 13]),
        ([3, 13, 10, 5], [5, 7]),
        ([2, 9, 8, 2], [3, 1]),
        ([2, 1, 3, 4], [6, 2]),
        ([2, 6, 6, 1], [6, 7]),
        ([4, 28, 28, 33], [32, 32]),
    ];
    let both = move |mode| shapes.map(|(x, size)| (mode, Shape::of(x), size));
    Interpolation::ALL.into_iter().flat_map(both)
}
