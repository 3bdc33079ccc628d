//! A model of one's own from graph ops: a linear autoencoder whose decoder is its encoder transposed. Trained on points near
//! a plane in 20 dimensions it finds that plane (Baldi and Hornik 1989), so that what is left of the loss is the noise.

use vae_gpu::backend::{Data, DeviceChoice, TuningCache, Values, select};
use vae_gpu::graph::{Graph, Init, PARAMETERS, ParameterLayout, differentiate};
use vae_gpu::ops::{BatchMean, Constant, Order, Pixels, SquaredError, Transpose};
use vae_gpu::optim::Optimiser;
use vae_gpu::plan::compile;
use vae_gpu::rng::{Draw, Permutation, Stream};
use vae_gpu::step::Step;
use vae_gpu::tensor::{DType, Shape};

const EXAMPLES: usize = 1000;
const FEATURES: usize = 20;
const LATENT: usize = 2;
const ROWS: usize = 100;
const NOISE: f32 = 0.1;
const EPOCHS: u64 = 60;

fn main() -> vae_gpu::Result<()> {
    // What is trained, and what a step computes.
    let mut layout = ParameterLayout::default();
    let weight = layout.declare("encoder.weight", Shape::new(LATENT, FEATURES), Init::linear(FEATURES));
    let mut g = Graph::new(layout.clone());
    let all = g.dataset(0, Shape::new(EXAMPLES, FEATURES), DType::F32);
    let x = g.gather(all, ROWS, Order::Shuffled, Pixels::Grey)?; // [rows, features]
    let w = g.parameter(weight); // [latent, features]
    let code = g.matmul(x, w, Transpose::B)?; // [rows, latent]
    let y = g.matmul(code, w, Transpose::Neither)?; // [rows, features]
    let errors = g.apply(SquaredError.into(), &[y, x])?; // [rows, 1]
    let loss = g.apply(BatchMean.into(), &[errors])?; // [1, 1]
    g.record(&[("loss", loss)])?;
    let one = g.apply(Constant::new(1.0, Shape::SCALAR).into(), &[])?;
    let d_w = differentiate(&mut g, loss, one, &[w])?[0];
    g.store_gradient(weight, d_w)?;
    let optimiser = Optimiser::default(); // Adam
    let update = optimiser.update(&layout, &[weight])?;

    // On a device: data, first weights, the compiled step, of two programs.
    let device = select(&DeviceChoice::Auto, &TuningCache::Nowhere)?.device;
    let points = points();
    let data = Data { shape: Shape::new(EXAMPLES, FEATURES), values: Values::Reals(&points) };
    let mut session = device.session(&layout, &[data])?;
    session.write_arena(PARAMETERS, &layout.initial(1))?;
    println!("{}", device.name());
    let mut programs = Vec::new();
    for graph in [g, update] {
        let plan = compile(&graph, device.options())?;
        println!("{plan}");
        programs.push(session.load(plan)?);
    }

    let mut mean = f64::NAN;
    for epoch in 0..EPOCHS {
        let order = Permutation::new(0, epoch, EXAMPLES as u32).keys();
        let step = |batch: usize| {
            let index = epoch * (EXAMPLES / ROWS) as u64 + batch as u64;
            let scalars = optimiser.scalars(0.01, index + 1);
            Step { index, first: (batch * ROWS) as u32, rows: ROWS as u32, order, scalars, ..Step::default() }
        };
        let steps: Vec<Step> = (0..EXAMPLES / ROWS).map(step).collect();
        let recorded = session.run(&programs, &steps)?; // what each step recorded
        mean = recorded.rows().map(|row| row[0]).sum::<f64>() / steps.len() as f64;
        if epoch % 10 == 9 {
            println!("epoch {}: squared error {mean:.4}", epoch + 1);
        }
    }
    let noise = f64::from(NOISE * NOISE) * (FEATURES - LATENT) as f64;
    println!("the noise across the plane has {noise:.4}");
    assert!((mean / noise - 1.0).abs() < 0.1, "the plane was not found");
    Ok(())
}

/// Points of a plane through the origin, and noise: `[EXAMPLES, FEATURES]`.
fn points() -> Vec<f32> {
    let draw = Draw { seed: 7, stream: Stream::Synthetic, step: 0 };
    let plane = |axis: usize, feature: usize| draw.normal((EXAMPLES + axis) as u32, feature as u32);
    let point = |example: usize| {
        let at = move |axis: usize| draw.normal(example as u32, (FEATURES + axis) as u32);
        (0..FEATURES).map(move |feature| {
            let on_plane: f32 = (0..LATENT).map(|axis| at(axis) * plane(axis, feature)).sum();
            on_plane + NOISE * draw.normal(example as u32, feature as u32)
        })
    };
    (0..EXAMPLES).flat_map(point).collect()
}
