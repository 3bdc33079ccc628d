//! How fast training steps are: three works on one device, on real data, beside what the device's products alone would take.

use std::time::{Duration, Instant};

use serde::Serialize;

use super::queue::Queue;
use super::schedule::training_steps;
use crate::backend::{Data, Device, ProgramId, Session};
use crate::config::TrainConfig;
use crate::data::Dataset;
use crate::error::Result;
use crate::graph::{Graph, ParameterLayout, Shape};
use crate::models::{Batches, Model, Optimiser};
use crate::ops::{Op, Transpose};
use crate::plan::{Arena, Options, Plan, compile};
use crate::step::Step;

/// Work whose speed is measured: a VAE and a batch size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Work {
    /// Its name.
    pub name: &'static str,
    /// Size of the one hidden layer on either side.
    pub hidden: usize,
    /// Dimensions of the latent.
    pub latent: usize,
    /// Images a step.
    pub batch: usize,
}

/// The works that are measured.
pub const WORKS: [Work; 3] = [
    Work { name: "standard-128", hidden: 400, latent: 20, batch: 128 },
    Work { name: "standard-1024", hidden: 400, latent: 20, batch: 1024 },
    Work { name: "wide-1024", hidden: 2048, latent: 64, batch: 1024 },
];

/// What was measured.
#[derive(Clone, Debug, Serialize)]
pub struct Measurement {
    /// The work's name.
    pub work: &'static str,
    /// The device's name, its driver with it.
    pub device: String,
    /// Images trained a second: the median over equal parts of the run.
    pub images_per_s: f64,
    /// Milliseconds a step, likewise.
    pub ms_per_step: f64,
    /// Dispatches a step, as planned.
    pub dispatches_per_step: usize,
    /// The longest chain of them that must run one after another.
    pub levels: usize,
    /// Multiplications and additions of the step's products; nothing else is counted.
    pub flops_per_step: u64,
    /// Seconds that the step's products take alone, over the step's: 1 is a step that costs nothing else.
    pub share_of_limit: f64,
    /// Seconds from opening the session to the end of the first step: buffers, kernels, data, one step.
    pub first_step_s: f64,
    /// Bytes of arenas, activations and data on the device.
    pub device_bytes: u64,
    /// The program's version.
    pub version: &'static str,
}

/// Parts of a run, the median of which is reported.
const PARTS: usize = 9;

/// The configuration of a work.
fn config(work: &Work) -> TrainConfig {
    let Work { hidden, latent, batch: batch_size, .. } = *work;
    TrainConfig { hidden: vec![hidden], latent, batch_size, ..TrainConfig::default() }
}

/// The work's training plan on this data.
///
/// # Errors
/// Where the data has fewer images than a batch.
pub fn plan(work: &Work, data: &Dataset, options: Options) -> Result<(Model, Plan)> {
    let config = config(work);
    config.validate_data(data)?;
    let model = Model::new(config.architecture(data.train.features()))?;
    let (examples, dtype, pixels) = (data.train.count(), data.train.dtype(), config.pixels());
    let batches = Batches { data: 0, examples, dtype, rows: work.batch, pixels, noise: None };
    let graphs = model.training(&batches, Optimiser { adam: config.adam(), clip: None })?;
    Ok((model, compile(&graphs[0], options)?))
}

/// Measures a work for about so many seconds.
///
/// # Errors
/// What the device fails with.
pub fn measure(
    work: &Work,
    data: &Dataset,
    device: &dyn Device,
    options: Options,
    seconds: f64,
) -> Result<Measurement> {
    let began = Instant::now();
    let (model, plan) = plan(work, data, options)?;
    let (dispatches_per_step, levels) = (plan.dispatches.len(), plan.levels());
    let products = products(&plan);
    let elements = 4 * model.layout().len() + plan.local_elements();
    let device_bytes = (4 * elements + data.train.pixels.bytes()) as u64;
    let mut session = device.session(model.layout(), &[data.train.resident()])?;
    let program = session.load(plan)?;
    session.write_arena(Arena::Parameters, &model.layout().initial(0))?;
    let config = config(work);
    // Whole batches only, so that every step is the same work.
    let count = data.train.count() / work.batch * work.batch;
    let steps = training_steps(&config, count as u32, 0, 0);
    session.run(&[program], &steps[..1])?;
    let first_step_s = began.elapsed().as_secs_f64();

    let mut queue = Queue::default();
    let mut at = 0;
    let mut run = |session: &mut dyn Session, seconds: f64| -> Result<f64> {
        let (began, limit) = (Instant::now(), Duration::from_secs_f64(seconds));
        let mut done = 0;
        while done == 0 || began.elapsed() < limit {
            // Enough for several submissions, few enough to stop in time.
            let chunk: Vec<Step> = (0..32).map(|i| steps[(at + i) % steps.len()]).collect();
            queue.run(session, &[program], &chunk, |_, _| Ok(()))?;
            at += chunk.len();
            done += chunk.len();
        }
        Ok(began.elapsed().as_secs_f64() / done as f64)
    };
    let part = seconds / (PARTS + 1) as f64;
    run(&mut *session, part)?; // what is built on first use, and the length of a submission
    let mut times = (0..PARTS).map(|_| run(&mut *session, part)).collect::<Result<Vec<f64>>>()?;
    let step_s = median(&mut times);
    let limit_s = limit(device, &products, part)?;
    Ok(Measurement {
        work: work.name,
        device: device.name(),
        images_per_s: work.batch as f64 / step_s,
        ms_per_step: 1e3 * step_s,
        dispatches_per_step,
        levels,
        flops_per_step: products.iter().map(|[m, n, k]| 2 * (m * n * k) as u64).sum(),
        share_of_limit: limit_s / step_s,
        first_step_s,
        device_bytes,
        version: env!("CARGO_PKG_VERSION"),
    })
}

