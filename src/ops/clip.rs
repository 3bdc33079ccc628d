//! Clipping of gradients by their global norm (Pascanu, Mikolov and Bengio 2013, algorithm 1), as PyTorch's
//! `clip_grad_norm_` computes it: [`SquareSums`], then [`ClipFactor`], by which [`Adam`] scales.

use super::*;

/// Elements a part at least, and parts at most: enough workgroups for any adapter, few enough for one to add them up.
const PART: usize = 1024;
const PARTS: usize = 256;

/// `y[p] = sum of squares of part p`: input gradients `[1, n]`, value `[1, parts]`.
///
/// They are cut into `min(256, n / 1024)` parts (rounded up) of one length.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SquareSums;

impl SquareSums {
    /// Parts of so many elements.
    pub fn parts(elements: usize) -> usize {
        elements.div_ceil(PART).min(PARTS)
    }
}

impl Operation for SquareSums {
    const NAME: &'static str = "square_sums";

    fn shape(&self, inputs: &[Shape]) -> Result<Shape> {
        let [gradients] = arity(Self::NAME, inputs)?;
        match gradients.len() {
            0 => graph_error("square_sums: there is no gradient: it takes at least one"),
            n => Ok(Shape::new(1, Self::parts(n))),
        }
    }

    fn reference<T: Real>(&self, _: &Step, inputs: &[View<'_, T>], outputs: &mut [&mut [T]]) {
        let g = inputs[0].values;
        let span = g.len().div_ceil(outputs[0].len());
        for (part, y) in outputs[0].iter_mut().enumerate() {
            let [start, end] = [part, part + 1].map(|part| (part * span).min(g.len()));
            *y = lane_sum(end - start, #[inline(always)] |i| g[start + i] * g[start + i]);
        }
    }

    fn gradient(&self, back: &mut Backward<'_>) -> Result<Vec<Option<NodeId>>> {
        back.none(Self::NAME, "gradients are scaled by it as by a constant")
    }

    fn kernel(&self, inputs: &[Shape], output: Shape, _: &DeviceProfile) -> Kernel {
        Kernel::reduction(fragment!("reduce/square_sums.wgsl"), output.cols())
            .storing(1)
            .constant("COUNT", inputs[0].len())
            .constant("SPAN", inputs[0].len().div_ceil(output.cols()))
    }

    fn cases() -> Vec<Case> {
        [1, 63, 64, 65, 1024, 1025, 5003]
            .map(|n| Case::new(SquareSums, n.min(2 * PART), &[([1, n], Fill::Normal)]))
            .into_iter()
            .chain([Case::new(SquareSums, 1024, &[([521, 507], Fill::Unit)])])
            .collect()
    }
}

/// `y = min(1, max_norm / (norm + 1e-6))`, norm being the root of the sum of the input: `[1, parts]`, value `[1, 1]`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ClipFactor {
    /// The largest norm that gradients keep.
    pub max_norm: f64,
}

impl Operation for ClipFactor {
    const NAME: &'static str = "clip_factor";

    fn shape(&self, inputs: &[Shape]) -> Result<Shape> {
        let [parts] = arity(Self::NAME, inputs)?;
        if parts.rows() != 1 {
            return graph_error(format!("clip_factor: the sums are {parts}: they must be one row"));
        }
        if !(self.max_norm.is_finite() && self.max_norm > 0.0) {
            return graph_error(format!("clip_factor: max_norm is {}: it must be a number above 0", self.max_norm));
        }
        Ok(Shape::SCALAR)
    }

    fn reference<T: Real>(&self, _: &Step, inputs: &[View<'_, T>], outputs: &mut [&mut [T]]) {
        let parts = inputs[0].values;
        let norm = lane_sum(parts.len(), #[inline(always)] |p| parts[p]).sqrt();
        outputs[0][0] = T::one().min(T::from_f64(self.max_norm) / (norm + T::from_f64(1e-6)));
    }

    fn gradient(&self, back: &mut Backward<'_>) -> Result<Vec<Option<NodeId>>> {
        back.none(Self::NAME, "gradients are scaled by it as by a constant")
    }

    fn kernel(&self, inputs: &[Shape], _: Shape, _: &DeviceProfile) -> Kernel {
        let mut kernel =
            Kernel::reduction(fragment!("optim/clip_factor.wgsl"), 1).of_length(inputs[0].cols());
        kernel.constants.push(("MAX_NORM", self.max_norm));
        kernel
    }

    fn cases() -> Vec<Case> {
        [(1, 0.25), (63, 2.0), (64, 1e3), (65, 1.0), (256, 5.0)]
            .map(|(parts, max_norm)| Case::new(ClipFactor { max_norm }, parts, &[([1, parts], Fill::Unit)]))
            .to_vec()
    }
}
