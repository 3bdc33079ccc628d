//! Faults in likelihoods, in priors, in flows, and in what is joined to examples.

use super::{InOp, edit};

/// Faults in their ops.
pub(super) const IN_OPS: [InOp; 13] = [
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
    ("a variable that knows itself", "autoregressive_mask", None, |kernel| {
        edit(kernel, "elementwise/autoregressive_mask.wgsl", "needs <= knows", "needs <= knows + 1u");
    }),
    ("an order that is not reversed", "autoregressive_mask", None, |kernel| {
        edit(kernel, "elementwise/autoregressive_mask.wgsl", "reversed == 1u", "reversed == 2u");
    }),
    ("a deviation for its inverse", "whiten", None, |kernel| {
        edit(kernel, "elementwise/whiten.wgsl", "-0.5 * posterior", "0.5 * posterior");
    }),
    ("the gradient of a deviation for that of its square", "whiten_gradient", None, |kernel| {
        edit(kernel, "elementwise/whiten_gradient.wgsl", "0.5 * (x[i]", "(x[i]");
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
