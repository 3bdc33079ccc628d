//! An op's case on a GPU, and in f64.

pub use vae_gpu::conformance::{folded, run};

use vae_gpu::conformance;
use vae_gpu::ops::Case;

/// The op's value in f64.
pub fn reference(case: &Case) -> Vec<f64> {
    conformance::reference(case).unwrap()
}
