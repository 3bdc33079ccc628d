//! The steps of an epoch, as kernels see them: which rows, in which order, at what rate.

use crate::config::{Progress, TrainConfig};
use crate::models::BETA;
use crate::rng::Permutation;
use crate::step::Step;

/// The step's scalar that is the learning rate: for a run's own records.
pub(super) const RATE: &str = "rate";

/// First position and rows of each batch of `n` examples; the last may be short.
pub(super) fn batches(n: u32, batch: usize) -> impl ExactSizeIterator<Item = (u32, u32)> {
    let batch = u32::try_from(batch).unwrap_or(n).clamp(1, n.max(1));
    (0..n.div_ceil(batch)).map(move |at| (at * batch, batch.min(n - at * batch)))
}

/// Epoch `epoch` (from 0) of `n` examples, whose first step is step `first_step` of the run.
pub(super) fn training_steps(config: &TrainConfig, n: u32, epoch: u64, first_step: u64) -> Vec<Step> {
    let optimiser = config.optimiser();
    let order = Permutation::new(config.seed, epoch, n).keys();
    let batches = batches(n, config.batch_size);
    let steps_an_epoch = batches.len() as u64;
    let step = |(at, (first, rows))| {
        let index = first_step + at as u64;
        let progress = Progress { step: index, steps_an_epoch, epochs: config.epochs };
        let rate = config.lr * config.lr_schedule.factor(progress);
        let beta = config.beta.measured() * config.beta_schedule.factor(progress);
        let scalars = optimiser.scalars(rate, index + 1).with(BETA, beta).with(RATE, rate);
        Step { index, first, rows, seed: config.seed, order, scalars, slot: 0 }
    };
    (0..).zip(batches).map(step).collect()
}

/// The test set's batches. All are step 0: what is drawn for an example depends on it and the seed alone, so that the
/// batch size changes no result but by rounding.
pub(super) fn evaluation_steps(config: &TrainConfig, n: u32, batch: usize) -> Vec<Step> {
    let (seed, scalars) = (config.seed, [(BETA, config.beta.measured())].into());
    batches(n, batch).map(|(first, rows)| Step { first, rows, seed, scalars, ..Step::default() }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::DECAY;

    #[test]
    fn the_last_batch_may_be_short() {
        assert_eq!(batches(10, 4).collect::<Vec<_>>(), [(0, 4), (4, 4), (8, 2)]);
        assert_eq!(batches(3, usize::MAX).collect::<Vec<_>>(), [(0, 3)]);
        assert_eq!(batches(u32::MAX, 1 << 31).last(), Some((1 << 31, (1 << 31) - 1)));
    }

    #[test]
    fn rates_are_those_of_the_step() {
        let config =
            TrainConfig { lr_schedule: "steps:1:0.5".parse().unwrap(), weight_decay: 0.5, ..Default::default() };
        let steps = training_steps(&config, 300, 1, 3);
        assert_eq!((steps.len(), steps[0].index, steps[2].rows), (3, 3, 44));
        assert_eq!([RATE, DECAY].map(|name| steps[0].scalar(name)), [5e-4, 1.0 - 2.5e-4]);
    }
}
