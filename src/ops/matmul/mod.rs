//! Matrix products, in the three transpositions that a dense layer and its gradient need, with a choice of endings.
//!
//! The GPU kernels compute `finish(row, col, sum_k load_a(row, k) * load_b(k, col))`: variants of the loop (`variant.rs`
//! chooses), two loads a factor, one ending each.
//! On the CPU the `gemm` crate multiplies. What is deliberately absent: batched products, and any type but f32 and f64.

mod variant;

pub use variant::Variant;

use super::*;
use crate::backend::cpu::{Factor, gemm_then};

/// Which factor is stored transposed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transpose {
    /// `a [m, k] b [k, n]`: an input gradient, `d_y w`.
    Neither,
    /// `a [m, k] b^T, b [n, k]`: a layer's forward product, `x w^T`, with w as PyTorch stores it.
    Right,
    /// `a^T b, a [k, m], b [k, n]`: a weight gradient, `d_y^T x`.
    Left,
}

/// What happens to each sum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finish {
    /// It is stored.
    Store,
    /// `activation(sum + bias[col])` is stored; the third input is the bias `[1, n]`.
    BiasActivation(Activation),
    /// `sum * slope(y[row, col])` is stored; the third input is the activated value y `[m, n]`.
    ActivationGradient(Activation),
}

/// `c [m, n] = finish(sum_k a b)`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Matmul {
    /// Which factor is stored transposed.
    pub transpose: Transpose,
    /// What happens to each sum; set by fusion.
    pub finish: Finish,
}

impl Matmul {
    /// A plain product.
    pub fn new(transpose: Transpose) -> Matmul {
        Matmul { transpose, finish: Finish::Store }
    }

    /// `(m, n, k)` of the product.
    pub fn extents(&self, a: Shape, b: Shape) -> (usize, usize, usize) {
        match self.transpose {
            Transpose::Neither => (a.rows, b.cols, a.cols),
            Transpose::Right => (a.rows, b.rows, a.cols),
            Transpose::Left => (a.cols, b.cols, a.rows),
        }
    }

    /// The product on the CPU; `finish(row, col, sums)` changes the sums from `(row, col)` on.
    fn product<T: Real>(&self, inputs: &[View<'_, T>], out: &mut [T], finish: impl Fn(usize, usize, &mut [T]) + Sync) {
        let (a, b) = (inputs[0], inputs[1]);
        let (m, n, k) = self.extents(a.shape, b.shape);
        let a = match self.transpose {
            Transpose::Left => Factor::transposed(a.values, a.shape.cols),
            _ => Factor::rows(a.values, a.shape.cols),
        };
        let b = match self.transpose {
            Transpose::Right => Factor::transposed(b.values, b.shape.cols),
            _ => Factor::rows(b.values, b.shape.cols),
        };
        gemm_then([m, n, k], out, a, b, finish);
    }
}

impl Operation for Matmul {
    const NAME: &'static str = "matmul";

    fn shape(&self, inputs: &[Shape]) -> Result<Shape> {
        let (a, b) = match self.finish {
            Finish::Store => arity::<2>(Self::NAME, inputs).map(|[a, b]| (a, b))?,
            _ => arity::<3>(Self::NAME, inputs).map(|[a, b, _]| (a, b))?,
        };
        let (left, right, rule) = match self.transpose {
            Transpose::Neither => (a.cols, b.rows, "left columns must equal right rows"),
            Transpose::Right => (a.cols, b.cols, "left columns must equal the transposed right's columns"),
            Transpose::Left => (a.rows, b.rows, "the transposed left's rows must equal right rows"),
        };
        if left != right {
            return graph_error(format!("matmul: left is {a}, right is {b}: {rule}"));
        }
        let (m, n, _) = self.extents(a, b);
        let output = Shape::new(m, n);
        match self.finish {
            Finish::Store => Ok(output),
            Finish::BiasActivation(_) => same(Self::NAME, ["bias", "output row"], inputs[2], Shape::new(1, n)),
            Finish::ActivationGradient(_) => same(Self::NAME, ["activated value", "output"], inputs[2], output),
        }?;
        Ok(output)
    }

