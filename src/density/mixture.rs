//! Gaussians fitted by maximum likelihood: one in closed form, several by expectation-maximisation (Dempster, Laird and
//! Rubin 1977), started by k-means++ (Arthur and Vassilvitskii 2007). Matrix products go through [`gemm`].

use super::Density;
use super::matrix::{cholesky, invert_lower};
use crate::compute::{Matrix, gemm};
use crate::rng::{Draw, Stream};

/// What is added to each variance, as a share of the mean variance.
const RIDGE: f64 = 1e-6;
/// What is added where codes do not vary at all.
const LEAST: f64 = 1e-10;
/// Rounds of expectation-maximisation at most, and the gain in nats a code below which they stop.
const ROUNDS: usize = 100;
const GAIN: f64 = 1e-4;
/// The step of the draws that start it: one that no other draw of the stream has.
const START: u64 = u64::MAX;

/// The Gaussian of `codes` `[n, latent]`.
pub(super) fn gaussian(codes: &[f64], latent: usize) -> Density {
    let ones = vec![1.0; codes.len() / latent];
    let (mean, covariance) = moments(codes, latent, &ones);
    let factors = factor(covariance, latent, 0.0);
    Density { latent, weights: vec![1.0], means: mean, factors }
}

/// At most `components` Gaussians; `single` is the one of all codes.
pub(super) fn fit(codes: &[f64], single: Density, components: usize, seed: u32) -> Density {
    let latent = single.latent;
    let count = codes.len() / latent;
    let centers = centers(codes, latent, components, seed);
    let k = centers.len() / latent;
    let overall: f64 = {
        let (_, factor) = single.component(0);
        factor.iter().map(|value| value * value).sum::<f64>() / latent as f64 // the mean variance
    };
    let mut density =
        Density { latent, weights: vec![1.0 / k as f64; k], means: centers, factors: single.factors.repeat(k) };
    let mut before = f64::NEG_INFINITY;
    for _ in 0..ROUNDS {
        let (log_likelihoods, log_joint) = log_joint(&density, codes);
        let mean = log_likelihoods.iter().sum::<f64>() / count as f64;
        if mean - before < GAIN {
            break;
        }
        before = mean;
        for component in 0..k {
            let shares: Vec<f64> = log_joint
                .iter()
                .skip(component)
                .step_by(k)
                .zip(&log_likelihoods)
                .map(|(joint, all)| (joint - all).exp())
                .collect();
            let weight = shares.iter().sum::<f64>() / count as f64;
            density.weights[component] = weight;
            // A component that holds less than one code keeps its place and is never drawn from again.
            if weight * count as f64 >= 1.0 {
                let (mean, covariance) = moments(codes, latent, &shares);
                density.means[component * latent..][..latent].copy_from_slice(&mean);
                let factor = factor(covariance, latent, overall);
                density.factors[component * latent * latent..][..latent * latent].copy_from_slice(&factor);
            }
        }
        let total: f64 = density.weights.iter().sum();
        density.weights.iter_mut().for_each(|weight| *weight /= total);
    }
    density
}

/// The log-density of each code, `[n]`, and that of each with each component, `[n, k]`.
pub(super) fn log_joint(density: &Density, codes: &[f64]) -> (Vec<f64>, Vec<f64>) {
    let (latent, k) = (density.latent, density.components());
    let count = codes.len() / latent;
    let mut joint = vec![0.0; count * k];
    let (mut centered, mut whitened) = (vec![0.0; codes.len()], vec![0.0; codes.len()]);
    for component in 0..k {
        let (mean, factor) = density.component(component);
        for (row, code) in centered.chunks_mut(latent).zip(codes.chunks(latent)) {
            row.iter_mut().zip(code).zip(mean).for_each(|((to, code), mean)| *to = code - mean);
        }
        let inverse = invert_lower(factor, latent);
        // whitened [n, latent] = centered [n, latent] inverse^T
        let (left, right) = (Matrix::rows(&centered, latent), Matrix::transposed(&inverse, latent));
        gemm([count, latent, latent], &mut whitened, left, right);
        let log_volume: f64 = (0..latent).map(|i| factor[i * latent + i].ln()).sum();
        let constant = density.weights[component].ln() - log_volume - 0.5 * latent as f64 * std::f64::consts::TAU.ln();
        for (row, y) in whitened.chunks(latent).enumerate() {
            joint[row * k + component] = constant - 0.5 * y.iter().map(|y| y * y).sum::<f64>();
        }
    }
    let log_sum = |row: &[f64]| {
        let max = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        max + row.iter().map(|value| (value - max).exp()).sum::<f64>().ln()
    };
    (joint.chunks(k).map(log_sum).collect(), joint)
}

