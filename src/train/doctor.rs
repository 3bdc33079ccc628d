//! What ails a run, read off its losses and its codes: each with its cause and the option that mends it. Of a run that is well, nothing.
//!
//! | finding | sign | read |
//! |---|---|---|
//! | collapse | of the latent dimensions at most a tenth hold 0.01 nats or more of the KL term | Lucas et al. 2019, "Don't blame the ELBO!"; 0.01 as in Burda et al. 2016 |
//! | overfitting | the held-out loss has been above its lowest for five epochs, by 1 %, and training's is lower than then | |
//! | divergence | the training loss of the last epoch is 5 % above its lowest, and so was the one before | |
//! | spike | the training loss rose by 10 % in an epoch, and fell again | |
//! | certain decoder | the variance that a Gaussian decoder learned is below e^-8: pixels that hardly vary rule the loss | Rybkin et al. 2021, section 3 |
//!
//! The bounds are set so that noise of small sets does not reach them, and a rise of less than a nat is none; a loss that changes its meaning while beta rises is not compared.

use std::fmt;

use super::EpochMetrics;
use super::generate::Codes;
use crate::config::{BetaSchedule, TrainConfig};
use crate::models::{Capability, Model};

/// A KL divergence below which a latent dimension holds nothing, in nats.
const EMPTY: f64 = 0.01;
/// Share of dimensions that hold something, up to which a model has collapsed.
const COLLAPSED: f64 = 0.1;
/// Epochs since the lowest held-out loss, and how far above it the last one is, of a model that learned its training set by heart.
const OVERFITTED_EPOCHS: u64 = 5;
const OVERFITTED: f64 = 0.01;
/// How far above its lowest the training loss is of a run that diverges.
const DIVERGED: f64 = 0.05;
/// How far it rises of a spike.
const SPIKE: f64 = 0.1;
/// The log-variance of a decoder that is too certain.
const CERTAIN: f32 = -8.0;

/// Something that ails a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What it is called.
    pub name: &'static str,
    /// What was seen.
    pub seen: String,
    /// Why it comes about, and what mends it.
    pub remedy: &'static str,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}; {}", self.name, self.seen, self.remedy)
    }
}

/// What the losses of a run's epochs tell.
pub fn of_losses(config: &TrainConfig, epochs: &[EpochMetrics]) -> Vec<Finding> {
    // A game of two networks has no loss that must fall, and one that is weighed otherwise from epoch to epoch can't be compared.
    if !config.model.has(Capability::RankingLoss)
        || config.beta_schedule != BetaSchedule::Constant
        || config.beta.target().is_some()
    {
        return Vec::new();
    }
    let losses: Option<Vec<[f64; 2]>> =
        epochs.iter().map(|epoch| Some([*epoch.losses.get("train_loss")?, epoch.held_out_loss("loss")?])).collect();
    let losses = losses.unwrap_or_default();
    [overfitting(epochs, &losses), divergence(&losses), spike(epochs, &losses)].into_iter().flatten().collect()
}

/// What the KL term of each latent dimension, in nats an image, tells; nothing where there is none.
pub fn of_codes(kl_by_dimension: &[f64]) -> Option<Finding> {
    let (latent, total) = (kl_by_dimension.len(), kl_by_dimension.iter().sum::<f64>());
    let held = kl_by_dimension.iter().filter(|kl| **kl >= EMPTY).count();
    (latent > 0 && held as f64 <= COLLAPSED * latent as f64).then(|| Finding {
        name: "collapse",
        seen: format!("{held} of {latent} latent dimensions hold anything of an image, {total:.2} nats in all"),
        remedy: "the KL term outweighs what codes are worth to the decoder: train with a lower --beta, with --beta-schedule \
                 linear:EPOCHS, or with --free-bits 0.1",
    })
}

/// What the variance that a Gaussian decoder learned tells; nothing of other decoders. `parameters` is the model's arena.
pub fn of_variance(model: &Model, parameters: &[f32]) -> Option<Finding> {
    let logvar = model.layout().named("decoder.logvar")?;
    let logvar = *parameters.get(logvar.offset)?;
    (logvar < CERTAIN).then(|| Finding {
        name: "certain decoder",
        seen: format!("its variance is e^{logvar:.1}"),
        remedy: "pixels that hardly vary rule the loss, which has no lower bound: add noise to the data, or train with --loss mse",
    })
}

