//! One epoch: its training steps, what they measured, and the evaluation behind them.

use std::ops::ControlFlow;
use std::time::Instant;

use super::metrics::Mean;
use super::schedule::{RATE, evaluation_steps, training_steps};
use super::{EpochMetrics, Losses, Observer, TracedStep, Trainer, TrainingState};
use crate::backend::{Counters, Recorded};
use crate::error::Result;
use crate::graph::PARAMETERS;
use crate::models::{BETA, Capability, LOG_BETA};
use crate::step::Step;

/// What an epoch gave.
pub(super) struct Epoch {
    pub(super) line: EpochMetrics,
    pub(super) train: Losses,
    pub(super) test: Losses,
}

impl Trainer<'_> {
    pub(super) fn one_epoch(&mut self, observer: &mut dyn Observer) -> Result<Option<Epoch>> {
        let images = self.data.train.count();
        let (epoch, state) = (self.epoch() + 1, self.state.clone().unwrap_or_default());
        let (steps, done) = self.epoch_steps();
        let before = state.step - done as u64;
        observer.epoch_started(epoch, images as u64);
        let (counters, began) = (self.session.counters(), Instant::now());
        let mean = self.train(&steps[done..], state.within.clone().unwrap_or_default(), observer)?;
        if mean.steps() < steps.len() as u64 {
            self.state = Some(TrainingState { step: before + mean.steps(), within: Some(mean), ..state });
            return Ok(None);
        }
        let ran = steps.len() - done;
        let train = mean.losses(self.model.terms());
        let seconds = began.elapsed().as_secs_f64();
        let counters: Counters = self.session.counters() - counters;
        let test = self.evaluate()?;
        let count = steps.len() as u64;
        let best = self.state.as_ref().filter(|best| {
            best.best_epoch > 0 && self.model.has(Capability::RankingLoss) && best.best_test_loss <= test.loss()
        });
        self.state = Some(TrainingState {
            step: before + count,
            epoch,
            best_test_loss: best.map_or(test.loss(), |best| best.best_test_loss),
            best_epoch: best.map_or(epoch, |best| best.best_epoch),
            within: None,
        });
        let mut losses = train.named("train_");
        losses.append(&mut test.named(&format!("{}_", self.held_out())));
        let last = steps.last().copied().unwrap_or_default();
        let line = EpochMetrics {
            epoch,
            step: before + count,
            losses,
            lr: last.scalar(RATE),
            beta: self.beta(last.scalar(BETA))?,
            images_per_s: (images as f64 * ran as f64 / count.max(1) as f64) / seconds.max(1e-9),
            seconds,
            device: self.device.clone(),
            dispatches: counters.dispatches,
            dispatches_per_step: (counters.dispatches / ran.max(1) as u64) as usize,
            submissions: counters.submissions,
            bytes_to_device: counters.bytes_to_device,
            bytes_from_device: counters.bytes_from_device,
        };
        Ok(Some(Epoch { line, train, test }))
    }

    /// The weight of the KL term that the last step had, where that is not `given`.
    fn beta(&mut self, given: f64) -> Result<f64> {
        match self.model.layout().named(LOG_BETA) {
            Some(state) => Ok(f64::from(self.session.read_arena(PARAMETERS)?[state.offset]).exp()),
            None => Ok(given),
        }
    }

    /// All steps of the epoch that is not done, and how many of them are.
    pub(super) fn epoch_steps(&self) -> (Vec<Step>, usize) {
        let of_state = |state: &TrainingState| (state.step, state.steps_within());
        let (step, done) = self.state.as_ref().map_or((0, 0), of_state);
        let images = self.data.train.count() as u32;
        (training_steps(&self.config, images, self.epoch(), step - done), done as usize)
    }

    /// Runs the steps, or the first of them where the observer wants to stop: the mean with them added.
    fn train(&mut self, steps: &[Step], mut mean: Mean, observer: &mut dyn Observer) -> Result<Mean> {
        let (epoch, terms) = (self.epoch() + 1, &self.terms[0]);
        let (trace, trace_steps, failed) = (&mut self.trace, self.trace_steps, &mut self.failed);
        let (stopping, ranks) = (&mut self.stopping, &*self.ranks);
        let mut images = steps.first().map_or(0, |step| u64::from(step.first));
        let finished = |done: &[Step], recorded: &Recorded| {
            let mut recent = Mean::default();
            for (step, row) in done.iter().zip(recorded.rows()) {
                let losses = terms.of(row);
                let place = || format!("step {} (epoch {epoch})", step.index);
                losses.check_finite(place).inspect_err(|_| *failed = Some(step.index))?;
                mean.add(&losses, step.rows);
                recent.add(&losses, step.rows);
                images += u64::from(step.rows);
                if step.index < trace_steps {
                    trace.push(TracedStep { step: step.index, losses: losses.named("") });
                }
            }
            observer.progress(images, recent.losses(terms.names()));
            // All ranks stop behind the same step.
            let wants = if observer.wants_to_stop() { 1.0 } else { 0.0 };
            *stopping = ranks.gather_shares(&[wants], ranks.count(), 1).contains(&1.0);
            Ok(if *stopping { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        };
        let (session, loader) = (&mut *self.session, &self.loaders[0]);
        match &mut self.shards {
            Some(shards) => shards.run(session, ranks, loader, steps, finished)?,
            None => self.queue.run(session, Some(loader), &self.training, steps, finished)?,
        }
        Ok(mean)
    }

    /// What epochs are measured on: `val` or `test`, the beginning of the names of its metrics.
    fn held_out(&self) -> &'static str {
        if self.data.validation.is_some() { "val" } else { "test" }
    }

    /// The mean losses over the validation set, or the test set where there is none.
    ///
    /// # Errors
    /// [`crate::Error::NonFinite`] where a loss is not finite, else what the device fails with.
    pub fn evaluate(&mut self) -> Result<Losses> {
        let epoch = self.epoch() + 1;
        let steps = evaluation_steps(&self.config, self.data.held_out().count() as u32, self.evaluation_batch);
        let set = self.held_out();
        let place = |step: &Step| format!("{set} images from {} on, after epoch {epoch}", step.first);
        let (session, ranks) = (&mut *self.session, &*self.ranks);
        self.queue.mean((session, ranks), &self.loaders[1], self.evaluation, &steps, &self.terms[1], place)
    }
}
