//! Training: the loop, what it measures, and what a run leaves behind.
//!
//! A [`Trainer`] holds a model on a device and knows where its training stands; [`Trainer::run`] brings it to the
//! configured epoch and keeps a [`RunFolder`] up to date. It prints nothing: an [`Observer`] hears of progress.

pub mod aggregate;
pub mod bench;
pub mod checkpoint;
pub mod condition;
mod data_loader;
pub mod density;
mod diagnose;
pub mod doctor;
mod drawing;
mod epoch;
pub mod evaluate;
pub mod figures;
mod fit;
pub mod fitted;
pub mod flow;
pub mod generate;
pub mod generations;
mod importance;
pub mod maps;
pub mod metrics;
mod observer;
pub mod portable;
pub mod prior;
mod queue;
pub mod ranking;
pub mod run;
mod schedule;
pub mod score;
pub mod second_stage;
mod setup;
mod shards;
mod state;
pub mod summary;
pub(crate) mod tensor;
mod tensorboard;

use std::collections::BTreeMap;
use std::rc::Rc;

use serde::Serialize;

pub use checkpoint::Checkpoint;
pub use figures::image_grid;
pub use metrics::Losses;
pub use observer::{Ended, Observer};
pub use run::{EpochMetrics, RunFolder, newest_run};
pub use setup::ModelInput;

use crate::backend::{Data, Device, ProgramId, Session};
use crate::config::{TrainConfig, Training};
use crate::data::{Dataset, Fingerprint};
use crate::error::{Error, Result};
use crate::graph::PARAMETERS;
use crate::models::{Batches, Capability, Loss, Model, Prior};
use crate::ops::Order;
use crate::optim::Optimiser;
use crate::plan::{Options, compile};
use crate::ranks::{Alone, Ranks};
use checkpoint::TrainingState;
use data_loader::DataLoader;
use doctor::Finding;
use drawing::Drawing;
use epoch::Epoch;
use figures::Figures;
use generate::Encoder;
use metrics::Terms;
use queue::Queue;
use schedule::batches;
use shards::{Sharded, Shards};
use state::first_parameters;
use tensorboard::EventFile;

/// Held-out images whose codes are looked at in the end.
const LOOKED_AT: usize = 1000;

