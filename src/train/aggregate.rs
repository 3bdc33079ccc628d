//! How far what latents are drawn from lies from the aggregate posterior `q(z)`, the mean of all images' posteriors: where
//! decoders know what to make of a latent.
//!
//! `KL(q || p) = E_q[log q] - E_q[log p]` is what the KL term of a VAE holds beyond the information that codes have of their image
//! (Hoffman and Johnson 2016, "ELBO surgery"). The first expectation is the same for every p, so that the second ranks them; and as
//! `E_q[log r] <= E_q[log q]` for every density r, the best of them bounds the distance of each from below.

use serde::Serialize;

use super::evaluate::mean_and_error;
use super::fitted::{CodeSet, Fitted};
use super::generate::LatentSource;
use crate::density::Density;
use crate::error::Result;
use crate::models::{Capability, Model};

/// How well a source of latents knows codes.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SourceFit {
    /// The source.
    pub from: LatentSource,
    /// Its mean log-density of a draw from the posterior of each image, or of its code, in nats; higher is better.
    pub log_density: f64,
    /// Standard error of the mean.
    pub error: f64,
}

/// What the model's sources make of draws from the posteriors of images that no density was fitted to; `learned` is the prior, if that
/// is not N(0, I).
///
/// # Errors
/// Those of [`Fitted::log_likelihood`].
pub fn fits(
    model: &Model,
    draws: &CodeSet<'_>,
    learned: Option<&Density>,
    fitted: &[(LatentSource, Fitted)],
) -> Result<Vec<SourceFit>> {
    let fit = |from, of_each: Vec<f64>| {
        let (log_density, error) = mean_and_error(&of_each);
        SourceFit { from, log_density, error }
    };
    let of_prior = || match learned {
        Some(prior) => prior.log_likelihood(draws.codes),
        None => normal(draws.codes, draws.latent),
    };
    let prior = model.has(Capability::Prior).then(|| fit(LatentSource::Prior, of_prior()));
    let of_fitted = |(from, fitted): &(LatentSource, Fitted)| Ok(fit(*from, fitted.log_likelihood(draws)?));
    prior.into_iter().map(Ok).chain(fitted.iter().map(of_fitted)).collect()
}

/// The source that lies nearest to the codes; the first of those that do so equally.
pub fn nearest(fits: &[SourceFit]) -> Option<&SourceFit> {
    fits.iter().rev().max_by(|a, b| a.log_density.total_cmp(&b.log_density))
}

/// The log-density of each code under N(0, I), in nats.
fn normal(codes: &[f32], latent: usize) -> Vec<f64> {
    let constant = 0.5 * latent as f64 * std::f64::consts::TAU.ln();
    let square = |code: &[f32]| code.iter().map(|z| f64::from(*z).powi(2)).sum::<f64>();
    codes.chunks(latent).map(|code| -0.5 * square(code) - constant).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::{ModelConfig, ModelKind};
    use crate::rng::{Draw, Stream};

    /// Codes around two places, far from the prior.
    fn codes(first: u32) -> Vec<f32> {
        let draw = Draw { seed: 1, stream: Stream::Synthetic, step: 0 };
        let code = |i: u32| [0, 1].map(|e| draw.normal(i, e) * 0.5 + if i.is_multiple_of(2) { 4.0 } else { -4.0 });
        (first..first + 4000).flat_map(code).collect()
    }

    #[test]
    fn the_source_that_fits_best_is_the_nearest() {
        let densities = [LatentSource::Gaussian, LatentSource::Mixture]
            .map(|from| (from, Fitted::fit(from, &CodeSet::new(&codes(0), 2), 0, "", &mut ()).unwrap()));
        let vae = Model::new(ModelConfig { latent: 2, ..ModelConfig::vae(4) }).unwrap();
        let others = codes(4000);
        let others = &CodeSet::new(&others, 2);
        let found = fits(&vae, others, None, &densities).unwrap();
        assert_eq!(found.iter().map(|fit| fit.from.name()).collect::<Vec<_>>(), ["prior", "gaussian", "mixture"]);
        // E[z^2] is 16.25 a dimension; the truth's log-density is that of half the codes around one of two places.
        let prior = -16.25 - std::f64::consts::TAU.ln();
        let truth = -(2.0_f64.ln() + 1.0 + std::f64::consts::TAU.ln() + 2.0 * 0.5_f64.ln());
        assert!((found[0].log_density - prior).abs() < 5.0 * found[0].error, "{found:?} {prior}");
        assert!((found[2].log_density - truth).abs() < 0.1 && found[2].log_density < truth + 5.0 * found[2].error);
        assert_eq!(nearest(&found).unwrap().from, LatentSource::Mixture);
        let ae = Model::new(ModelConfig { model: ModelKind::Ae, latent: 2, ..ModelConfig::vae(4) }).unwrap();
        assert_eq!(fits(&ae, others, None, &densities).unwrap(), found[1..]);
        let Fitted::Density(learned) = &densities[1].1 else { panic!("a density") };
        let of_learned = fits(&vae, others, Some(learned), &densities).unwrap();
        assert_eq!((of_learned[0].from, of_learned[0].log_density), (LatentSource::Prior, found[2].log_density));
        assert_eq!(nearest(&[]), None);
    }

    #[test]
    fn a_source_that_is_as_near_comes_first() {
        let fit = |from| SourceFit { from, log_density: -1.0, error: 0.0 };
        let fits = [fit(LatentSource::Prior), fit(LatentSource::Gaussian)];
        assert_eq!(nearest(&fits).unwrap().from, LatentSource::Prior);
    }
}
