//! What a run tells while it goes on, and how it ended.

use super::doctor::Finding;
use super::{EpochMetrics, Losses};

/// What hears of a run's progress.
pub trait Observer {
    /// An epoch (from 1) begins: the training set has this many images.
    fn epoch_started(&mut self, epoch: u64, images: u64) {
        let _ = (epoch, images);
    }

    /// A submission was finished: images done in this epoch, and the mean over the submission's steps.
    fn progress(&mut self, images: u64, recent: Losses) {
        let _ = (images, recent);
    }

    /// An epoch was trained and evaluated.
    fn epoch_finished(&mut self, metrics: &EpochMetrics, train: Losses, test: Losses) {
        let _ = (metrics, train, test);
    }

    /// Training stops before its last epoch: the test loss was lowest after epoch `best`, and the run's patience is over.
    fn stopped_early(&mut self, epoch: u64, best: u64) {
        let _ = (epoch, best);
    }

    /// Asked after each submission: whether to stop there, where a resumed run goes on.
    fn wants_to_stop(&mut self) -> bool {
        false
    }

    /// Something ails the run: heard once of each.
    fn found(&mut self, finding: &Finding) {
        let _ = finding;
    }

    /// The last epoch is done, and a density is fitted to the codes of a model without a prior.
    fn fitting_density(&mut self) {}
}

/// Hears nothing.
impl Observer for () {}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// After its last epoch.
    Done,
    /// Its patience was over.
    Early,
    /// It was asked to stop: a checkpoint holds it after this many steps, within this epoch.
    Stopped {
        /// Steps done since the run began.
        step: u64,
        /// The epoch that is not done, from 1.
        epoch: u64,
    },
}
