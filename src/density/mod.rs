//! A density of codes: what an autoencoder without a prior is sampled from (Ghosh, Sajjadi, Vergari, Black and Schölkopf
//! 2020, "From variational to deterministic autoencoders", section 4): a full-covariance Gaussian, or a mixture of ten.
//!
//! All of it is f64 on the host. Expectation-maximisation is written here (`mixture.rs`) and not taken from a library.
//! The candidate, `linfa-clustering` 0.8.1, was tried: it failed on heavy-tailed codes (it has no log-sum-exp), on
//! coinciding ones and on fewer codes than components, all of which autoencoders give. The start is drawn from the run's
//! own Philox, so that equal runs give equal bytes.

mod file;
mod matrix;
mod mixture;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::rng::{Draw, Stream};

/// Which density.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum DensityKind {
    /// One Gaussian
    Gaussian,
    /// A mixture of ten Gaussians
    Mixture,
}

/// Gaussians with weights, each of full covariance.
#[derive(Clone, Debug, PartialEq)]
pub struct Density {
    /// Dimensions of a code.
    latent: usize,
    /// `[k]`, sum 1.
    weights: Vec<f64>,
    /// `[k, latent]`.
    means: Vec<f64>,
    /// `[k, latent, latent]`: lower triangular factors of the covariances (Cholesky).
    factors: Vec<f64>,
}

/// Components of a mixture.
const COMPONENTS: usize = 10;
/// Codes that a mixture is fitted to: the first so many.
const MIXED: usize = 20_000;
/// Codes whose likelihoods are computed at a time.
const ROWS: usize = 4096;

impl Density {
    /// Fits to `codes` `[n, latent]`: the sample's mean and covariance, or at most ten components found by
    /// expectation-maximisation on the first 20,000 codes. A hair is added to each variance (one part in 10^6 of the mean
    /// variance), so that dimensions that do not vary are allowed.
    ///
    /// # Errors
    /// [`Error::Usage`] where there is no code, [`Error::NonFinite`] where one is not finite.
    pub fn fit(kind: DensityKind, codes: &[f32], latent: usize, seed: u32) -> Result<Density> {
        if latent == 0 || codes.is_empty() || !codes.len().is_multiple_of(latent) {
            let found = codes.len();
            return Err(Error::Usage(format!("a density of codes: {found} numbers are no rows of {latent}")));
        }
        if let Some(at) = codes.iter().position(|value| !value.is_finite()) {
            return Err(Error::NonFinite(format!("the code of image {} holds {}", at / latent, codes[at])));
        }
        let count = match kind {
            DensityKind::Gaussian => codes.len(),
            DensityKind::Mixture => codes.len().min(MIXED * latent),
        };
        let codes: Vec<f64> = codes[..count].iter().map(|value| f64::from(*value)).collect();
        let single = mixture::gaussian(&codes, latent);
        Ok(match kind {
            DensityKind::Gaussian => single,
            DensityKind::Mixture => mixture::fit(&codes, single, COMPONENTS, seed),
        })
    }

    /// Gaussians of equal weight without covariances: means and deviations are `[k, latent]`.
    ///
    /// # Panics
    /// If there are not as many of both, at least one of each.
    pub fn of_components(latent: usize, means: &[f32], deviations: &[f64]) -> Density {
        let k = means.len() / latent;
        assert!(k > 0 && means.len() == k * latent && deviations.len() == means.len(), "k means and deviations");
        let mut factors = vec![0.0; k * latent * latent];
        for (factor, deviations) in factors.chunks_mut(latent * latent).zip(deviations.chunks(latent)) {
            factor.iter_mut().step_by(latent + 1).zip(deviations).for_each(|(to, deviation)| *to = *deviation);
        }
        Density {
            latent,
            weights: vec![1.0 / k as f64; k],
            means: means.iter().copied().map(f64::from).collect(),
            factors,
        }
    }

