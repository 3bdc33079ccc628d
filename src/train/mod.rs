//! Training: the loop, what it measures, and what a run leaves behind.
//!
//! A [`Trainer`] holds a model on a device and knows where its training stands; [`Trainer::run`] brings it to the
//! configured epoch and keeps a [`RunFolder`] up to date. It prints nothing: an [`Observer`] hears of progress.

pub mod checkpoint;
mod figures;
pub mod generate;
pub mod metrics;
mod queue;
pub mod run;
mod setup;

use std::time::Instant;

use serde::Serialize;

pub use checkpoint::Checkpoint;
pub use metrics::Losses;
pub use run::{EpochMetrics, RunFolder, newest_run};

use crate::backend::{Data, Device, Metrics, ProgramId, Session, Traffic};
use crate::config::TrainConfig;
use crate::data::{Dataset, Images};
use crate::error::{Error, Result};
use crate::graph::Shape;
use crate::models::Vae;
use crate::ops::Adam;
use crate::plan::{Arena, Options, compile};
use crate::rng::Permutation;
use crate::step::Step;
use checkpoint::{Header, Training};
use figures::Figures;
use metrics::Mean;
use queue::Queue;

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
    fn epoch_finished(&mut self, metrics: &EpochMetrics) {
        let _ = metrics;
    }
}

/// Hears nothing.
impl Observer for () {}

/// What a step was, for a trace.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct TracedStep {
    /// The step, from 0.
    pub step: u64,
    /// Reconstruction + beta KL in nats an image.
    pub loss: f64,
    /// Reconstruction in nats an image.
    pub recon: f64,
    /// KL in nats an image.
    pub kl: f64,
}

/// A model in training on a device.
pub struct Trainer<'d> {
    config: TrainConfig,
    data: &'d Dataset,
    vae: Vae,
    device: String,
    session: Box<dyn Session>,
    training: ProgramId,
    evaluation: ProgramId,
    evaluation_batch: usize,
    figures: Figures,
    queue: Queue,
    dispatches: usize,
    levels: usize,
    step: u64,
    epoch: u64,
    best: Option<f64>,
    trace_steps: u64,
    trace: Vec<TracedStep>,
}

impl<'d> Trainer<'d> {
    /// Puts a model and its data on a device: at its first step, or where a checkpoint left it.
    ///
    /// # Errors
    /// [`Error::Usage`] for values that are not allowed or a checkpoint that other training made, [`Error::Format`] for
    /// one of another architecture, [`Error::Device`] where the device can't hold it.
    pub fn new(
        config: &TrainConfig,
        data: &'d Dataset,
        device: &dyn Device,
        options: Options,
        from: Option<&Checkpoint>,
    ) -> Result<Trainer<'d>> {
        config.validate()?;
        config.validate_data(data)?;
        let vae = Vae::new(config.model(data.train.features()))?;
        if let Some(checkpoint) = from {
            checkpoint.check_model(std::path::Path::new("the checkpoint"), &vae)?;
            let (theirs, ours) = (&checkpoint.header.train, Training::from(config));
            if *theirs != ours {
                return Err(Error::Usage(format!("the checkpoint was trained with {theirs:?}, the run has {ours:?}")));
            }
        }
        let adam = Adam::default();
        let pixels = config.pixels();
        let (examples, test) = (data.train.count(), data.test.count());
        let evaluation_batch = config.batch_size.min(test);
        let plan = compile(&vae.training(0, examples, config.batch_size, pixels, adam)?, options)?;
        let (dispatches, levels) = (plan.dispatches.len(), plan.levels());
        let evaluation = compile(&vae.evaluation(1, test, evaluation_batch, pixels)?, options)?;

