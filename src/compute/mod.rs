//! CPU numerics alone: packed GEMM, vector functions, parallel loops, aligned buffers. What ops' references and the CPU
//! back-end stand on; it knows no graph, no plan and no session.

mod aligned;
mod elementary;
mod gemm;
mod parallel;
mod rows;
mod simd;

pub(crate) use crate::unchecked::RowStrides;
pub(crate) use aligned::{AlignedVec, scratch};
pub(crate) use elementary::{exp, ln, ln_1p_unit, normal_cdf, tanh};
pub(crate) use gemm::{
    COLS_PER_SECONDARY, Computed, Matrix, Operand, Runs, gemm, gemm_long_k, gemm_spread, gemm_with_epilogue,
    gemm_with_secondary,
};
pub(crate) use parallel::{keep_spinning, parallel_for};
pub(crate) use rows::{
    Dots, lane_sum, lane_sum_map, lane_sum_pairs, parallel_heavy_rows, parallel_row_sums, parallel_rows,
};
pub(crate) use simd::{Lanes, vectorised};
