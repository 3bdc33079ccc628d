//! Training: the loop, what it measures, and what a run leaves behind.
//!
//! A [`Trainer`] holds a model on a device and knows where its training stands; [`Trainer::run`] brings it to the
//! configured epoch and keeps a [`RunFolder`] up to date. It prints nothing: an [`Observer`] hears of progress.

pub mod bench;
pub mod checkpoint;
pub mod density;
mod diagnose;
mod drawing;
pub mod evaluate;
mod feed;
pub mod figures;
mod fit;
pub mod generate;
pub mod metrics;
mod observer;
mod queue;
pub mod run;
mod schedule;
mod setup;
pub mod summary;
pub(crate) mod tensor;
mod tensorboard;

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::time::Instant;

use serde::Serialize;

pub use checkpoint::Checkpoint;
pub use figures::image_grid;
pub use metrics::Losses;
pub use observer::{Ended, Observer};
pub use run::{EpochMetrics, RunFolder, newest_run};
pub use setup::ModelInput;

use crate::backend::{Device, ProgramId, Session, Traffic};
use crate::config::TrainConfig;
use crate::data::{Dataset, Fingerprint, Images};
use crate::error::{Error, Result};
use crate::graph::PARAMETERS;
use crate::models::{BETA, Batches, Capability, Model};
use crate::ops::Order;
use crate::optim::Optimiser;
use crate::plan::{Options, compile};
use crate::step::Step;
use checkpoint::{Header, Standing, Training};
use drawing::Drawing;
use feed::Feed;
use figures::Figures;
use metrics::{Mean, Terms};
use queue::Queue;
use schedule::{RATE, batches, evaluation_steps, training_steps};
use tensorboard::EventFile;

/// What a step was, for a trace.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TracedStep {
    /// The step, from 0.
    pub step: u64,
    /// The model's terms ([`Model::terms`]).
    #[serde(flatten)]
    pub losses: BTreeMap<String, f64>,
}

/// A model in training on a device.
pub struct Trainer<'d> {
    config: TrainConfig,
    data: &'d Dataset,
    model: Model,
    device: String,
    session: Box<dyn Session>,
    training: Vec<ProgramId>,
    evaluation: ProgramId,
    /// What training and evaluation record.
    terms: [Terms; 2],
    evaluation_batch: usize,
    feeds: [Feed<'d>; 2],
    figures: Figures,
    options: Options,
    queue: Queue,
    dispatches: usize,
    standing: Option<Standing>,
    trace_steps: u64,
    trace: Vec<TracedStep>,
    optimiser: Optimiser,
    /// Of the data, once a checkpoint has asked for it.
    fingerprint: Option<Fingerprint>,
    /// The step whose losses were not finite.
    failed: Option<u64>,
    /// Whether the observer wanted to stop when it was last asked.
    stopping: bool,
}

/// What an epoch gave.
struct Epoch {
    line: EpochMetrics,
    train: Losses,
    test: Losses,
}

