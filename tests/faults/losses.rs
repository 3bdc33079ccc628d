//! Faults in likelihoods, in priors, and in what is joined to examples.

use super::{InOp, edit};

/// Faults in their ops.
pub(super) const IN_OPS: [InOp; 9] = [
    ("a series where it is not exact", "continuous_bernoulli_mean", None, |kernel| {
        edit(kernel, "loss/cumulant.wgsl", "NEAR = 0.5", "NEAR = 5.0");
    }),
    ("a density without its normaliser", "continuous_bernoulli", None, |kernel| {
        edit(kernel, "loss/cumulant.wgsl", "/ size);", ");");
    }),
    ("a last level that ends", "discretised_logistic", None, |kernel| {
        edit(kernel, "loss/levels.wgsl", "x[i] > 1.0 - 0.5 * LEVEL", "false");
    }),
    ("a first level that ends", "discretised_logistic_gradient", None, |kernel| {
        edit(kernel, "loss/levels.wgsl", "x[i] < 0.5 * LEVEL", "false");
    }),
    ("levels of another width", "discretised_logistic_slope", None, |kernel| {
        edit(kernel, "loss/levels.wgsl", "1.0 / 255.0", "1.0 / 256.0");
    }),
    ("a condition that several examples share", "concat", None, |kernel| {
        edit(kernel, "elementwise/concat.wgsl", "row / EACH", "row / (EACH + 1u)");
    }),
    ("a density without its normaliser", "mixture_prior", None, |kernel| {
        edit(kernel, "loss/mixture_prior.wgsl", "+ logvar - sample", "- sample");
    }),
    ("a last row left out", "mixture_prior_components_gradient", None, |kernel| {
        edit(kernel, "loss/mixture_prior_components_gradient.wgsl", "row < ROWS", "row < ROWS - 1u");
    }),
    ("a weight that is moved away from its target", "move_weight", None, |kernel| {
        edit(kernel, "elementwise/move_weight.wgsl", "TARGET - value[i]", "value[i] - TARGET");
    }),
];
