//! What a person sees of training: a bar an epoch on a terminal, plain lines elsewhere, a summary line an epoch.

use std::io::{IsTerminal, stderr, stdout};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use super::interrupt::Interrupt;
use super::{say, thousands};
use crate::train::doctor::Finding;
use crate::train::{EpochMetrics, Losses, Observer};

/// Plain lines are at least this far apart.
const PAUSE: Duration = Duration::from_secs(2);

/// A bar on a terminal; nothing elsewhere.
pub(super) fn bar(len: u64, what: &'static str) -> ProgressBar {
    let bar =
        if stdout().is_terminal() && stderr().is_terminal() { ProgressBar::new(len) } else { ProgressBar::hidden() };
    let style = ProgressStyle::with_template("{prefix} {bar:24} {percent:>3}%  {eta} left");
    bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar())).with_prefix(what)
}

pub(super) struct Progress {
    epochs: u64,
    epoch: u64,
    images: u64,
    began: Instant,
    terminal: bool,
    bar: Option<ProgressBar>,
    said: Instant,
    tenths: u64,
    interrupt: Interrupt,
}

/// Shows nothing; stops when asked.
pub(super) struct Quiet(pub(super) Interrupt);

impl Observer for Quiet {
    fn wants_to_stop(&mut self) -> bool {
        self.0.signal().is_some()
    }
}

impl Progress {
    pub(super) fn new(epochs: u64, interrupt: Interrupt) -> Progress {
        let (now, terminal) = (Instant::now(), stdout().is_terminal() && stderr().is_terminal());
        Progress { epochs, epoch: 0, images: 0, began: now, terminal, bar: None, said: now, tenths: 0, interrupt }
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
    fn wants_to_stop(&mut self) -> bool {
        self.interrupt.signal().is_some()
    }

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
        let text = || format!("{}  {}", self.speed(images), shown(recent));
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

    fn epoch_finished(&mut self, metrics: &EpochMetrics, train: Losses, test: Losses) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
        let speed = thousands(metrics.images_per_s.round());
        let (train, test) = (shown(train), shown(test));
        let set = if metrics.held_out() == "val" { "validation" } else { "test" };
        say(format_args!("{}  train {train}  {set} {test}  {speed} images/s", self.label()));
    }

    fn stopped_early(&mut self, epoch: u64, best: u64) {
        say(format_args!("stopped after epoch {epoch}: the test loss was lowest after epoch {best}"));
    }

    fn found(&mut self, finding: &Finding) {
        say(format_args!("doctor: {finding}"));
    }

    fn fitting_density(&mut self) {
        say(format_args!("fitting a Gaussian and a mixture to the training codes, which samples are drawn from"));
    }
}

/// `loss = reconstruction + the rest`; where the losses are no such sum, each by its name.
fn shown(losses: Losses) -> String {
    if let ([_, "recon", ..], [loss, recon, ..]) = (losses.terms, &losses.values[..]) {
        return format!("{loss:.2} = {recon:.2} + {:.2}", loss - recon);
    }
    losses.pairs().map(|(term, value)| format!("{term} {value:.2}")).collect::<Vec<_>>().join(", ")
}
