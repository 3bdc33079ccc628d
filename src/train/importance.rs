//! The importance-sampled log-likelihood of each example (Burda, Grosse and Salakhutdinov 2016, section 5), which evaluation
//! and scores share; and how many draws a step has.

use std::ops::ControlFlow;

use super::data_loader::DataLoader;
use super::evaluate::Request;
use super::queue::Queue;
use super::schedule::batches;
use crate::backend::Session;
use crate::error::Result;
use crate::models::CONDITION;
use crate::ops::LogSumExpUpdate;
use crate::plan::{Options, compile};
use crate::ranks::share;
use crate::step::Step;

/// Images that are sampled at a time, and at most so many samples of each a step: a batch that fits a CPU's cache and fills
/// a GPU.
pub(super) const IMPORTANCE_ROWS: usize = 20;
const IMPORTANCE_SAMPLES: usize = 50;

/// Samples of an image a step: the most that divide `samples`. They follow from that number alone, so that draws do.
pub(super) fn samples_at_once(samples: usize) -> usize {
    (1..=IMPORTANCE_SAMPLES).rev().find(|k| samples.is_multiple_of(*k)).unwrap_or(1)
}

impl Request<'_> {
    /// `log 1/S sum_s p(x, z_s) / q(z_s | x)` of each image, in nats; `progress` hears how many are done, if other ranks
    /// are as fast. Draws follow from the
    /// seed, S and the image's index.
    ///
    /// # Errors
    /// [`crate::Error::Usage`] where the model has no log-likelihood, else what the device fails with.
    pub(super) fn log_likelihoods(
        &self,
        session: &mut dyn Session,
        loader: &DataLoader<'_>,
        options: Options,
        progress: &mut impl FnMut(usize),
    ) -> Result<Vec<f64>> {
        let of = loader.batches(self.config.pixels());
        let count = self.images.count();
        let at_once = samples_at_once(self.samples);
        let examples = session.load(compile(&self.model.examples(&of)?, options)?)?;
        let importance = session.load(compile(&self.model.importance(of.rows, at_once)?, options)?)?;
        let mut queue = Queue::default();
        let batches: Vec<(u32, u32)> = batches(count as u32, of.rows).collect();
        let mut own = Vec::with_capacity(count / self.ranks.count());
        for &(first, rows) in &batches[self.ranks.share(batches.len())] {
            let step = Step { first, rows, seed: self.config.seed, ..Step::default() };
            loader.upload(session, &[step])?;
            session.run(&[examples], &[step])?;
            let x = session.read_output(examples, "x")?;
            session.write_input(importance, "x", &x)?;
            if self.model.config().condition.is_some() {
                let condition = session.read_output(examples, CONDITION)?;
                session.write_input(importance, CONDITION, &condition)?;
            }
            session.write_input(importance, "state", &LogSumExpUpdate::EMPTY.repeat(of.rows))?;
            let steps: Vec<Step> =
                (0..self.samples / at_once).map(|index| Step { index: index as u64, ..step }).collect();
            queue.run(session, None, &[importance], &steps, |_, _| Ok(ControlFlow::Continue(())))?;
            let state = session.read_output(importance, "state")?; // [rows, 2]
            let of_state = |&[max, sum]: &[f32; 2]| f64::from(max) + f64::from(sum).ln() - (self.samples as f64).ln();
            own.extend(state.as_chunks::<2>().0[..rows as usize].iter().map(of_state));
            progress(count.min(own.len() * self.ranks.count()));
        }
        Ok(self.gather(&own, &batches))
    }

    /// A number of each image of these batches, of which each rank has those of its share.
    pub(super) fn gather(&self, own: &[f64], batches: &[(u32, u32)]) -> Vec<f64> {
        let images = |rank: usize| {
            let batches = share(rank, self.ranks.count(), batches.len()).map(|at| batches[at].1 as usize);
            batches.sum()
        };
        self.ranks.gather_numbers(own, &(0..self.ranks.count()).map(images).collect::<Vec<usize>>())
    }
}
