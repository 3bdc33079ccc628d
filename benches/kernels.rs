//! Times every op's largest case and the default training step, on the CPU path and on the first adapter.
//!
//! `cargo bench` runs all, `cargo bench -- gpu/matmul` some. A GPU's time is the whole submission's, its readback among it:
//! 16 steps each, divided by criterion's throughput.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use vae_gpu::backend::cpu::Cpu;
use vae_gpu::backend::gpu::{Gpu, GpuOptions, adapters};
use vae_gpu::backend::{Data, Device, Values};
use vae_gpu::graph::{DType, Shape};
use vae_gpu::models::{Batches, Model, ModelConfig, Optimiser};
use vae_gpu::ops::{Adam, Case, Fill, Op, Pixels};
use vae_gpu::plan::{Arena, Fusion, Options, compile};
use vae_gpu::step::Step;

const STEPS: usize = 16;

fn devices() -> Vec<(&'static str, Box<dyn Device>)> {
    let mut devices: Vec<(&'static str, Box<dyn Device>)> = vec![("cpu", Box::new(Cpu::<f32>::new()))];
    let adapters = adapters();
    if let Some(adapter) = adapters.iter().find(|adapter| adapter.hardware).or(adapters.first()) {
        println!("gpu is {} ({})", adapter.name, adapter.kind);
        let gpu = Gpu::open(adapter.index, GpuOptions::default()).expect("a listed adapter opens");
        devices.push(("gpu", Box::new(gpu)));
    }
    devices
}

fn steps(rows: usize) -> Vec<Step> {
    let step = Step { rows: rows as u32, step_size: 1e-3, second_scale: 1.0, beta: 1.0, ..Step::default() };
    vec![step; STEPS]
}

/// The largest case of each op and attribute.
fn cases() -> Vec<Case> {
    let mut largest: Vec<Case> = Vec::new();
    let size = |case: &Case| case.inputs.iter().map(|(shape, _)| shape.len()).sum::<usize>();
    for case in Op::cases() {
        match largest.iter_mut().find(|known| known.op == case.op) {
            Some(known) if size(known) >= size(&case) => {}
            Some(known) => *known = case,
            None => largest.push(case),
        }
    }
    largest
}

fn kernels(criterion: &mut Criterion) {
    for (name, device) in devices() {
        let mut group = criterion.benchmark_group(name);
        group.sample_size(10).throughput(Throughput::Elements(STEPS as u64));
        for case in cases() {
            let (graph, _, _) = case.graph().expect("a case is a graph");
            let len = case.inputs.first().map_or(0, |(shape, _)| shape.len());
            let bytes: Vec<u8> = (0..len).map(|i| (i * 31 % 251) as u8).collect();
            let reals: Vec<f32> = bytes.iter().map(|&byte| f32::from(byte) / 255.0).collect();
            let data: Vec<Data<'_>> = match case.inputs.first() {
                Some(&(shape, Fill::Bytes)) => vec![Data { shape, values: Values::Bytes(&bytes) }],
                Some(&(shape, Fill::Reals)) => vec![Data { shape, values: Values::Reals(&reals) }],
                _ => Vec::new(),
            };
            let mut session = device.session(graph.layout(), &data).expect("a session opens");
            let program = session.load(compile(&graph, Options::default()).expect("it compiles")).expect("it loads");
            for (i, (shape, fill)) in case.inputs.iter().enumerate() {
                if !fill.is_dataset() {
                    let values: Vec<f32> = (0..shape.len()).map(|e| (e as f32 * 0.7).sin().abs()).collect();
                    session.write_input(program, &format!("in{i}"), &values).expect("an input is written");
                }
            }
            let steps = steps(1);
            group.bench_function(case.to_string(), |bencher| {
                bencher.iter(|| session.run(&[program], &steps).expect("it runs"));
            });
        }
        group.finish();
    }
}

/// 784-400-20-400-784 at batch 128, on 1024 images; throughput in images.
fn train_step(criterion: &mut Criterion) {
    let (examples, batch) = (1024, 128);
    let model = Model::new(ModelConfig::vae(784)).expect("the default architecture");
    let (pixels, dtype) = (Pixels::Grey, DType::U8);
    let batches =
        Batches { data: 0, examples, dtype, rows: batch, pixels, noise: None, augment: None, streamed: false };
    let optimiser = Optimiser { adam: Adam::default(), clip: None };
    let graph = model.training(&batches, optimiser).expect("a training graph").remove(0);
    let bytes: Vec<u8> = (0..examples * 784).map(|i| (i * 31 % 251) as u8).collect();
    for (name, device) in devices() {
        let data = Data { shape: Shape::new(examples, 784), values: Values::Bytes(&bytes) };
        for (name_of, fuse) in [("fused", device.fusion()), ("unfused", Fusion::None)] {
            let mut session = device.session(model.layout(), &[data]).expect("a session opens");
            session.write_arena(Arena::Parameters, &model.layout().initial(0)).expect("parameters are written");
            let program = session.load(compile(&graph, Options { fuse }).expect("it compiles")).expect("it loads");
            let steps = steps(batch);
            let mut group = criterion.benchmark_group(format!("{name}/train_step"));
            group.sample_size(10).throughput(Throughput::Elements((STEPS * batch) as u64));
            group.bench_function(name_of, |bencher| {
                bencher.iter(|| session.run(&[program], &steps).expect("it runs"));
            });
            group.finish();
        }
    }
}

criterion_group!(benches, train_step, kernels);
criterion_main!(benches);