/// A step's losses, as traced.
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
    /// The same step in shards, where it is cut into some.
    shards: Option<Shards>,
    ranks: Rc<dyn Ranks>,
    evaluation: ProgramId,
    /// What training and evaluation record.
    terms: [Terms; 2],
    evaluation_batch: usize,
    loaders: [DataLoader<'d>; 2],
    figures: Figures,
    options: Options,
    queue: Queue,
    state: Option<TrainingState>,
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
        Trainer::among(Rc::new(Alone), config, data, device, options, from)
    }

    /// The same as one of these ranks, all of which have the same configuration, data and checkpoint, and do the same with the trainer:
    /// each run, follow, or ask for a checkpoint together.
    ///
    /// # Errors
    /// As [`Trainer::new`], and [`Error::Usage`] where they can't divide the shards of a batch among them.
    pub fn among(
        ranks: Rc<dyn Ranks>,
        config: &TrainConfig,
        data: &'d Dataset,
        device: &dyn Device,
        options: Options,
        from: Option<&Checkpoint>,
    ) -> Result<Trainer<'d>> {
        config.validate()?;
        config.validate_data(data)?;
        let model = Model::new(config.architecture_for(&data.schema)?)?;
        if let Some(checkpoint) = from {
            checkpoint.check_model(std::path::Path::new("the checkpoint"), &model)?;
            let (theirs, ours) = (&checkpoint.header.train, Training::of(config)?);
            if !theirs.may_become(&ours) {
                return Err(Error::Usage(format!("the checkpoint was trained with {theirs:?}, the run has {ours:?}")));
            }
            let done = checkpoint.header.state.steps_within();
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
        let of_training = DataLoader::new(&data.train, 0, config.batch_size / config.shards, Order::Shuffled, limit)?;
        let held_out = data.held_out();
        let loaders =
            [of_training, DataLoader::new(held_out, of_training.next_index(), evaluation_batch, Order::Stored, limit)?];
        let of = |index: usize| Batches { augment, noise, ..loaders[index].batches(pixels) };
        let optimiser = config.optimiser();
        let (graphs, mut sharded) = match config.shards {
            1 => (model.training(&of(0), &optimiser)?, None),
            _ => {
                let mut sharded = Sharded::new(config, &model, &of(0), optimiser, &*ranks)?;
                (std::mem::take(&mut sharded.graphs), Some(sharded))
            }
        };
        // Training, evaluation, figures; and to be checked alone, what densities of codes are fitted with in the end.
        let mut plans = graphs.iter().map(|graph| compile(graph, options)).collect::<Result<Vec<_>>>()?;
        sharded.iter_mut().for_each(|sharded| sharded.look(&plans));
        plans.push(compile(&model.evaluation(&of(1))?, options)?);
        let terms = [&plans[..graphs.len()], &plans[graphs.len()..]].map(|programs| Terms::new(&model, programs));
        let figures = Figures::load(&mut plans, &model, data, options)?;
        let loaded = plans.len();
        if !model.has(Capability::Prior) {
            density::load(&mut plans, &model, &data.train, options)?;
        }
        fit::check(device, model.layout(), &plans, config.batch_size)?;
        plans.truncate(loaded);

        let first: Vec<_> = loaders.iter().flat_map(DataLoader::first).collect();
        let sets: Vec<Data<'_>> = first.iter().map(data_loader::First::data).collect();
        let mut session = device.session(model.layout(), &sets)?;
        drop(sets);
        drop(first);
        let mut training = plans.into_iter().map(|plan| session.load(plan)).collect::<Result<Vec<_>>>()?;
        let evaluation = training[graphs.len()];
        training.truncate(graphs.len());
        let load = |sharded: Sharded| sharded.load(&mut *session, &training, device, &*ranks, options);
        let shards = sharded.map(load).transpose()?;
        let parameters = match from {
            None => first_parameters(config, &model, &data.train)?,
            Some(checkpoint) => checkpoint.parameters.clone(),
        };
        let mut trainer = Trainer {
            config: config.clone(),
            data,
            model,
            device: device.name(),
            session,
            training,
            shards,
            ranks,
            evaluation,
            terms,
            evaluation_batch,
            loaders,
            figures,
            options,
            queue: Queue::default(),
            state: from.map(|checkpoint| checkpoint.header.state.clone()),
            trace_steps: 0,
            trace: Vec::new(),
            optimiser,
            fingerprint: None,
            failed: None,
            stopping: false,
        };
        trainer.begin(&parameters, from.map_or(&[], |checkpoint| &checkpoint.optimiser))?;
        Ok(trainer)
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

    /// Dispatches of a training step; on the CPU its ops.
    pub fn dispatches(&self) -> usize {
        match &self.shards {
            Some(shards) => shards.dispatches(&*self.session),
            None => self.training.iter().map(|&program| self.session.dispatches(program)).sum(),
        }
    }

    /// Whether training data are brought to the device batch by batch, because they are too many to stay there.
    pub fn is_streamed(&self) -> bool {
        self.loaders[0].is_streamed()
    }

    /// Where training stands, once a step is done.
    pub fn state(&self) -> Option<&TrainingState> {
        self.state.as_ref()
    }

    /// Epochs done.
    pub fn epoch(&self) -> u64 {
        self.state.as_ref().map_or(0, |state| state.epoch)
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
        let (mut ended, mut drawing, mut told) = (Ended::Done, Drawing::begin(), Vec::new());
        let mut lines = folder.metrics()?;
        lines.retain(|line| line.epoch <= self.epoch());
        let mut events = EventFile::begin(folder, self.epoch())?;
        while self.epoch() < self.config.epochs {
            if let Some(TrainingState { epoch, best_epoch, .. }) = self.out_of_patience() {
                observer.stopped_early(*epoch, *best_epoch);
                ended = Ended::Early;
                break;
            }
            let epoch = self.one_epoch(observer).map_err(|error| self.explain(folder, error))?;
            let Some(Epoch { line, train, test }) = epoch else {
                folder.save(&self.checkpoint()?, false)?;
                let step = self.state.as_ref().map_or(0, |state| state.step);
                return Ok(Ended::Stopped { step, epoch: self.epoch() + 1 });
            };
            folder.append(&line)?;
            events.losses(&line)?; // before the checkpoint, so that no epoch it counts is missing where a process is killed
            lines.push(line.clone());
            for finding in doctor::of_losses(&self.config, &lines) {
                if !told.contains(&finding.name) {
                    told.push(finding.name);
                    observer.found(&finding);
                }
            }
            if !self.trace.is_empty() {
                let path = folder.path().join("steps.jsonl");
                crate::files::write_atomic(&path, metrics::json_lines(&path, &self.trace)?.as_bytes())?;
            }
            let checkpoint = self.checkpoint()?;
            folder.save(&checkpoint, checkpoint.header.state.best_epoch == line.epoch)?;
            let last = self.epoch() >= self.config.epochs || self.out_of_patience().is_some() || self.stopping;
            self.draw(&mut drawing, folder, &mut events, &lines, last)?;
            observer.epoch_finished(&line, train, test);
            // An epoch of two submissions is over before it can be broken off.
            if self.stopping && self.epoch() < self.config.epochs {
                return Ok(Ended::Stopped { step: line.step, epoch: line.epoch + 1 });
            }
        }
        let variance = match self.config.loss {
            Loss::Gaussian => doctor::of_variance(&self.model, &self.session.read_arena(PARAMETERS)?),
            _ => None,
        };
        self.collapse()?.iter().chain(&variance).for_each(|finding| observer.found(finding));
        if !self.model.has(Capability::Prior) {
            observer.fitting_density();
            density::fit_all(&mut *self.session, folder, &self.model, &self.config, &self.data.train, self.options)?;
        }
        Ok(ended)
    }

    /// Trains beside the first of the ranks, which runs: as far as it, and writing nothing.
    ///
    /// # Errors
    /// As [`Trainer::run`].
    pub fn follow(&mut self, observer: &mut dyn Observer) -> Result<Ended> {
        while self.epoch() < self.config.epochs && self.out_of_patience().is_none() {
            let is_whole = self.one_epoch(observer)?.is_some();
            self.optimiser_state()?; // the first rank saves it
            if !is_whole || self.stopping && self.epoch() < self.config.epochs {
                let step = self.state.as_ref().map_or(0, |state| state.step);
                return Ok(Ended::Stopped { step, epoch: self.epoch() + 1 });
            }
        }
        Ok(Ended::Done)
    }

    /// Whether the codes of some held-out images hold anything.
    fn collapse(&mut self) -> Result<Option<Finding>> {
        if !self.model.has(Capability::Posterior) || self.model.config().prior != Prior::Normal {
            return Ok(None);
        }
        let images = self.data.held_out();
        let shown = images.shown(0..images.count().min(LOOKED_AT), self.config.binarise)?;
        let encoder = Encoder::load(&mut *self.session, &self.model, LOOKED_AT.min(images.count()), self.options)?;
        let codes =
            encoder.apply(&mut *self.session, &shown, &images.conditions(0..shown.len() / images.features()))?;
        Ok(doctor::of_codes(&doctor::kl_by_dimension(&codes, self.config.latent)))
    }

    /// Where a run stands that has waited long enough for a better test loss.
    fn out_of_patience(&self) -> Option<&TrainingState> {
        let (state, patience) = (self.state.as_ref()?, self.config.patience?);
        (state.epoch >= state.best_epoch.saturating_add(patience)).then_some(state)
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
}