/// The KL divergence of each dimension's posteriors from N(0, 1), in nats an image; none of codes without noise.
pub fn kl_by_dimension(codes: &Codes, latent: usize) -> Vec<f64> {
    let Some(deviations) = &codes.deviations else { return Vec::new() };
    let mut sums = vec![0.0; latent];
    for (means, deviations) in codes.means.chunks(latent).zip(deviations.chunks(latent)) {
        for ((sum, &mean), &deviation) in sums.iter_mut().zip(means).zip(deviations) {
            let (square, variance) = (f64::from(mean).powi(2), f64::from(deviation).powi(2));
            *sum += 0.5 * (square + variance - 1.0 - variance.max(f64::MIN_POSITIVE).ln());
        }
    }
    let images = (codes.means.len() / latent) as f64;
    sums.into_iter().map(|sum| sum / images).collect()
}

/// How far `value` is above `lowest`, as a share of its size; not at all where that is less than a nat an image, as losses may
/// pass 0.
fn above(value: f64, lowest: f64) -> f64 {
    let rise = value - lowest;
    if rise < 1.0 { 0.0 } else { rise / lowest.abs().max(1.0) }
}

/// A share for people.
fn by(share: f64) -> String {
    if share < 10.0 { format!("{:.0} %", 100.0 * share) } else { format!("{share:.1e} times its size") }
}

fn lowest(losses: &[[f64; 2]], which: usize) -> Option<usize> {
    (0..losses.len()).min_by(|&a, &b| losses[a][which].total_cmp(&losses[b][which]))
}

fn overfitting(epochs: &[EpochMetrics], losses: &[[f64; 2]]) -> Option<Finding> {
    let (best, [train, held_out]) = (lowest(losses, 1)?, *losses.last()?);
    let since = epochs.last()?.epoch - epochs[best].epoch;
    let (share, set) =
        (above(held_out, losses[best][1]), if epochs[best].held_out() == "val" { "validation" } else { "test" });
    (since >= OVERFITTED_EPOCHS && share >= OVERFITTED && train < losses[best][0]).then(|| Finding {
        name: "overfitting",
        seen: format!(
            "the {set} loss was lowest after epoch {}, and is {} above that, while the training loss fell on",
            epochs[best].epoch,
            by(share)
        ),
        remedy: "training images are learned by heart: the best epoch is kept; train with --patience 5, --augment, --weight-decay, \
                 smaller --hidden, or more data",
    })
}

fn divergence(losses: &[[f64; 2]]) -> Option<Finding> {
    let (best, [.., [before, _], [last, _]]) = (lowest(losses, 0)?, losses) else { return None };
    let least = losses[best][0];
    (above(*before, least) >= DIVERGED && above(*last, least) >= DIVERGED).then(|| Finding {
        name: "divergence",
        seen: format!("the training loss is {} above its lowest", by(above(*last, least))),
        remedy: "steps are too long: train with a lower --lr, with --lr-schedule cosine, or with --clip-norm 1",
    })
}