impl<'d> Trainer<'d> {
    /// Puts a model and its data on a device: at its first step, or where a checkpoint left it.
    ///
    /// # Errors
    /// [`Error::Usage`] for values that are not allowed, a checkpoint that other training made, or one from within an epoch
    /// of more steps than the data give; [`Error::Format`] for
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
        let model = Model::new(config.architecture(data.train.features()))?;
        if let Some(checkpoint) = from {
            checkpoint.check_model(std::path::Path::new("the checkpoint"), &model)?;
            let (theirs, ours) = (&checkpoint.header.train, Training::from(config));
            if !theirs.may_become(&ours) {
                return Err(Error::Usage(format!("the checkpoint was trained with {theirs:?}, the run has {ours:?}")));
            }
            let done = checkpoint.header.standing.steps_within();
            let count = batches(data.train.count() as u32, config.batch_size).len();
            if done > count as u64 {
                return Err(Error::Usage(format!(
                    "the run was stopped after {done} steps of an epoch: {} has but {count}; resume with the data it had",
                    data.name
                )));
            }
        }
        let (pixels, augment, noise) = (config.pixels(), config.augment(data.train.size), config.noise);
        let evaluation_batch = config.batch_size.min(data.held_out().count());
        let limit = config.data_limit(device);
        let feeds = [
            Feed::new(&data.train, 0, config.batch_size, Order::Shuffled, limit)?,
            Feed::new(data.held_out(), 1, evaluation_batch, Order::Stored, limit)?,
        ];
        let of = |index: usize| Batches { augment, noise, ..feeds[index].batches(pixels) };
        let optimiser = config.optimiser();
        let graphs = model.training(&of(0), &optimiser)?;
        let plans = graphs.iter().map(|graph| compile(graph, options)).collect::<Result<Vec<_>>>()?;
        let dispatches = plans.iter().map(|plan| plan.dispatches.len()).sum();
        let evaluation = compile(&model.evaluation(&of(1))?, options)?;
        let mut all = [&plans[..], std::slice::from_ref(&evaluation)].concat();
        Figures::load(&mut all, &model, data, options)?;
        if !model.has(Capability::Prior) {
            density::load(&mut all, &model, &data.train, options)?;
        }
        fit::check(device, model.layout(), &all, config.batch_size)?;

