//! Ten steps of a small model on a device, beside the same in f64.

use super::{Tolerance, a_step};
use crate::backend::cpu::Cpu;
use crate::backend::{Data, Device, ProgramId, Values};
use crate::error::Result;
use crate::graph::PARAMETERS;
use crate::models::{BETA, Batches, CASE_FEATURES, Condition, Model, ModelConfig};
use crate::optim::{AdamW, Optimiser};
use crate::plan::{Options, compile};
use crate::step::Step;
use crate::tensor::{DType, Shape};

/// Examples of [`images`].
pub const EXAMPLES: usize = 9;
/// Rows of a batch of [`batches`].
pub const ROWS: usize = 4;
const STEPS: u64 = 10;

/// The images that the models of [`ModelConfig::cases`] are trained on.
pub fn images() -> Vec<f32> {
    (0..CASE_FEATURES * EXAMPLES).map(|i| (i * 37 % 101) as f32 / 101.0).collect()
}

/// The data sets of a model of [`ModelConfig::cases`]: images, and the conditions of each where it has one.
#[derive(Clone, Debug)]
pub struct CaseData {
    images: Vec<f32>,
    condition: Option<Condition>,
    classes: Vec<u8>,
    numbers: Vec<f32>,
}

impl CaseData {
    /// Of a model.
    pub fn of(config: &ModelConfig) -> CaseData {
        let width = config.condition_width();
        let classes = (0..EXAMPLES * width).map(|i| if i % width == i / width * 2 % width { 255 } else { 0 }).collect();
        let numbers = (0..EXAMPLES).map(|i| (i * 5 % EXAMPLES) as f32 / 4.0 - 1.0).collect();
        CaseData { images: images(), condition: config.condition, classes, numbers }
    }

    /// As a session takes them.
    pub fn sets(&self) -> Vec<Data<'_>> {
        let images = Data { shape: Shape::new(EXAMPLES, CASE_FEATURES), values: Values::Reals(&self.images) };
        let conditions = self.condition.map(|condition| Data {
            shape: Shape::new(EXAMPLES, condition.width()),
            values: match condition {
                Condition::Class(_) => Values::Bytes(&self.classes),
                Condition::Number => Values::Reals(&self.numbers),
            },
        });
        std::iter::once(images).chain(conditions).collect()
    }
}

/// Their batches.
pub fn batches() -> Batches {
    Batches { condition: Some(1), ..Batches::new(0, EXAMPLES, DType::F32, ROWS) }
}

/// What steps of training leave.
#[derive(Clone, Debug, PartialEq)]
pub struct Trained {
    /// What each step records, one after another.
    pub losses: Vec<f64>,
    /// The parameters after them.
    pub parameters: Vec<f64>,
}

/// Trains a model of [`ModelConfig::cases`] for ten steps, so many a submission.
///
/// # Errors
/// What the device fails with.
pub fn ten_steps(
    device: &dyn Device,
    config: &ModelConfig,
    clip: Option<f64>,
    options: Options,
    submission: usize,
) -> Result<Trained> {
    let model = Model::new(config.clone())?;
    let data = CaseData::of(config);
    let mut session = device.session(model.layout(), &data.sets())?;
    session.write_arena(PARAMETERS, &model.layout().initial(5))?;
    let optimiser = Optimiser { rule: AdamW { weight_decay: 0.1, ..AdamW::default() }, clip };
    let graphs = model.training(&batches(), &optimiser)?;
    let load = |graph| session.load(compile(graph, options)?);
    let programs: Vec<ProgramId> = graphs.iter().map(load).collect::<Result<_>>()?;
    let steps = (0..STEPS).map(|index| {
        let scalars = optimiser.scalars(1e-2, index + 1).with(BETA, 0.625);
        Step { index, scalars, ..a_step(if index % 3 == 2 { 1 } else { ROWS }) }
    });
    let mut losses = Vec::new();
    for steps in steps.collect::<Vec<_>>().chunks(submission) {
        losses.extend_from_slice(session.run(&programs, steps)?.values());
    }
    session.check_guards()?;
    let parameters = session.read_arena(PARAMETERS)?.into_iter().map(f64::from).collect();
    Ok(Trained { losses, parameters })
}

/// How much of its tolerance a device uses on ten steps that are planned so, against the CPU's in f64, which rounds to half precision
/// what the plan stores so.
///
/// # Errors
/// What is wrong.
pub fn ten_steps_agree(
    device: &dyn Device,
    config: &ModelConfig,
    clip: Option<f64>,
    options: Options,
) -> Result<f64, String> {
    let on = |device: &dyn Device, options| {
        ten_steps(device, config, clip, options, STEPS as usize).map_err(|error| error.to_string())
    };
    let wanted = on(&Cpu::<f64>::new(), Options { half: options.half, ..Options::default() })?;
    let got = on(device, options)?;
    // Losses of size 1 to 10 from f32; a step moves a parameter by at most about the rate, 1e-2. In half precision, some of the few
    // activations of so small a model lie where f32 and f64 are rounded apart, by 2^-10 of themselves.
    let of_losses = if options.half { 2e-4 } else { 2e-5 };
    let losses = Tolerance { relative: of_losses, absolute: of_losses }.compare(&got.losses, &wanted.losses);
    let parameters = Tolerance { relative: 0.0, absolute: 5e-4 }.compare(&got.parameters, &wanted.parameters);
    let losses = losses.map_err(|why| format!("losses: {why}"))?;
    Ok(losses.max(parameters.map_err(|why| format!("parameters: {why}"))?))
}

/// Whether ten steps leave the same bytes again, and one a submission.
///
/// # Errors
/// What differs.
pub(super) fn determinism(device: &dyn Device, config: &ModelConfig) -> Result<(), String> {
    let run = |submission| {
        let options = device.options();
        ten_steps(device, config, None, options, submission).map_err(|error| error.to_string())
    };
    let first = run(STEPS as usize)?;
    for (submission, what) in [(STEPS as usize, "the same steps again"), (1, "the same steps, one a submission")] {
        if run(submission)? != first {
            return Err(format!("{what} leave other losses or parameters"));
        }
    }
    Ok(())
}
