//! The importance-weighted bound on the log-likelihood (Burda, Grosse and Salakhutdinov 2016, equation 8), of weights
//! given by their negative logarithms, so that with one sample it is the negative evidence bound itself.

use super::*;
use crate::ops::repeat_interleave::groups_of;

/// `y[g] = -log(1/k sum_i exp(-v[g k + i]))` in nats, i < k = `samples`: input `[n k, 1]`, the negative log weights; value
/// `[n, 1]`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ImportanceBound {
    /// Samples of an example: consecutive rows.
    pub samples: usize,
}

impl Operation for ImportanceBound {
    const NAME: &'static str = "importance_bound";

    fn shape(&self, inputs: &[Shape]) -> Result<Shape> {
        let [v] = arity(Self::NAME, inputs)?;
        Ok(Shape::new(column_of_groups(Self::NAME, v, self.samples)?, 1))
    }

    fn reference<T: Real>(&self, _: &Step, inputs: &[View<'_, T>], outputs: &mut [&mut [T]]) {
        let (v, k) = (inputs[0].values, self.samples);
        parallel_row_sums(outputs[0], Shape::new(v.len() / k, k), #[inline(always)] |group| {
            let v = &v[group * k..][..k];
            let least = minimum(v);
            least - (lane_sum(k, #[inline(always)] |i| (least - v[i]).e_to()) / T::from_f64(k as f64)).ln()
        });
    }

    fn gradient(&self, back: &mut Backward<'_>) -> Result<Vec<Option<NodeId>>> {
        let inputs = [back.inputs[0], back.d_output];
        Ok(vec![Some(back.apply(ImportanceBoundGradient { samples: self.samples }, &inputs)?)])
    }

    fn kernel(&self, _: &[Shape], output: Shape, _: &DeviceProfile) -> Kernel {
        kernel(fragment!("loss/importance_bound.wgsl"), output.rows())
            .constant("SAMPLES", self.samples)
    }

    fn cases() -> Vec<Case> {
        cases(|samples| (ImportanceBound { samples }, false))
    }
}

/// `d_v[g k + i] = softmax(-v[g k ..])[i] d_y[g]`: inputs v `[n k, 1]` and d_y `[n, 1]`, value of v's shape.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ImportanceBoundGradient {
    /// Samples of an example; the forward op's.
    pub samples: usize,
}

impl Operation for ImportanceBoundGradient {
    const NAME: &'static str = "importance_bound_gradient";

    fn shape(&self, inputs: &[Shape]) -> Result<Shape> {
        let [v, d_y] = arity(Self::NAME, inputs)?;
        let bounds = Shape::new(column_of_groups(Self::NAME, v, self.samples)?, 1);
        same(Self::NAME, ["d_y", "a bound a group"], d_y, bounds)?;
        Ok(v)
    }

    fn reference<T: Real>(&self, _: &Step, inputs: &[View<'_, T>], outputs: &mut [&mut [T]]) {
        let (v, d_y, k) = (inputs[0].values, inputs[1].values, self.samples);
        parallel_rows(outputs[0], k, #[inline(always)] |group, d_v| {
            let v = &v[group * k..][..k];
            let least = minimum(v);
            for (d_v, &v) in d_v.iter_mut().zip(v) {
                *d_v = (least - v).e_to();
            }
            let share = d_y[group] / lane_sum(k, #[inline(always)] |i| d_v[i]);
            for d_v in d_v.iter_mut() {
                *d_v = *d_v * share;
            }
        });
    }

    fn gradient(&self, back: &mut Backward<'_>) -> Result<Vec<Option<NodeId>>> {
        back.none(Self::NAME, "its second derivative is not implemented")
    }

    fn kernel(&self, inputs: &[Shape], _: Shape, _: &DeviceProfile) -> Kernel {
        let groups = inputs[1].rows();
        kernel(fragment!("loss/importance_bound_gradient.wgsl"), groups)
            .constant("SAMPLES", self.samples)
    }

    fn cases() -> Vec<Case> {
        cases(|samples| (ImportanceBoundGradient { samples }, true))
    }
}

/// A workgroup a group, with what finds the least of it.
fn kernel(main: Fragment, groups: usize) -> Kernel {
    let fragments = vec![main, fragment!("reduce/group_least.wgsl"), fragment!("common/tree.wgsl")];
    Kernel::new(fragments, Entry::Run, REDUCTION, Grid::Rows(groups)).constant("ROWS", groups)
}

/// How many groups of `samples` rows the column v has.
fn column_of_groups(name: &str, v: Shape, samples: usize) -> Result<usize> {
    if v.cols() != 1 {
        return graph_error(format!("{name}: v is {v}: it takes one column, a negative log weight a sample"));
    }
    groups_of(name, v, samples)
}

/// The largest weight's negative logarithm; NaN among the values is passed on by the sum that follows.
fn minimum<T: Real>(v: &[T]) -> T {
    v.iter().copied().fold(T::max_value(), T::min)
}

fn cases<O: Into<Op>>(op: impl Fn(usize) -> (O, bool)) -> Vec<Case> {
    let sizes = [
        (1, 1, Fill::Normal),
        (65, 1, Fill::Normal),
        (63, 5, Fill::Wide),
        (5, 63, Fill::Normal),
        (3, 64, Fill::Wide),
        (7, 65, Fill::Normal),
        (128, 50, Fill::Normal),
        (3, 5000, Fill::Normal),
    ];
    let case = |(n, k, fill)| {
        let (op, gradient) = op(k);
        let inputs = [([n * k, 1], fill), ([n, 1], Fill::Normal)];
        // The mean of k weights below 1, each lane's summed in order; WGSL's own log may be off by 2^-21.
        Case::new(op, 16 + k / REDUCTION, &inputs[..1 + usize::from(gradient)])
    };
    sizes.map(case).to_vec()
}
