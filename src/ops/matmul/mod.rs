//! Matrix multiplication (GEMM), in the three transpositions of a dense layer and its gradients, with fused epilogues.
//!
//! On a GPU it is a [`Problem`] of [`crate::gemm`], with a loader for each operand (`operand.rs`) and an epilogue
//! (`epilogue.rs`): fusion is a choice of files, never a generated text.
//! Deliberately absent: batched products, and any type but f32 and f64.

mod epilogue;
mod operand;

pub use epilogue::{Epilogue, FOUR, Likelihood};
pub use operand::Operand;

use super::*;
use crate::gemm::Problem;
use crate::compute::{Matrix, gemm, gemm_with_secondary, gemm_with_epilogue, scratch};

/// The operand that is stored transposed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transpose {
    /// `a [m, k] b [k, n]`: an input gradient, `d_y w`.
    Neither,
    /// `a [m, k] b^T, b [n, k]`: a layer's forward product, `x w^T`, with w as PyTorch stores it.
    B,
    /// `a^T b, a [k, m], b [k, n]`: a weight gradient, `d_y^T x`.
    A,
}

/// A GEMM that an op computes: a convolution's is of patches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gemm {
    /// `[m, n, k]`.
    pub size: [usize; 3],
    /// The operand that is stored transposed.
    pub transpose: Transpose,
}

impl Gemm {
    /// Multiplications and additions.
    pub fn flops(&self) -> u64 {
        let [m, n, k] = self.size;
        2 * (m * n * k) as u64
    }

    /// Shapes of stored operands of such a GEMM.
    pub fn operands(&self) -> [Shape; 2] {
        let [m, n, k] = self.size;
        match self.transpose {
            Transpose::Neither => [Shape::new(m, k), Shape::new(k, n)],
            Transpose::B => [Shape::new(m, k), Shape::new(n, k)],
            Transpose::A => [Shape::new(k, m), Shape::new(k, n)],
        }
    }
}

/// `c [m, n] = epilogue(sum_k a b)`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Matmul {
    /// The operand that is stored transposed.
    pub transpose: Transpose,
    /// How operand A is read; set by fusion.
    pub a: Operand,
    /// How operand B is read; set by fusion.
    pub b: Operand,
    /// What is done to each sum; set by fusion.
    pub epilogue: Epilogue,
}

impl Matmul {
    /// A plain product of stored operands.
    pub fn new(transpose: Transpose) -> Matmul {
        Matmul { transpose, a: Operand::Stored, b: Operand::Stored, epilogue: Epilogue::Store }
    }

    /// `(m, n, k)`, where these are what the operands are read from.
    pub fn extents(&self, a: Shape, b: Shape) -> (usize, usize, usize) {
        let (a, b) = (self.a.shape(a), self.b.shape(b));
        match self.transpose {
            Transpose::Neither => (a.rows(), b.cols(), a.cols()),
            Transpose::B => (a.rows(), b.rows(), a.cols()),
            Transpose::A => (a.cols(), b.cols(), a.rows()),
        }
    }

    fn is_plain(&self) -> bool {
        *self == Matmul::new(self.transpose)
    }
}

impl Operation for Matmul {
    const NAME: &'static str = "matmul";

    fn shape(&self, inputs: &[Shape]) -> Result<Shape> {
        let [a, b] = arity(Self::NAME, &inputs[..inputs.len().min(2)])?;
        let (left, right) = (self.a.shape(a), self.b.shape(b));
        let (left_k, right_k, rule) = match self.transpose {
            Transpose::Neither => (left.cols(), right.rows(), "left columns must equal right rows"),
            Transpose::B => (left.cols(), right.cols(), "left columns must equal the transposed right's columns"),
            Transpose::A => (left.rows(), right.rows(), "the transposed left's rows must equal right rows"),
        };
        if left_k != right_k {
            return graph_error(format!("matmul: left is {left}, right is {right}: {rule}"));
        }
        let (m, n, _) = self.extents(a, b);
        self.epilogue.shape(Self::NAME, Shape::new(m, n), &inputs[2..])
    }

