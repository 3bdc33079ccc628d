//! The size of each row: an activity penalty (L1), or a squared Frobenius norm a row at a time (L2), as in the
//! contractive autoencoder of Rifai et al. 2011.

use super::*;

/// Which norm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Norm {
    /// `sum |x|`
    L1,
    /// `sum x^2`: the squared Euclidean norm, no root taken.
    L2,
}

impl Norm {
    /// Both.
    pub const ALL: [Norm; 2] = [Norm::L1, Norm::L2];

    /// The term of one element.
    #[inline(always)]
    fn term<T: Real>(self, x: T) -> T {
        match self {
            Norm::L1 => x.abs(),
            Norm::L2 => x * x,
        }
    }

    /// The slope of that term; 0 at 0.
    #[inline(always)]
    fn slope<T: Real>(self, x: T) -> T {
        match self {
            Norm::L1 if x == T::zero() => T::zero(),
            Norm::L1 => x.signum(),
            Norm::L2 => x + x,
        }
    }

    /// The file that defines `norm_term(x)` and `norm_slope(x)`.
    fn fragment(self) -> Fragment {
        match self {
            Norm::L1 => fragment!("reduce/norm_l1.wgsl"),
            Norm::L2 => fragment!("reduce/norm_l2.wgsl"),
        }
    }
}

/// `y[r] = sum_c |x[r, c]|` (L1) or `sum_c x[r, c]^2` (L2, the squared norm): input `[batch, cols]`, value `[batch, 1]`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PowerSum {
    /// Which norm.
    pub norm: Norm,
}

impl Operation for PowerSum {
    const NAME: &'static str = "power_sum";

    fn shape(&self, inputs: &[Shape]) -> Result<Shape> {
        let [x] = arity(Self::NAME, inputs)?;
        Ok(Shape::new(x.rows(), 1))
    }

    fn reference<T: Real>(&self, _: &Step, inputs: &[View<'_, T>], outputs: &mut [&mut [T]]) {
        let x = inputs[0];
        parallel_row_sums(outputs[0], x.shape, #[inline(always)] |row| {
            let x = x.row(row);
            lane_sum(x.len(), #[inline(always)] |c| self.norm.term(x[c]))
        });
    }

    fn gradient(&self, back: &mut Backward<'_>) -> Result<Vec<Option<NodeId>>> {
        let inputs = [back.inputs[0], back.d_output];
        Ok(vec![Some(back.apply(PowerSumGradient { norm: self.norm }, &inputs)?)])
    }

    fn kernel(&self, inputs: &[Shape], output: Shape, _: &DeviceProfile) -> Kernel {
        Kernel::reduction(fragment!("reduce/power_sum.wgsl"), output.rows())
            .of_length(inputs[0].cols())
            .storing(1)
            .link(self.norm.fragment())
            .constant("COLS", inputs[0].cols())
    }

    fn cases() -> Vec<Case> {
        let mut cases = Vec::new();
        for norm in Norm::ALL {
            for size in [[1, 1], [63, 65], [128, 64], [3, 131], [16, 784]] {
                cases.push(Case::new(PowerSum { norm }, size[1], &[(size, Fill::Normal)]));
            }
        }
        cases
    }
}

/// `d_x = sign(x) d_y[r]` (L1; 0 at 0) or `2 x d_y[r]` (L2): inputs x `[batch, cols]` and d_y `[batch, 1]`, value of x's
/// shape.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PowerSumGradient {
    /// Which norm; the forward op's.
    pub norm: Norm,
}

impl Operation for PowerSumGradient {
    const NAME: &'static str = "power_sum_gradient";

    fn shape(&self, inputs: &[Shape]) -> Result<Shape> {
        let [x, d_y] = arity(Self::NAME, inputs)?;
        same(Self::NAME, ["d_y", "a norm a row"], d_y, Shape::new(x.rows(), 1))?;
        Ok(x)
    }

    fn reference<T: Real>(&self, _: &Step, inputs: &[View<'_, T>], outputs: &mut [&mut [T]]) {
        let (x, d_y) = (inputs[0], inputs[1]);
        parallel_rows(outputs[0], x.shape.cols(), #[inline(always)] |row, d_x| {
            let d_y = d_y.values[row];
            for (d_x, &x) in d_x.iter_mut().zip(x.row(row)) {
                *d_x = self.norm.slope(x) * d_y;
            }
        });
    }

    fn gradient(&self, back: &mut Backward<'_>) -> Result<Vec<Option<NodeId>>> {
        back.none(Self::NAME, "its second derivative is not implemented")
    }

    fn kernel(&self, _: &[Shape], output: Shape, _: &DeviceProfile) -> Kernel {
        Kernel::elementwise(fragment!("reduce/power_sum_gradient.wgsl"), output.len())
            .link(self.norm.fragment())
            .constant("COLS", output.cols())
    }

    fn cases() -> Vec<Case> {
        let mut cases = Vec::new();
        for norm in Norm::ALL {
            for size in [[1, 1], [63, 65], [128, 64]] {
                let inputs = [(size, Fill::Normal), ([size[0], 1], Fill::Normal)];
                cases.push(Case::new(PowerSumGradient { norm }, 2, &inputs));
            }
        }
        cases
    }
}