/// `[m, n, k]` of the plan's products.
fn products(plan: &Plan) -> Vec<[usize; 3]> {
    let size = |op: &Op, inputs: &[Shape]| match op {
        Op::Matmul(matmul) => {
            let (m, n, k) = matmul.extents(inputs[0], inputs[1]);
            Some([m, n, k])
        }
        _ => None,
    };
    let shapes = |inputs: &[crate::plan::Slice]| inputs.iter().map(|slice| slice.shape).collect::<Vec<_>>();
    plan.dispatches.iter().filter_map(|dispatch| size(&dispatch.op, &shapes(&dispatch.inputs))).collect()
}

/// Seconds that these products take, one after another and nothing else, with the device's own product kernels.
fn limit(device: &dyn Device, products: &[[usize; 3]], seconds: f64) -> Result<f64> {
    let layout = ParameterLayout::default();
    let none: [Data<'_>; 0] = [];
    let mut session = device.session(&layout, &none)?;
    let mut g = Graph::new(layout);
    for (at, &[m, n, k]) in products.iter().enumerate() {
        let a = g.input(&format!("a{at}"), Shape::new(m, k));
        let b = g.input(&format!("b{at}"), Shape::new(k, n));
        let c = g.matmul(a, b, Transpose::Neither)?;
        g.output(&format!("c{at}"), c);
    }
    let program: ProgramId = session.load(compile(&g, Options::default())?)?;
    for (at, &[m, n, k]) in products.iter().enumerate() {
        // Ordinary numbers: denormal ones are slow on some devices.
        session.write_input(program, &format!("a{at}"), &vec![0.5; m * k])?;
        session.write_input(program, &format!("b{at}"), &vec![0.25; k * n])?;
    }
    let steps = vec![Step { rows: 1, ..Step::default() }; 4];
    session.run(&[program], &steps[..1])?;
    let mut times = Vec::new();
    let began = Instant::now();
    while times.len() < 3 || began.elapsed().as_secs_f64() < 3.0 * seconds {
        let began = Instant::now();
        session.run(&[program], &steps)?;
        times.push(began.elapsed().as_secs_f64() / steps.len() as f64);
    }
    Ok(median(&mut times))
}

fn median(times: &mut [f64]) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::cpu::Cpu;
    use crate::data::Synthetic;

    #[test]
    fn a_step_has_the_multiplications_of_its_layers() {
        let data = Dataset::synthetic(Synthetic::Uniform, 128, 784, 0);
        let (_, plan) = plan(&WORKS[0], &data, Options::default()).unwrap();
        let flops: usize = products(&plan).iter().map(|[m, n, k]| 2 * m * n * k).sum();
        // Three products a layer of weights, but no input gradient for the first: 3.28 MFLOP an image.
        let weights = 784 * 400 + 400 * 40 + 20 * 400 + 400 * 784;
        assert_eq!(flops, 128 * 2 * (3 * weights - 784 * 400));
    }

    #[test]
    fn a_measurement_is_made_of_real_steps() {
        let data = Dataset::synthetic(Synthetic::Uniform, 64, 16, 0);
        let work = Work { name: "tiny", hidden: 8, latent: 2, batch: 16 };
        let got = measure(&work, &data, &Cpu::<f32>::new(), Options::default(), 0.05).unwrap();
        assert!(got.images_per_s > 0.0 && got.share_of_limit > 0.0, "{got:?}");
        assert_eq!(got.dispatches_per_step, 32);
    }
}