    /// Dimensions of a code.
    pub fn latent(&self) -> usize {
        self.latent
    }

    /// Number of Gaussians.
    pub fn components(&self) -> usize {
        self.weights.len()
    }

    /// `weights` `[k]`, sum 1; `means` `[k, latent]`; `factors` `[k, latent, latent]`, the lower triangular ones of the covariances.
    pub fn parts(&self) -> [(&'static str, &[f64]); 3] {
        [("weights", &self.weights), ("means", &self.means), ("factors", &self.factors)]
    }

    /// The first `count` draws of a seed, `[count, latent]`: draw `i` depends on the seed and `i` alone.
    pub fn draw(&self, count: usize, seed: u32) -> Vec<f32> {
        let latent = self.latent;
        // Which component is element 0 of one step's draws, its noise the elements of the next's.
        let [which, noise] = [0, 1].map(|step| Draw { seed, stream: Stream::Prior, step });
        let mut codes = Vec::with_capacity(count * latent);
        let mut eps = vec![0.0; latent];
        for i in 0..count as u32 {
            let mut left = f64::from(which.uniform(i, 0));
            let passed = self.weights.iter().take_while(|&&weight| {
                left -= weight;
                left >= 0.0
            });
            let component = passed.count().min(self.components() - 1);
            noise.normals(i, &mut eps);
            let (mean, factor) = self.component(component);
            for (row, mean) in mean.iter().enumerate() {
                let sum: f64 = (0..=row).map(|col| factor[row * latent + col] * f64::from(eps[col])).sum();
                codes.push((mean + sum) as f32);
            }
        }
        codes
    }

    /// The log-density of each of `codes` `[n, latent]`, in nats.
    pub fn log_likelihood(&self, codes: &[f32]) -> Vec<f64> {
        let codes: Vec<f64> = codes.iter().map(|value| f64::from(*value)).collect();
        codes.chunks(ROWS * self.latent).flat_map(|codes| mixture::log_joint(self, codes).0).collect()
    }

    fn component(&self, component: usize) -> (&[f64], &[f64]) {
        let latent = self.latent;
        let factor = &self.factors[component * latent * latent..][..latent * latent];
        (&self.means[component * latent..][..latent], factor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Draws of a density with this factor and mean.
    fn drawn(count: usize) -> (Density, Vec<f32>) {
        let factors = vec![2.0, 0.0, 0.0, -1.0, 0.5, 0.0, 0.3, 0.2, 0.1];
        let density = Density { latent: 3, weights: vec![1.0], means: vec![1.0, -2.0, 0.5], factors };
        let codes = density.draw(count, 7);
        (density, codes)
    }

    #[test]
    fn a_gaussian_is_recovered_from_its_draws() {
        let (truth, codes) = drawn(20_000);
        let fitted = Density::fit(DensityKind::Gaussian, &codes, 3, 0).unwrap();
        // Standard errors at 20,000 draws: 0.014 of a mean of deviation 2, 0.01 of a factor of 2; four of them.
        for (a, b) in truth.means.iter().zip(&fitted.means).chain(truth.factors.iter().zip(&fitted.factors)) {
            assert!((a - b).abs() < 0.06, "{a} {b}");
        }
        let mean = |density: &Density| density.log_likelihood(&codes).iter().sum::<f64>() / 20_000.0;
        assert!(mean(&fitted) >= mean(&truth), "the maximum is not lower than the truth");
        assert!((mean(&fitted) - mean(&truth)).abs() < 2e-3);
    }

    #[test]
    fn the_log_likelihood_is_that_of_the_formula() {
        let density =
            Density { latent: 2, weights: vec![1.0], means: vec![1.0, 0.0], factors: vec![2.0, 0.0, 0.0, 0.5] };
        let log = density.log_likelihood(&[3.0, 1.0])[0];
        let wanted = -0.5 * (1.0 + 4.0) - (std::f64::consts::TAU).ln() - (2.0_f64 * 0.5).ln();
        assert!((log - wanted).abs() < 1e-12, "{log} {wanted}");
    }

    #[test]
    fn components_are_drawn_and_weighed_alike() {
        let density = Density::of_components(2, &[-5.0, 1.0, 5.0, 0.0], &[1.0, 0.5, 2.0, 0.1]);
        let at = |x: f64, mean: f64, deviation: f64| {
            -0.5 * ((x - mean) / deviation).powi(2) - deviation.ln() - 0.5 * std::f64::consts::TAU.ln()
        };
        let [first, second] =
            [[-5.0, 1.0, 1.0, 0.5], [5.0, 2.0, 0.0, 0.1]].map(|[m, d, n, e]| at(0.5, m, d) + at(0.2, n, e));
        let wanted = (0.5 * (first.exp() + second.exp())).ln();
        let found = density.log_likelihood(&[0.5, 0.2])[0];
        assert!((found - wanted).abs() < 1e-6, "{found} {wanted}");
        let draws = density.draw(4000, 1);
        let right = draws.chunks(2).filter(|draw| draw[0] > 0.0).count();
        assert!((1850..2150).contains(&right), "{right}");
    }

    #[test]
    fn a_mixture_finds_clusters() {
        let places = [[-6.0, 0.0], [6.0, 1.0], [0.0, 8.0], [0.0, -7.0]];
        let draw = Draw { seed: 3, stream: Stream::Prior, step: 9 };
        let codes: Vec<f32> = (0..4000)
            .flat_map(|i| {
                let place = places[i as usize % 4];
                [place[0] + draw.normal(i, 0), place[1] + 0.5 * draw.normal(i, 1)]
            })
            .collect();
        let [single, mixed] =
            [DensityKind::Gaussian, DensityKind::Mixture].map(|kind| Density::fit(kind, &codes, 2, 0).unwrap());
        let mean = |density: &Density| density.log_likelihood(&codes).iter().sum::<f64>() / 4000.0;
        // Entropy of the truth: ln 4 for the cluster, 1 + ln 2 pi + ln 0.5 within it.
        let truth = -(4.0_f64.ln() + 1.0 + std::f64::consts::TAU.ln() + 0.5_f64.ln());
        assert!(mean(&mixed) > mean(&single) + 0.5 && (mean(&mixed) - truth).abs() < 0.1, "{} {truth}", mean(&mixed));
        assert_eq!(mixed, Density::fit(DensityKind::Mixture, &codes, 2, 0).unwrap());
    }

    #[test]
    fn degenerate_codes_are_allowed_and_broken_ones_refused() {
        for kind in [DensityKind::Gaussian, DensityKind::Mixture] {
            for codes in [vec![1.0, 2.0], vec![1.0, 2.0, 1.0, 2.0, 1.0, 2.0], vec![0.0; 40], vec![0.0, 1.0, 0.0, 2.0]] {
                let density = Density::fit(kind, &codes, 2, 0).unwrap();
                assert!(density.draw(50, 1).iter().all(|value| value.is_finite()), "{codes:?}");
                assert!((f64::from(density.draw(1, 1)[0]) - f64::from(codes[0])).abs() < 0.1, "{codes:?}");
            }
            assert!(Density::fit(kind, &[], 2, 0).is_err() && Density::fit(kind, &[1.0], 2, 0).is_err());
            let error = Density::fit(kind, &[1.0, 2.0, 3.0, f32::NAN], 2, 0).unwrap_err();
            assert!(matches!(&error, Error::NonFinite(text) if text.contains("image 1")), "{error}");
        }
    }

    #[test]
    fn a_draw_depends_on_its_number_alone() {
        let (density, codes) = drawn(10);
        assert_eq!(density.draw(4, 7), codes[..12]);
        assert_ne!(density.draw(4, 8), codes[..12]);
    }
}