    fn reference<T: Real>(&self, step: &Step, inputs: &[View<'_, T>], outputs: &mut [&mut [T]]) {
        let (m, n, k) = self.extents(inputs[0].shape, inputs[1].shape);
        let (a, b) = (self.a.elements(step, inputs[0]), self.b.elements(step, inputs[1]));
        let left = match self.transpose {
            Transpose::A => Matrix::transposed(&a, m),
            _ => Matrix::rows(&a, k),
        };
        let right = match self.transpose {
            Transpose::B => Matrix::transposed(&b, k),
            _ => Matrix::rows(&b, n),
        };
        let more = &inputs[2..];
        let (sums, second) = outputs.split_first_mut().expect("a product has an output");
        match self.epilogue {
            Epilogue::BiasActivation(activation) => {
                let bias = more[0].values;
                gemm_with_epilogue([m, n, k], sums, left, right, #[inline(always)] |_, col, x| {
                    activation.apply_in_place(x, &bias[col..]);
                });
            }
            Epilogue::Likelihood { score, activation, target } => {
                let (bias, target) = (more[0].values, target.elements(step, more[1]));
                let weight = T::one() / T::from_f64(f64::from(step.rows));
                gemm_with_secondary([m, n, k], sums, second[0], left, right, #[inline(always)] |row, col, y, losses| {
                    activation.apply_in_place(y, &bias[col..]);
                    let weight = if row < step.rows as usize { weight } else { T::zero() };
                    losses.fill(T::zero());
                    losses[0] = score.score(activation, weight, y, &target[row * n + col..]);
                });
            }
            Epilogue::ActivationGradient(activation) => {
                let y = more[0];
                gemm_with_epilogue([m, n, k], sums, left, right, #[inline(always)] |row, col, d| {
                    activation.slope_in_place(d, &y.row(row)[col..]);
                });
            }
            Epilogue::Store => gemm([m, n, k], sums, left, right),
            Epilogue::Posterior { stream, samples, weight } => scratch(m * n, |d_z| {
                gemm([m, n, k], d_z, left, right);
                let (posterior, draw) = (more[0], ReparameteriseGradient { stream, samples });
                let share = weight.value::<T>(step) / T::from_f64(f64::from(step.rows));
                parallel_heavy_rows(outputs[0], 2 * n, #[inline(always)] |row, d_posterior| {
                    draw.row(step, row, posterior.row(row), &d_z[row * n..][..n], d_posterior);
                    if row < step.rows as usize {
                        kl::gradient_of_row(posterior.row(row), share, d_posterior, #[inline(always)] |d, x| *d = *d + x);
                    }
                });
            }),
        }
    }

    fn gradient(&self, back: &mut Backward<'_>) -> Result<Vec<Option<NodeId>>> {
        if !self.is_plain() {
            return back.none("fused matmul", "fusion comes after differentiation");
        }
        let (a, b, d) = (back.inputs[0], back.inputs[1], back.d_output);
        let rule = |left: NodeId, right: NodeId, transpose| (Matmul::new(transpose), [left, right]);
        let (for_a, for_b) = match self.transpose {
            Transpose::Neither => (rule(d, b, Transpose::B), rule(a, d, Transpose::A)),
            Transpose::B => (rule(d, b, Transpose::Neither), rule(d, a, Transpose::A)),
            Transpose::A => (rule(b, d, Transpose::B), rule(a, d, Transpose::Neither)),
        };
        let d_a = if back.wanted[0] { Some(back.apply(for_a.0, &for_a.1)?) } else { None };
        let d_b = if back.wanted[1] { Some(back.apply(for_b.0, &for_b.1)?) } else { None };
        Ok(vec![d_a, d_b])
    }

    fn kernel(&self, inputs: &[Shape], _: Shape, profile: &DeviceProfile) -> Kernel {
        let (m, n, k) = self.extents(inputs[0], inputs[1]);
        let a = self.a.loader(inputs[0], self.transpose != Transpose::A);
        let b = self.b.loader(inputs[1], self.transpose == Transpose::B);
        let epilogue = |kernel| self.epilogue.link(kernel, &inputs[2..], n);
        Problem { size: [m, n, k], a: &*a, b: &*b, epilogue: &epilogue, parts: None }.kernel(profile)
    }

    fn is_matmul(&self) -> bool {
        true
    }

    fn gemms(&self, inputs: &[Shape]) -> Vec<Gemm> {
        let (m, n, k) = self.extents(inputs[0], inputs[1]);
        vec![Gemm { size: [m, n, k], transpose: self.transpose }]
    }

    fn scalars(&self) -> Vec<&'static str> {
        match self.epilogue {
            Epilogue::Posterior { weight, .. } => weight.scalars(),
            _ => Vec::new(),
        }
    }

    fn is_activation(&self) -> bool {
        self.epilogue.is_activation()
    }

    fn loads_half(&self, input: usize) -> bool {
        match input {
            0 => self.a == Operand::Stored,
            1 => self.b == Operand::Stored,
            _ => self.epilogue.loads_half(),
        }
    }

    fn cases() -> Vec<Case> {
        // The last but one by vec4, with an edge in tiles of each size and slices of each depth; the last with k in parts.
        let sizes = [[1, 1, 1], [63, 64, 65], [64, 63, 17], [65, 65, 64], [128, 40, 400], [16, 8, 31], [17, 9, 1], [3, 131, 67], [300, 132, 52], [8, 12, 4100]];
        let mut cases = Vec::new();
        for [m, n, k] in sizes {
            for (transpose, a, b) in [
                (Transpose::Neither, [m, k], [k, n]),
                (Transpose::B, [m, k], [n, k]),
                (Transpose::A, [k, m], [k, n]),
            ] {
                cases.push(Case::new(Matmul::new(transpose), k, &[(a, Fill::Normal), (b, Fill::Normal)]));
            }
        }
        let one_by_one = Activation::ALL.map(|activation| (activation, [65, 31, 37]));
        for (activation, [m, n, k]) in one_by_one.into_iter().chain([(Activation::Tanh, [17, 36, 20])]) {
            for (epilogue, third) in
                [(Epilogue::BiasActivation(activation), Shape::of([n])), (Epilogue::ActivationGradient(activation), Shape::new(m, n))]
            {
                let op = Matmul { epilogue, ..Matmul::new(Transpose::B) };
                cases.push(Case::new(op, k, &[(Shape::new(m, k), Fill::Normal), (Shape::new(n, k), Fill::Normal), (third, Fill::Unit)]));
            }
        }
        cases
    }
}