/// Weighted mean and covariance.
fn moments(codes: &[f64], latent: usize, weights: &[f64]) -> (Vec<f64>, Vec<f64>) {
    let total: f64 = weights.iter().sum();
    let mut mean = vec![0.0; latent];
    for (code, weight) in codes.chunks(latent).zip(weights) {
        mean.iter_mut().zip(code).for_each(|(mean, code)| *mean += weight * code);
    }
    mean.iter_mut().for_each(|mean| *mean /= total);
    let mut scaled = Vec::with_capacity(codes.len());
    for (code, weight) in codes.chunks(latent).zip(weights) {
        let root = (weight / total).sqrt();
        scaled.extend(code.iter().zip(&mean).map(|(code, mean)| root * (code - mean)));
    }
    // covariance [latent, latent] = scaled^T scaled
    let mut covariance = vec![0.0; latent * latent];
    let (left, right) = (Matrix::transposed(&scaled, latent), Matrix::rows(&scaled, latent));
    gemm([latent, latent, weights.len()], &mut covariance, left, right);
    (mean, covariance)
}

/// The factor of a covariance with a ridge as small as it may be: relative to its own mean variance, or to `overall`.
fn factor(mut covariance: Vec<f64>, latent: usize, overall: f64) -> Vec<f64> {
    let trace: f64 = (0..latent).map(|i| covariance[i * latent + i]).sum();
    let mut ridge = RIDGE * overall.max(trace / latent as f64) + LEAST;
    loop {
        (0..latent).for_each(|i| covariance[i * latent + i] += ridge);
        if let Some(factor) = cholesky(&covariance, latent) {
            return factor;
        }
        ridge *= 10.0; // rounding left it indefinite; a multiple of the trace makes it definite after a few rounds
    }
}

/// Distinct codes to start from, `[at most k, latent]`: each drawn with a chance as its squared distance from those before.
fn centers(codes: &[f64], latent: usize, k: usize, seed: u32) -> Vec<f64> {
    let draw = Draw { seed, stream: Stream::Prior, step: START };
    let rows: Vec<&[f64]> = codes.chunks(latent).collect();
    let first = (f64::from(draw.uniform(0, 0)) * rows.len() as f64) as usize;
    let mut centers = rows[first.min(rows.len() - 1)].to_vec();
    let mut distances = vec![f64::INFINITY; rows.len()];
    while centers.len() / latent < k {
        let center = &centers[centers.len() - latent..];
        for (distance, row) in distances.iter_mut().zip(&rows) {
            let to: f64 = row.iter().zip(center).map(|(a, b)| (a - b) * (a - b)).sum();
            *distance = distance.min(to);
        }
        let total: f64 = distances.iter().sum();
        if total <= 0.0 {
            break; // every code is a center
        }
        let mut left = f64::from(draw.uniform((centers.len() / latent) as u32, 0)) * total;
        let passed = distances.iter().take_while(|&&distance| {
            left -= distance;
            left >= 0.0
        });
        centers.extend_from_slice(rows[passed.count().min(rows.len() - 1)]);
    }
    centers
}
