//! A run's training as data, for a host that is not this program: plans, first parameters, and what stands in its checkpoints. The host
//! brings batches to the device in the order of the steps ([`crate::ops::Order::Streamed`]), so that plans depend on no number of
//! examples.

use super::checkpoint::{Header, TrainingState};
use super::metrics::Terms;
use super::state::first_parameters;
use crate::config::{TrainConfig, Training};
use crate::data::{Dataset, Images};
use crate::error::{Error, Result};
use crate::graph::Graph;
use crate::models::{Batches, Model};
use crate::plan::{Fusion, Options, Plan, compile};

/// Bytes of batches that a host brings at once, at most, where one has less; and batches.
const WINDOW: usize = 1 << 24;
const MOST_BATCHES: usize = 32;

/// A set of examples, as a session holds a part of it.
#[derive(Clone, Copy, Debug)]
pub struct Window {
    /// The session's data set that holds the images; their conditions, if they have some, are the next.
    pub index: usize,
    /// Examples a batch.
    pub batch: usize,
    /// Batches that the session holds.
    pub batches: usize,
}

/// Training from its first step on.
#[derive(Debug)]
pub struct Portable {
    /// What a checkpoint before the first step says.
    pub header: Header,
    /// The model.
    pub model: Model,
    /// The programs of a step, in their order.
    pub training: Vec<Plan>,
    /// The program of a step of evaluation.
    pub evaluation: Plan,
    /// Where steps of both record the model's terms ([`Model::terms`]): columns of their programs' records, side by side.
    pub columns: [Vec<usize>; 2],
    /// The training set, and what epochs are measured on.
    pub windows: [Window; 2],
    /// The parameter arena at the first step.
    pub parameters: Vec<f32>,
    /// The arenas that the optimiser keeps.
    pub arenas: &'static [&'static str],
}

impl Portable {
    /// The training of a configuration on these data, which are in memory.
    ///
    /// # Errors
    /// [`Error::Usage`] for values that are not allowed, batches in shards, data that are not in memory or have not a whole batch.
    pub fn new(config: &TrainConfig, data: &Dataset) -> Result<Portable> {
        config.validate()?;
        config.validate_data(data)?;
        if config.shards > 1 {
            let shards = config.shards;
            return Err(Error::Usage(format!(
                "--shards is {shards}: it must be 1 for one device that takes whole batches"
            )));
        }
        let model = Model::new(config.architecture_for(&data.schema)?)?;
        let training = window(0, &data.train, config.batch_size);
        let conditions = usize::from(data.train.condition.is_some());
        let held_out = data.held_out();
        let evaluation = window(training.index + 1 + conditions, held_out, config.batch_size.min(held_out.count()));
        let of = |window: Window, images: &Images| Batches {
            condition: images.condition.as_ref().map(|_| window.index + 1),
            streamed: true,
            pixels: config.pixels(),
            ..Batches::new(window.index, window.batch * window.batches, images.dtype(), window.batch)
        };
        let augment = config.augment(data.train.size);
        let batches = Batches { augment, noise: config.noise, ..of(training, &data.train) };
        let optimiser = config.optimiser();
        let compiled = |graph: &Graph| compile(graph, Options::new(Fusion::All));
        let plans = model.training(&batches, &optimiser)?.iter().map(compiled).collect::<Result<Vec<_>>>()?;
        let measured = compiled(&model.evaluation(&of(evaluation, held_out))?)?;
        let columns = [&plans[..], std::slice::from_ref(&measured)]
            .map(|programs| Terms::new(&model, programs).columns().to_vec());
        let state = TrainingState::default();
        let (schema, fingerprint) = (data.schema.clone(), data.fingerprint()?);
        let parameters = first_parameters(config, &model, &data.train)?;
        Ok(Portable {
            header: Header::new(model.config().clone(), Training::of(config)?, state, schema, fingerprint),
            model,
            training: plans,
            evaluation: measured,
            columns,
            windows: [training, evaluation],
            parameters,
            arenas: optimiser.arenas(),
        })
    }
}

fn window(index: usize, images: &Images, batch: usize) -> Window {
    let bytes = batch * images.pixels.bytes() / images.count().max(1);
    Window { index, batch, batches: (WINDOW / bytes.max(1)).clamp(1, MOST_BATCHES) }
}