    fn reference<T: Real>(&self, _: &Step, inputs: &[View<'_, T>], outputs: &mut [&mut [T]]) {
        let out = &mut *outputs[0];
        match self.finish {
            Finish::Store => self.product(inputs, out, |_, _, _| {}),
            Finish::BiasActivation(activation) => {
                let bias = inputs[2].values;
                self.product(inputs, out, #[inline(always)] |_, col, x| activation.apply_in_place(x, &bias[col..]));
            }
            Finish::ActivationGradient(activation) => {
                let y = inputs[2];
                self.product(inputs, out, #[inline(always)] |row, col, d| activation.slope_in_place(d, &y.row(row)[col..]));
            }
        }
    }

    fn gradient(&self, back: &mut Backward<'_>) -> Result<Vec<Option<NodeId>>> {
        if self.finish != Finish::Store {
            return back.none("fused matmul", "fusion comes after differentiation");
        }
        let (a, b, d) = (back.inputs[0], back.inputs[1], back.d_output);
        let rule = |left: NodeId, right: NodeId, transpose| (Matmul::new(transpose), [left, right]);
        let (for_a, for_b) = match self.transpose {
            Transpose::Neither => (rule(d, b, Transpose::Right), rule(a, d, Transpose::Left)),
            Transpose::Right => (rule(d, b, Transpose::Neither), rule(d, a, Transpose::Left)),
            Transpose::Left => (rule(b, d, Transpose::Right), rule(a, d, Transpose::Neither)),
        };
        let d_a = if back.wanted[0] { Some(back.apply(for_a.0, &for_a.1)?) } else { None };
        let d_b = if back.wanted[1] { Some(back.apply(for_b.0, &for_b.1)?) } else { None };
        Ok(vec![d_a, d_b])
    }

    fn kernel(&self, inputs: &[Shape], output: Shape, profile: &Profile) -> Kernel {
        let (m, n, k) = self.extents(inputs[0], inputs[1]);
        debug_assert_eq!(Shape::new(m, n), output);
        let variant = Variant::choose(profile, [m, n, k]);
        let mut fragments = vec![variant.fragment(), fragment!("grid.wgsl")];
        fragments.push(match self.transpose {
            Transpose::Left => fragment!("load_a_transposed.wgsl"),
            _ => fragment!("load_a.wgsl"),
        });
        fragments.push(match self.transpose {
            Transpose::Right => fragment!("load_b_transposed.wgsl"),
            _ => fragment!("load_b.wgsl"),
        });
        match self.finish {
            Finish::Store => fragments.push(fragment!("finish_store.wgsl")),
            Finish::BiasActivation(activation) => {
                fragments.extend([fragment!("finish_bias_activation.wgsl"), activation.fragment(), fragment!("math.wgsl")]);
            }
            Finish::ActivationGradient(activation) => fragments.extend([
                fragment!("finish_activation_gradient.wgsl"),
                activation.fragment(),
                fragment!("math.wgsl"),
            ]),
        }
        let constants = vec![("M", m as f64), ("N", n as f64), ("K", k as f64)];
        Kernel { fragments, constants, groups: variant.groups(m, n) }
    }

    fn cases() -> Vec<Case> {
        let sizes = [[1, 1, 1], [63, 64, 65], [64, 63, 17], [65, 65, 64], [128, 40, 400], [16, 8, 31], [17, 9, 1], [3, 131, 67]];
        let mut cases = Vec::new();
        for [m, n, k] in sizes {
            for (transpose, a, b) in [
                (Transpose::Neither, [m, k], [k, n]),
                (Transpose::Right, [m, k], [n, k]),
                (Transpose::Left, [k, m], [k, n]),
            ] {
                cases.push(Case::new(Matmul::new(transpose), k, &[(a, Fill::Normal), (b, Fill::Normal)]));
            }
        }
        let [m, n, k] = [65, 31, 37];
        for activation in Activation::ALL {
            for (finish, third) in
                [(Finish::BiasActivation(activation), [1, n]), (Finish::ActivationGradient(activation), [m, n])]
            {
                let op = Matmul { transpose: Transpose::Right, finish };
                cases.push(Case::new(op, k, &[([m, k], Fill::Normal), ([n, k], Fill::Normal), (third, Fill::Unit)]));
            }
        }
        cases
    }
}
