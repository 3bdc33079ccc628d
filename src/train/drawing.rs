//! When a run's figures are drawn: after an epoch where that costs no more than a tenth of the run's time, and at its end.

use std::time::{Duration, Instant};

use super::figures::Figure;
use super::tensorboard::EventFile;
use super::{EpochMetrics, RunFolder, Trainer};
use crate::error::Result;

/// A run takes this many times as long as its drawing, or longer.
const SHARE: u32 = 10;

/// What drawing has cost.
#[derive(Clone, Copy, Debug)]
struct Cost {
    spent: Duration,
    /// Of the last time, or an estimate before the first.
    last: Duration,
}

impl Cost {
    fn new() -> Cost {
        Cost { spent: Duration::ZERO, last: Duration::from_millis(100) }
    }

    /// Whether drawing once more stays within its share of the time since the run began.
    fn fits(&self, elapsed: Duration) -> bool {
        SHARE * (self.spent + self.last) <= elapsed
    }

    fn add(&mut self, took: Duration) {
        self.spent += took;
        self.last = took;
    }
}

/// The drawing of a run that goes on.
#[derive(Debug)]
pub(super) struct Drawing {
    began: Instant,
    cost: Cost,
}

impl Drawing {
    /// Begins with the run.
    pub(super) fn begin() -> Drawing {
        Drawing { began: Instant::now(), cost: Cost::new() }
    }
}

impl Trainer<'_> {
    /// Draws the figures after the last of these epochs, into the folder and for TensorBoard, where it is the run's last or
    /// their time has come.
    ///
    /// # Errors
    /// Where the device, the drawing library or the file system fails.
    pub(super) fn draw(
        &mut self,
        drawing: &mut Drawing,
        folder: &RunFolder,
        events: &mut EventFile,
        epochs: &[EpochMetrics],
        last: bool,
    ) -> Result<()> {
        if !last && !drawing.cost.fits(drawing.began.elapsed()) {
            return Ok(());
        }
        let began = Instant::now();
        let figures = self.figures.draw(&mut *self.session, &self.config, self.data, epochs)?;
        for Figure { name, picture } in &figures {
            picture.save(&folder.figure(&format!("{name}.png")))?;
        }
        events.pictures(self.epoch(), &figures, last)?;
        drawing.cost.add(began.elapsed());
        tracing::info!("epoch {}: drawn in {:.2} s", self.epoch(), began.elapsed().as_secs_f64());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// After which of `epochs` epochs of `epoch_ms` figures are drawn that take `ms`, and what share of the time they take.
    fn drawn(epochs: u64, epoch_ms: u64, ms: u64) -> (Vec<u64>, f64) {
        let (mut cost, mut now, mut drawn) = (Cost::new(), Duration::ZERO, Vec::new());
        for epoch in 1..=epochs {
            now += Duration::from_millis(epoch_ms);
            if cost.fits(now) {
                now += Duration::from_millis(ms);
                cost.add(Duration::from_millis(ms));
                drawn.push(epoch);
            }
        }
        (drawn, cost.spent.as_secs_f64() / now.as_secs_f64())
    }

    #[test]
    fn drawing_takes_a_tenth_of_the_time_at_most() {
        // The estimate keeps a run of less than a second from drawing; long epochs are drawn each.
        assert!(drawn(99, 10, 50).0.is_empty());
        assert_eq!(drawn(5, 1000, 50).0, [1, 2, 3, 4, 5]);
        assert_eq!(drawn(300, 10, 50).0[..4], [100, 101, 140, 185]);
        for (epoch_ms, ms) in [(1, 50), (10, 50), (7, 300), (100, 99), (1000, 2000), (3, 1)] {
            let (epochs, share) = drawn(5000, epoch_ms, ms);
            // The first may take longer than was guessed.
            assert!(share <= 0.1 && epochs.len() > 2, "{epoch_ms} {ms}: {share} {}", epochs.len());
            assert!(share > 0.09 || epochs.len() == 5000, "{epoch_ms} {ms}: {share} {}", epochs.len());
        }
    }
}