fn spike(epochs: &[EpochMetrics], losses: &[[f64; 2]]) -> Option<Finding> {
    let rise = |at: &usize| {
        let ([before, _], [here, _], [after, _]) = (losses[at - 1], losses[*at], losses[at + 1]);
        above(here, before) >= SPIKE && after < here
    };
    let at = (1..losses.len().saturating_sub(1)).find(rise)?;
    Some(Finding {
        name: "spike",
        seen: format!(
            "the training loss rose by {} in epoch {}",
            by(above(losses[at][0], losses[at - 1][0])),
            epochs[at].epoch
        ),
        remedy: "some batch's gradient was far longer than others': train with --clip-norm 1 or a lower --lr",
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::{Loss, ModelConfig, ModelKind};

    /// Epochs with these losses on both sets.
    fn epochs(losses: &[[f64; 2]]) -> Vec<EpochMetrics> {
        let epoch = |(at, [train, test]): (usize, &[f64; 2])| {
            let losses = [("train_loss".to_owned(), *train), ("test_loss".to_owned(), *test)].into();
            EpochMetrics { epoch: at as u64 + 1, losses, ..EpochMetrics::default() }
        };
        losses.iter().enumerate().map(epoch).collect()
    }

    fn names(losses: &[[f64; 2]]) -> Vec<&'static str> {
        of_losses(&TrainConfig::default(), &epochs(losses)).iter().map(|finding| finding.name).collect()
    }

    #[test]
    fn a_run_that_is_well_has_nothing() {
        assert!(names(&[]).is_empty() && names(&[[200.0, 150.0]]).is_empty());
        assert!(names(&[[160.0, 120.0], [115.0, 110.0], [109.0, 107.0], [106.0, 105.5]]).is_empty());
        // Noise: a little up and down, of losses below 0 too.
        assert!(
            names(&[[-100.0, -99.0], [-101.0, -98.9], [-100.5, -99.2], [-101.2, -98.8], [-101.3, -98.9]]).is_empty()
        );
        assert!(of_codes(&[0.5, 0.2, 0.0, 0.9]).is_none());
    }

    #[test]
    fn what_ails_a_run_is_named() {
        assert_eq!(
            names(&[
                [100.0, 100.0],
                [90.0, 95.0],
                [80.0, 96.0],
                [70.0, 97.0],
                [65.0, 99.0],
                [60.0, 101.0],
                [55.0, 104.0]
            ]),
            ["overfitting"]
        );
        assert_eq!(names(&[[100.0, 100.0], [90.0, 90.0], [99.0, 98.0], [120.0, 130.0]]), ["divergence"]);
        assert_eq!(names(&[[100.0, 100.0], [90.0, 90.0], [150.0, 150.0], [92.0, 91.0], [89.0, 88.0]]), ["spike"]);
        let collapsed = of_codes(&[0.001, 0.002, 0.0, 0.0]).unwrap().to_string();
        assert!(
            collapsed.starts_with("collapse: 0 of 4 latent dimensions hold anything of an image, 0.00 nats"),
            "{collapsed}"
        );
        assert!(collapsed.contains("--beta"));
    }

    #[test]
    fn a_variance_that_vanishes_is_named() {
        let certain = |loss, logvar| {
            let model = Model::new(ModelConfig { loss, ..ModelConfig::vae(4) }).unwrap();
            of_variance(&model, &vec![logvar; model.layout().len()]).map(|finding| finding.name)
        };
        assert_eq!(certain(Loss::Gaussian, -11.0), Some("certain decoder"));
        assert_eq!((certain(Loss::Gaussian, -4.0), certain(Loss::Bce, -11.0)), (None, None));
    }

    #[test]
    fn divergences_are_those_of_the_formula() {
        let codes = Codes { means: vec![1.0, 0.0, -1.0, 0.0], deviations: Some(vec![1.0, 1.0, 0.5, 1.0]) };
        let [first, second] = kl_by_dimension(&codes, 2)[..] else { panic!("two dimensions") };
        // 1/2 of the first image, 1/2 (1 + 1/4 - 1 + ln 4) of the second.
        let wanted = (0.5 + 0.5 * (0.25 + 4.0_f64.ln())) / 2.0;
        assert!((first - wanted).abs() < 1e-12 && second == 0.0, "{first} {wanted} {second}");
        assert!(kl_by_dimension(&Codes { deviations: None, ..codes }, 2).is_empty());
    }

    #[test]
    fn losses_that_cannot_be_compared_are_not() {
        let losses = epochs(&[[100.0, 100.0], [90.0, 90.0], [99.0, 98.0], [120.0, 130.0]]);
        let rising = TrainConfig { beta_schedule: BetaSchedule::Linear { epochs: 3 }, ..TrainConfig::default() };
        assert!(of_losses(&rising, &losses).is_empty());
        assert!(of_losses(&TrainConfig { model: ModelKind::Gan, ..TrainConfig::default() }, &losses).is_empty());
    }
}
