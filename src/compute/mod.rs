//! CPU numerics alone: packed GEMM, vector functions, parallel loops, aligned buffers. What ops' references and the CPU
//! back-end stand on; it knows no graph, no plan and no session.

mod aligned;
mod elementary;
mod gemm;
mod parallel;
mod rows;
mod simd;

pub(crate) use aligned::{Numbers, scratch};
pub(crate) use elementary::{exp, ln_1p_unit, tanh};
pub(crate) use gemm::{FOUR, Matrix, multiply, multiply_beside, multiply_then};
pub(crate) use parallel::{awake, each};
pub(crate) use rows::{fill_heavy_rows, fill_rows, lane_sum, lane_sum_map, lane_sum_pairs, per_example};
pub(crate) use simd::Lanes;
pub(crate) use simd::vectorised;
