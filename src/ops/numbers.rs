//! What references are written in: the numbers, and the views they read.

use super::Custom;
use crate::compute::{self, Lanes};
use crate::step::Step;
use crate::tensor::Shape;

/// f32 or f64. The functions that references call are those of the C library in f64, and in f32 ones that vectorise
/// (`compute/elementary.rs`).
pub trait Real: Lanes + Default + std::fmt::Debug {
    /// The nearest value.
    fn from_f64(value: f64) -> Self;
    /// The same value, exactly.
    fn to_real64(self) -> f64;
    /// The nearest values in f32.
    fn to_singles(values: &[Self]) -> Vec<f32>;
    /// The same values as these in f32.
    fn copy_singles(from: &[f32], to: &mut [Self]);
    /// `e^x`.
    fn e_to(self) -> Self;
    /// `log(1 + x)` for x in [0, 1].
    fn log1p_unit(self) -> Self;
    /// `log x` of a normal number above 0.
    fn natural_log(self) -> Self;
    /// `tanh x`.
    fn tangent(self) -> Self;
    /// The standard normal CDF, `(1 + erf(x / sqrt 2)) / 2`.
    fn normal_cdf(self) -> Self;
    /// The reference of an op whose type is not known here.
    fn reference_of(op: &Custom, step: &Step, inputs: &[View<'_, Self>], outputs: &mut [&mut [Self]]);
}

impl Real for f32 {
    fn from_f64(value: f64) -> f32 {
        value as f32
    }
    fn to_real64(self) -> f64 {
        f64::from(self)
    }
    fn to_singles(values: &[f32]) -> Vec<f32> {
        values.to_vec()
    }
    fn copy_singles(from: &[f32], to: &mut [f32]) {
        to.copy_from_slice(from);
    }
    #[inline(always)]
    fn e_to(self) -> f32 {
        compute::exp(self)
    }
    #[inline(always)]
    fn log1p_unit(self) -> f32 {
        compute::ln_1p_unit(self)
    }
    #[inline(always)]
    fn natural_log(self) -> f32 {
        compute::ln(self)
    }
    #[inline(always)]
    fn tangent(self) -> f32 {
        compute::tanh(self)
    }
    #[inline(always)]
    fn normal_cdf(self) -> f32 {
        compute::normal_cdf(self)
    }
    fn reference_of(op: &Custom, step: &Step, inputs: &[View<'_, f32>], outputs: &mut [&mut [f32]]) {
        op.reference_f32(step, inputs, outputs);
    }
}

impl Real for f64 {
    fn from_f64(value: f64) -> f64 {
        value
    }
    fn to_real64(self) -> f64 {
        self
    }
    fn to_singles(values: &[f64]) -> Vec<f32> {
        values.iter().map(|&value| value as f32).collect()
    }
    fn copy_singles(from: &[f32], to: &mut [f64]) {
        to.iter_mut().zip(from).for_each(|(to, &from)| *to = f64::from(from));
    }
    fn e_to(self) -> f64 {
        self.exp()
    }
    fn log1p_unit(self) -> f64 {
        self.ln_1p()
    }
    fn natural_log(self) -> f64 {
        self.ln()
    }
    fn tangent(self) -> f64 {
        self.tanh()
    }
    fn normal_cdf(self) -> f64 {
        0.5 * libm::erfc(-self / std::f64::consts::SQRT_2)
    }
    fn reference_of(op: &Custom, step: &Step, inputs: &[View<'_, f64>], outputs: &mut [&mut [f64]]) {
        op.reference_f64(step, inputs, outputs);
    }
}

/// An input of a reference.
#[derive(Clone, Copy, Debug)]
pub struct View<'a, T> {
    /// The value's shape.
    pub shape: Shape,
    /// The elements, row-major; empty for a data set of bytes.
    pub values: &'a [T],
    /// The elements of a data set of bytes, row-major; empty for every other value.
    pub bytes: &'a [u8],
}

impl<'a, T> View<'a, T> {
    /// Row `r` of the elements.
    pub fn row(&self, r: usize) -> &'a [T] {
        &self.values[r * self.shape.cols()..][..self.shape.cols()]
    }
}
