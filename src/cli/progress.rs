//! What a person sees of training: a bar an epoch on a terminal, plain lines elsewhere, a summary line an epoch.

use std::io::{IsTerminal, stderr, stdout};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use super::{say, thousands};
use crate::train::{EpochMetrics, Losses, Observer};

/// Plain lines are at least this far apart.
const PAUSE: Duration = Duration::from_secs(2);

pub(super) struct Progress {
    epochs: u64,
    epoch: u64,
    images: u64,
    began: Instant,
    terminal: bool,
    bar: Option<ProgressBar>,
    said: Instant,
    tenths: u64,
}

impl Progress {
    pub(super) fn new(epochs: u64) -> Progress {
        let (now, terminal) = (Instant::now(), stdout().is_terminal() && stderr().is_terminal());
        Progress { epochs, epoch: 0, images: 0, began: now, terminal, bar: None, said: now, tenths: 0 }
    }

    fn label(&self) -> String {
        let width = self.epochs.to_string().len();
        format!("epoch {:>width$}/{}", self.epoch, self.epochs)
    }

    fn speed(&self, images: u64) -> String {
        let speed = images as f64 / self.began.elapsed().as_secs_f64().max(1e-6);
        format!("{} images/s", thousands(speed.round()))
    }
}

impl Observer for Progress {
    fn epoch_started(&mut self, epoch: u64, images: u64) {
        (self.epoch, self.images, self.tenths) = (epoch, images, 0);
        (self.began, self.said) = (Instant::now(), Instant::now());
        if self.terminal {
            let style = ProgressStyle::with_template("{prefix} {bar:24} {percent:>3}%  {msg}  {eta} left")
                .unwrap_or_else(|_| ProgressStyle::default_bar());
            self.bar = Some(ProgressBar::new(images).with_style(style).with_prefix(self.label()));
        }
    }

    fn progress(&mut self, images: u64, recent: Losses) {
        let text = || format!("{}  {} nats", self.speed(images), sum(recent));
        if let Some(bar) = &self.bar {
            bar.set_message(text());
            bar.set_position(images);
            return;
        }
        let tenths = 10 * images / self.images.max(1);
        if tenths > self.tenths && tenths < 10 && self.said.elapsed() >= PAUSE {
            say(format_args!("{}  {:>3}%  {}", self.label(), 100 * images / self.images.max(1), text()));
            (self.tenths, self.said) = (tenths, Instant::now());
        }
    }

    fn epoch_finished(&mut self, metrics: &EpochMetrics) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
        let speed = thousands(metrics.images_per_s.round());
        let (train, test) = (sum(metrics.train()), sum(metrics.test()));
        say(format_args!("{}  train {train}  test {test} nats/image  {speed} images/s", self.label()));
    }
}

/// `loss = reconstruction + KL`; with a beta other than 1 the KL shown is what it adds to the loss.
fn sum(losses: Losses) -> String {
    format!("{:.2} = {:.2} + {:.2}", losses.loss, losses.recon, losses.loss - losses.recon)
}
