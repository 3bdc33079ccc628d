//! Faults in likelihoods.

use super::{InOp, edit};

/// Faults in their ops.
pub(super) const IN_OPS: [InOp; 2] = [
    ("a series where it is not exact", "continuous_bernoulli_mean", None, |kernel| {
        edit(kernel, "loss/cumulant.wgsl", "NEAR = 0.5", "NEAR = 5.0");
    }),
    ("a density without its normaliser", "continuous_bernoulli", None, |kernel| {
        edit(kernel, "loss/cumulant.wgsl", "/ size);", ");");
    }),
];