        let first = feeds.map(|feed| feed.first());
        let mut session = device.session(model.layout(), &first.each_ref().map(feed::First::data))?;
        drop(first);
        let terms = [&plans[..], std::slice::from_ref(&evaluation)].map(|programs| Terms::new(&model, programs));
        let training = plans.into_iter().map(|plan| session.load(plan)).collect::<Result<Vec<_>>>()?;
        let evaluation = session.load(evaluation)?;
        let figures = Figures::load(&mut *session, &model, data, options)?;
        match from {
            None => session.write_arena(PARAMETERS, &first_parameters(config, &model, &data.train)?)?,
            Some(checkpoint) => checkpoint.write(&mut *session)?,
        }
        Ok(Trainer {
            config: config.clone(),
            data,
            model,
            device: device.name(),
            session,
            training,
            evaluation,
            terms,
            evaluation_batch,
            feeds,
            figures,
            options,
            queue: Queue::default(),
            dispatches,
            standing: from.map(|checkpoint| checkpoint.header.standing.clone()),
            trace_steps: 0,
            trace: Vec::new(),
            optimiser,
            fingerprint: None,
            failed: None,
            stopping: false,
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
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// Dispatches of a training step.
    pub fn dispatches(&self) -> usize {
        self.dispatches
    }

    /// Whether training data are brought to the device batch by batch, because they are too many to stay there.
    pub fn is_streamed(&self) -> bool {
        self.feeds[0].is_streamed()
    }

    /// Where training stands, once a step is done.
    pub fn standing(&self) -> Option<&Standing> {
        self.standing.as_ref()
    }

    /// Epochs done.
    pub fn epoch(&self) -> u64 {
        self.standing.as_ref().map_or(0, |standing| standing.epoch)
    }

    /// Trains up to the configured epoch, or until its patience is over; after each epoch evaluates and brings the folder
    /// up to date: metrics and checkpoints always, figures as often as takes a tenth of the time, and after the last. In the
    /// end a model without a prior gets the density of its codes. Where it is asked to stop, it does after the submissions
    /// under way, and the last checkpoint holds it there.
    ///
    /// # Errors
    /// [`Error::NonFinite`] where a loss is not finite, with the first value that was not: what the folder held after the
    /// last epoch stays. Else what the device or the file system fails with.
    pub fn run(&mut self, folder: &RunFolder, observer: &mut dyn Observer) -> Result<Ended> {
        let (mut ended, mut drawing) = (Ended::Done, Drawing::begin());
        let mut lines = folder.metrics()?;
        lines.retain(|line| line.epoch <= self.epoch());
        let mut events = EventFile::begin(folder, self.epoch())?;
        while self.epoch() < self.config.epochs {
            if let Some(Standing { epoch, best_epoch, .. }) = self.out_of_patience() {
                observer.stopped_early(*epoch, *best_epoch);
                ended = Ended::Early;
                break;
            }
            let epoch = self.one_epoch(observer).map_err(|error| self.explain(folder, error))?;
            let Some(Epoch { line, train, test }) = epoch else {
                folder.save(&self.checkpoint()?, false)?;
                let step = self.standing.as_ref().map_or(0, |standing| standing.step);
                return Ok(Ended::Stopped { step, epoch: self.epoch() + 1 });
            };
            folder.append(&line)?;
            events.losses(&line)?; // before the checkpoint, so that no epoch it counts is missing where a process is killed
            lines.push(line.clone());
            if !self.trace.is_empty() {
                let path = folder.path().join("steps.jsonl");
                crate::files::write_atomic(&path, metrics::json_lines(&path, &self.trace)?.as_bytes())?;
            }
            let checkpoint = self.checkpoint()?;
            folder.save(&checkpoint, checkpoint.header.standing.best_epoch == line.epoch)?;
            let last = self.epoch() >= self.config.epochs || self.out_of_patience().is_some() || self.stopping;
            self.draw(&mut drawing, folder, &mut events, &lines, last)?;
            observer.epoch_finished(&line, train, test);
            // An epoch of two submissions is over before it can be broken off.
            if self.stopping && self.epoch() < self.config.epochs {
                return Ok(Ended::Stopped { step: line.step, epoch: line.epoch + 1 });
            }
        }
        if !self.model.has(Capability::Prior) {
            observer.fitting_density();
            density::fit_all(&mut *self.session, folder, &self.model, &self.config, &self.data.train, self.options)?;
        }
        Ok(ended)
    }

    /// Where a run stands that has waited long enough for a better test loss.
    fn out_of_patience(&self) -> Option<&Standing> {
        let (standing, patience) = (self.standing.as_ref()?, self.config.patience?);
        (standing.epoch >= standing.best_epoch.saturating_add(patience)).then_some(standing)
    }

    /// Trains the next epoch, or what is left of it, and evaluates; nothing where the last one is done, or the observer wanted
    /// to stop within it.
    ///
    /// # Errors
    /// As [`Trainer::run`].
    pub fn run_epoch(&mut self, observer: &mut dyn Observer) -> Result<Option<EpochMetrics>> {
        if self.epoch() >= self.config.epochs {
            return Ok(None);
        }
        Ok(self.one_epoch(observer)?.map(|epoch| epoch.line))
    }

    fn one_epoch(&mut self, observer: &mut dyn Observer) -> Result<Option<Epoch>> {
        let images = self.data.train.count();
        let (epoch, standing) = (self.epoch() + 1, self.standing.clone().unwrap_or_default());
        let (steps, done) = self.epoch_steps();
        let before = standing.step - done as u64;
        observer.epoch_started(epoch, images as u64);
        let (traffic, began) = (self.session.traffic(), Instant::now());
        let mean = self.train(&steps[done..], standing.within.clone().unwrap_or_default(), observer)?;
        if mean.steps() < steps.len() as u64 {
            self.standing = Some(Standing { step: before + mean.steps(), within: Some(mean), ..standing });
            return Ok(None);
        }
        let ran = steps.len() - done;
        let train = mean.losses(self.model.terms());
        let seconds = began.elapsed().as_secs_f64();
        let traffic: Traffic = self.session.traffic() - traffic;
        let test = self.evaluate()?;
        let count = steps.len() as u64;
        let best = self.standing.as_ref().filter(|best| {
            best.best_epoch > 0 && self.model.has(Capability::RankingLoss) && best.best_test_loss <= test.loss()
        });
        self.standing = Some(Standing {
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
            beta: last.scalar(BETA),
            images_per_s: (images as f64 * ran as f64 / count.max(1) as f64) / seconds.max(1e-9),
            seconds,
            device: self.device.clone(),
            dispatches: traffic.dispatches,
            dispatches_per_step: (traffic.dispatches / ran.max(1) as u64) as usize,
            submissions: traffic.submissions,
            bytes_to_device: traffic.bytes_to_device,
            bytes_from_device: traffic.bytes_from_device,
        };
        Ok(Some(Epoch { line, train, test }))
    }

    /// All steps of the epoch that is not done, and how many of them are.
    fn epoch_steps(&self) -> (Vec<Step>, usize) {
        let standing = self.standing.clone().unwrap_or_default();
        let done = standing.steps_within();
        let images = self.data.train.count() as u32;
        (training_steps(&self.config, images, standing.epoch, standing.step - done), done as usize)
    }

    /// Runs the steps, or the first of them where the observer wants to stop: the mean with them added.
    fn train(&mut self, steps: &[Step], mut mean: Mean, observer: &mut dyn Observer) -> Result<Mean> {
        let (epoch, terms) = (self.epoch() + 1, &self.terms[0]);
        let (trace, trace_steps, failed) = (&mut self.trace, self.trace_steps, &mut self.failed);
        let stopping = &mut self.stopping;
        let mut images = steps.first().map_or(0, |step| u64::from(step.first));
        self.queue.run(&mut *self.session, Some(&self.feeds[0]), &self.training, steps, |done, recorded| {
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
            *stopping = observer.wants_to_stop();
            Ok(if *stopping { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        })?;
        Ok(mean)
    }

    /// What epochs are measured on: `val` or `test`, the beginning of the names of its metrics.
    fn held_out(&self) -> &'static str {
        if self.data.validation.is_some() { "val" } else { "test" }
    }

    /// The mean losses over the validation set, or the test set where there is none.
    ///
    /// # Errors
    /// [`Error::NonFinite`] where a loss is not finite, else what the device fails with.
    pub fn evaluate(&mut self) -> Result<Losses> {
        let epoch = self.epoch() + 1;
        let steps = evaluation_steps(&self.config, self.data.held_out().count() as u32, self.evaluation_batch);
        let set = self.held_out();
        let place = |step: &Step| format!("{set} images from {} on, after epoch {epoch}", step.first);
        self.queue.mean(&mut *self.session, &self.feeds[1], self.evaluation, &steps, &self.terms[1], place)
    }

    /// Where training stands now.
    ///
    /// # Errors
    /// [`Error::Usage`] before the first epoch is done, else what the device fails with.
    pub fn checkpoint(&mut self) -> Result<Checkpoint> {
        let Some(standing) = self.standing.clone() else {
            return Err(Error::Usage("there is no checkpoint before the first epoch: train one".to_owned()));
        };
        let fingerprint = match self.fingerprint {
            Some(fingerprint) => fingerprint,
            None => *self.fingerprint.insert(self.data.fingerprint()?),
        };
        let (model, train) = (self.model.config().clone(), Training::from(&self.config));
        Ok(Checkpoint {
            header: Header::new(model, train, standing, self.data.schema.clone(), fingerprint),
            parameters: self.session.read_arena(PARAMETERS)?,
            state: self.optimiser.arenas().iter().map(|name| self.session.read_arena(name)).collect::<Result<_>>()?,
        })
    }
}

/// The parameter arena at the first step.
fn first_parameters(config: &TrainConfig, model: &Model, images: &Images) -> Result<Vec<f32>> {
    let mut arena = model.layout().initial(config.seed);
    if config.bias_from_mean {
        let bias = model.layout().get(model.output_bias());
        let means = setup::means(images, config.binarise)?;
        for (bias, mean) in arena[bias.offset..][..bias.shape.len()].iter_mut().zip(means) {
            *bias = config.output_bias(mean) as f32;
        }
    }
    Ok(arena)
}