        let resident = [&data.train, &data.test].map(resident);
        let mut session = device.session(vae.layout(), &resident)?;
        let training = session.load(plan)?;
        let evaluation = session.load(evaluation)?;
        let figures = Figures::load(&mut *session, &vae, test, options)?;
        match from {
            None => session.write_arena(Arena::Parameters, &vae.layout().initial(config.seed))?,
            Some(checkpoint) => {
                session.write_arena(Arena::Parameters, &checkpoint.parameters)?;
                session.write_arena(Arena::FirstMoments, &checkpoint.first)?;
                session.write_arena(Arena::SecondMoments, &checkpoint.second)?;
            }
        }
        Ok(Trainer {
            config: config.clone(),
            data,
            device: device.name(),
            session,
            training,
            evaluation,
            evaluation_batch,
            figures,
            queue: Queue::default(),
            dispatches,
            levels,
            step: from.map_or(0, |checkpoint| checkpoint.header.step),
            epoch: from.map_or(0, |checkpoint| checkpoint.header.epoch),
            best: from.map(|checkpoint| checkpoint.header.best_test_loss),
            trace_steps: 0,
            trace: Vec::new(),
            vae,
        })
    }

    /// Keeps the losses of steps below `steps` ([`Trainer::trace`]); a run writes them to `steps.jsonl`.
    pub fn trace_steps(&mut self, steps: u64) {
        self.trace_steps = steps;
    }

    /// The steps kept.
    pub fn trace(&self) -> &[TracedStep] {
        &self.trace
    }

    /// The model.
    pub fn vae(&self) -> &Vae {
        &self.vae
    }

    /// Dispatches of a training step as planned, and the longest chain of them that must run one after another.
    pub fn plan_size(&self) -> (usize, usize) {
        (self.dispatches, self.levels)
    }

    /// Epochs done.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Trains up to the configured epoch; after each one evaluates and brings the folder up to date.
    ///
    /// # Errors
    /// [`Error::NonFinite`] where a loss is not finite: what the folder held after the last epoch stays. Else what the
    /// device or the file system fails with.
    pub fn run(&mut self, folder: &RunFolder, observer: &mut dyn Observer) -> Result<()> {
        let mut lines = folder.metrics()?;
        lines.retain(|line| line.epoch <= self.epoch);
        while self.epoch < self.config.epochs {
            let before = self.best;
            let line = self.run_epoch(observer)?;
            folder.append(&line)?;
            lines.push(line);
            if !self.trace.is_empty() {
                let path = folder.path().join("steps.jsonl");
                crate::files::write_atomic(&path, metrics::json_lines(&path, &self.trace)?.as_bytes())?;
            }
            folder.save(&self.checkpoint()?, self.best != before)?;
            self.figures.draw(&mut *self.session, folder, &self.config, &self.data.test, &lines)?;
            if let Some(line) = lines.last() {
                observer.epoch_finished(line);
            }
        }
        Ok(())
    }

    /// Trains one epoch and evaluates.
    ///
    /// # Errors
    /// As [`Trainer::run`].
    pub fn run_epoch(&mut self, observer: &mut dyn Observer) -> Result<EpochMetrics> {
        let images = self.data.train.count();
        observer.epoch_started(self.epoch + 1, images as u64);
        let (before, began) = (self.session.traffic(), Instant::now());
        let train = self.train(observer)?;
        let seconds = began.elapsed().as_secs_f64();
        let traffic: Traffic = self.session.traffic() - before;
        let steps = images.div_ceil(self.config.batch_size) as u64;
        let test = self.evaluate()?;
        self.step += steps;
        self.epoch += 1;
        if self.best.is_none_or(|best| test.loss < best) {
            self.best = Some(test.loss);
        }
        Ok(EpochMetrics {
            epoch: self.epoch,
            step: self.step,
            train_loss: train.loss,
            train_recon: train.recon,
            train_kl: train.kl,
            test_loss: test.loss,
            test_recon: test.recon,
            test_kl: test.kl,
            images_per_s: images as f64 / seconds.max(1e-9),
            seconds,
            device: self.device.clone(),
            dispatches: traffic.dispatches,
            dispatches_per_step: (traffic.dispatches / steps) as usize,
            submissions: traffic.submissions,
            bytes_to_device: traffic.bytes_to_device,
            bytes_from_device: traffic.bytes_from_device,
        })
    }

    /// The steps of this epoch, as the kernels see them.
    fn steps(&self) -> Vec<Step> {
        let (n, adam) = (self.data.train.count() as u32, Adam::default());
        let order = Permutation::new(self.config.seed, self.epoch, n).keys();
        let steps = batches(n, self.config.batch_size).enumerate().map(|(at, (first, rows))| {
            let index = self.step + at as u64;
            let (step_size, second_scale) = adam.schedule(self.config.lr, index + 1);
            let (seed, beta) = (self.config.seed, self.config.beta);
            Step { index, first, rows, seed, order, step_size, second_scale, beta, slot: 0 }
        });
        steps.collect()
    }

    fn train(&mut self, observer: &mut dyn Observer) -> Result<Losses> {
        let steps = self.steps();
        let epoch = self.epoch + 1;
        let (trace, trace_steps) = (&mut self.trace, self.trace_steps);
        let (mut mean, mut images) = (Mean::default(), 0);
        self.queue.run(&mut *self.session, self.training, &steps, |done, recorded| {
            let mut recent = Mean::default();
            for (step, metrics) in done.iter().zip(recorded) {
                check_finite(metrics, || format!("step {} (epoch {epoch})", step.index))?;
                mean.add(metrics, step.rows);
                recent.add(metrics, step.rows);
                images += u64::from(step.rows);
                if step.index < trace_steps {
                    let [loss, recon, kl] = *metrics;
                    trace.push(TracedStep { step: step.index, loss, recon, kl });
                }
            }
            observer.progress(images, recent.losses());
            Ok(())
        })?;
        Ok(mean.losses())
    }

    /// The mean losses over the test set, in nats an image.
    ///
    /// # Errors
    /// [`Error::NonFinite`] where a loss is not finite, else what the device fails with.
    pub fn evaluate(&mut self) -> Result<Losses> {
        let (seed, beta, epoch) = (self.config.seed, self.config.beta, self.epoch + 1);
        let batches = batches(self.data.test.count() as u32, self.evaluation_batch).enumerate();
        let steps: Vec<Step> = batches
            .map(|(at, (first, rows))| Step { index: at as u64, first, rows, seed, beta, ..Step::default() })
            .collect();
        let mut mean = Mean::default();
        self.queue.run(&mut *self.session, self.evaluation, &steps, |done, recorded| {
            for (step, metrics) in done.iter().zip(recorded) {
                check_finite(metrics, || format!("test batch {} after epoch {epoch}", step.index))?;
                mean.add(metrics, step.rows);
            }
            Ok(())
        })?;
        Ok(mean.losses())
    }

    /// Where training stands now.
    ///
    /// # Errors
    /// [`Error::Usage`] before the first epoch is done, else what the device fails with.
    pub fn checkpoint(&mut self) -> Result<Checkpoint> {
        let Some(best) = self.best else {
            return Err(Error::Usage("there is no checkpoint before the first epoch: train one".to_owned()));
        };
        let size = (self.data.train.height, self.data.train.width);
        let progress = (self.step, self.epoch);
        let model = self.vae.config().clone();
        Ok(Checkpoint {
            header: Header::new(model, Training::from(&self.config), progress, best, size),
            parameters: self.session.read_arena(Arena::Parameters)?,
            first: self.session.read_arena(Arena::FirstMoments)?,
            second: self.session.read_arena(Arena::SecondMoments)?,
        })
    }
}

/// First position and rows of each batch of `n` examples; the last may be short.
fn batches(n: u32, batch: usize) -> impl Iterator<Item = (u32, u32)> {
    (0..n).step_by(batch).map(move |first| (first, u32::try_from(batch).unwrap_or(n).min(n - first)))
}

fn resident(images: &Images) -> Data<'_> {
    Data { shape: Shape::new(images.count(), images.features()), bytes: &images.pixels }
}

fn check_finite(metrics: &Metrics, place: impl Fn() -> String) -> Result<()> {
    let [loss, recon, kl] = *metrics;
    for (what, value) in [("reconstruction", recon), ("KL", kl), ("loss", loss)] {
        if !value.is_finite() {
            return Err(Error::NonFinite(format!(
                "{}: the {what} is {value}, it must be finite; the last checkpoint is as it was, and a smaller --lr may help",
                place()
            )));
        }
    }
    Ok(())
}
