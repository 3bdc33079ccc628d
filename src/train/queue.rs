//! Submissions under way: two at a time, so that the device works while the host prepares, each about as long as an
//! eye takes to notice: systems take a device for hung whose submission lasts some seconds. How steps are split never
//! changes what they compute.

use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::time::Instant;

use super::data_loader::DataLoader;
use super::metrics::{Losses, Mean, Terms};
use crate::backend::{MAX_STEPS, ProgramId, Recorded, Session, Submission};
use crate::error::Result;
use crate::ranks::Ranks;
use crate::step::Step;

/// How long a submission should take, in seconds: below it overhead tells, far above it progress stutters.
const TARGET: f64 = 0.05;
/// Submissions under way at a time.
const IN_FLIGHT: usize = 2;

/// Submissions of a step at most.
const MAX_SUBMISSIONS_PER_STEP: usize = 1024;

/// Learns how many steps fit a submission, or how many submissions a step takes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Queue {
    chunk: usize,
    /// 1 unless a submission is one step.
    submissions_per_step: usize,
}

/// Begins with every op by itself: nothing is known of the device yet.
impl Default for Queue {
    fn default() -> Queue {
        Queue { chunk: 1, submissions_per_step: MAX_SUBMISSIONS_PER_STEP }
    }
}

impl Queue {
    /// Runs every program at each step, in order, on data that are fed; `finished` gets the steps of each submission and
    /// what they recorded, and may end the run early: those under way are finished then.
    pub(super) fn run(
        &mut self,
        session: &mut dyn Session,
        loader: Option<&DataLoader<'_>>,
        programs: &[ProgramId],
        steps: &[Step],
        mut finished: impl FnMut(&[Step], &Recorded) -> Result<ControlFlow<()>>,
    ) -> Result<()> {
        let mut waiting: VecDeque<(&[Step], Submission)> = VecDeque::new();
        let mut rest = steps;
        let mut last = Instant::now();
        while !rest.is_empty() || !waiting.is_empty() {
            if !rest.is_empty() && waiting.len() < IN_FLIGHT {
                let most = loader.map_or(MAX_STEPS, DataLoader::most_steps);
                let (next, after) = rest.split_at(self.chunk.min(most).min(rest.len()));
                if let Some(loader) = loader {
                    loader.upload(session, next)?;
                }
                session.split_steps(self.submissions_per_step);
                waiting.push_back((next, session.submit(programs, next)?));
                rest = after;
            } else if let Some((done, submission)) = waiting.pop_front() {
                let recorded = session.finish(submission)?;
                let now = Instant::now();
                self.adapt(done.len(), (now - last).as_secs_f64());
                last = now;
                if finished(done, &recorded)?.is_break() {
                    rest = &[];
                }
            }
        }
        Ok(())
    }

    /// The mean of what a program records over the steps, which ranks share; `place` names a step whose losses are not finite.
    pub(super) fn mean(
        &mut self,
        (session, ranks): (&mut dyn Session, &dyn Ranks),
        loader: &DataLoader<'_>,
        program: ProgramId,
        steps: &[Step],
        terms: &Terms,
        place: impl Fn(&Step) -> String,
    ) -> Result<Losses> {
        let (mut own, mut mean) = (Vec::new(), Mean::default());
        self.run(session, Some(loader), &[program], &steps[ranks.share(steps.len())], |_, recorded| {
            recorded.rows().for_each(|row| own.extend(terms.of(row).values));
            Ok(ControlFlow::Continue(()))
        })?;
        let width = terms.names().len();
        for (step, values) in steps.iter().zip(ranks.gather_shares(&own, steps.len(), width).chunks(width)) {
            let losses = Losses { terms: terms.names(), values: values.to_vec() };
            losses.check_finite(|| place(step))?;
            mean.add(&losses, step.rows);
        }
        Ok(mean.losses(terms.names()))
    }

    /// At most doubles at a time: the first submissions pay for what is built on first use.
    fn adapt(&mut self, steps: usize, seconds: f64) {
        let fitting = TARGET * steps as f64 / seconds.max(1e-6);
        tracing::debug!("a submission of {steps} steps took {:.1} ms", seconds * 1e3);
        self.chunk = (fitting as usize).clamp(1, (2 * self.chunk).min(MAX_STEPS));
        self.submissions_per_step = ((1.0 / fitting).ceil() as usize).clamp(1, MAX_SUBMISSIONS_PER_STEP);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_grow_slowly_and_stay_within_bounds() {
        let mut queue = Queue::default();
        for expected in [2, 4, 8, 16, 32, MAX_STEPS, MAX_STEPS] {
            queue.adapt(1, 0.0);
            assert_eq!(queue.chunk, expected);
        }
        queue.adapt(10, 0.1);
        assert_eq!(queue.chunk, 5);
        assert_eq!(queue.submissions_per_step, 1);
        queue.adapt(1, 9.0);
        assert_eq!((queue.chunk, queue.submissions_per_step), (1, 180));
    }
}
