//! Times every op's largest case and the default training step, on the CPU path and on the first adapter; and the CPU path's
//! products beside the `gemm` crate's.
//!
//! `cargo bench` runs all, `cargo bench -- gpu/matmul` some. A GPU's time is the whole submission's, its readback among it:
//! 16 steps each, divided by criterion's throughput.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use vae_gpu::backend::cpu::Cpu;
use vae_gpu::backend::gpu::{Gpu, GpuOptions, adapters};
use vae_gpu::backend::{Data, Device, Values};
use vae_gpu::graph::{Graph, PARAMETERS, ParameterLayout};
use vae_gpu::models::{Batches, Model, ModelConfig};
use vae_gpu::ops::Gemm;
use vae_gpu::ops::{Fill, Op, Transpose};
use vae_gpu::optim::Optimiser;
use vae_gpu::plan::{Fusion, Options, compile};
use vae_gpu::step::Step;
use vae_gpu::tensor::{DType, Shape};

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
    let step =
        Step { rows: rows as u32, scalars: Optimiser::default().scalars(1e-3, 1).with("beta", 1.0), ..Step::default() };
    vec![step; STEPS]
}

fn kernels(criterion: &mut Criterion) {
    for (name, device) in devices() {
        let mut group = criterion.benchmark_group(name);
        group.sample_size(10).throughput(Throughput::Elements(STEPS as u64));
        for case in Op::largest_cases() {
            let (graph, _, _) = Graph::of_case(&case).expect("a case is a graph");
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

/// The products of the default model's wide layers at batch 128 and 1024, of dense factors: ours, and the `gemm` crate's.
fn product(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("product");
    let (wide, hidden) = (784, 400);
    for batch in [128, 1024] {
        for (size, transpose) in [
            ([batch, hidden, wide], Transpose::B),
            ([batch, wide, hidden], Transpose::B),
            ([batch, hidden, wide], Transpose::Neither),
            ([wide, hidden, batch], Transpose::A),
            ([hidden, wide, batch], Transpose::A),
        ] {
            let product = Gemm { size, transpose };
            let ([m, n, k], [left, right]) = (size, product.operands());
            let mut g = Graph::new(ParameterLayout::default());
            let (a, b) = (g.input("a", left), g.input("b", right));
            let c = g.matmul(a, b, transpose).expect("shapes fit");
            g.output("c", c);
            let mut session = Cpu::<f32>::new().session(g.layout(), &[]).expect("a session opens");
            let program = session.load(compile(&g, Options::default()).expect("it compiles")).expect("it loads");
            let values = |len: usize| -> Vec<f32> { (0..len).map(|i| (i as f32 * 0.7).sin() + 1.1).collect() };
            let (a, b) = (values(left.len()), values(right.len()));
            session.write_input(program, "a", &a).expect("an input is written");
            session.write_input(program, "b", &b).expect("an input is written");
            let (steps, name) = (steps(1), format!("{m}x{n}x{k}-{transpose:?}"));
            group.throughput(Throughput::Elements(STEPS as u64 * product.flops()));
            group.bench_function(format!("{name}/ours"), |bencher| {
                bencher.iter(|| session.run(&[program], &steps).expect("it runs"));
            });
            let mut c = vec![0.0_f32; m * n];
            group.bench_function(format!("{name}/gemm"), |bencher| {
                bencher.iter(|| (0..STEPS).for_each(|_| gemm(size, transpose, &mut c, &a, &b)));
            });
        }
    }
    group.finish();
}

/// `c [m, n] = a b` by the `gemm` crate, on all threads.
#[allow(unsafe_code, reason = "the crate's only function is unsafe")]
fn gemm([m, n, k]: [usize; 3], transpose: Transpose, c: &mut [f32], a: &[f32], b: &[f32]) {
    assert!(c.len() == m * n && a.len() == m * k && b.len() == k * n);
    let (a_strides, b_strides) = match transpose {
        Transpose::Neither => ((k, 1), (n, 1)),
        Transpose::B => ((k, 1), (1, k)),
        Transpose::A => ((1, m), (n, 1)),
    };
    let strides = |(row, col): (usize, usize)| (row as isize, col as isize);
    let ((a_row, a_col), (b_row, b_col)) = (strides(a_strides), strides(b_strides));
    let (c, a, b) = (c.as_mut_ptr(), a.as_ptr(), b.as_ptr());
    let threads = gemm::Parallelism::Rayon(0);
    // SAFETY: these strides stay within the slices, whose lengths are asserted above.
    unsafe {
        gemm::gemm(
            m, n, k, c, 1, n as isize, false, a, a_col, a_row, b, b_col, b_row, 0.0, 1.0, false, false, false, threads,
        );
    }
}

/// 784-400-20-400-784 at batch 128, on 1024 images; throughput in images.
fn train_step(criterion: &mut Criterion) {
    let (examples, batch) = (1024, 128);
    let model = Model::new(ModelConfig::vae(784)).expect("the default architecture");
    let batches = Batches::new(0, examples, DType::U8, batch);
    let graphs = model.training(&batches, &Optimiser::default()).expect("a training graph");
    let bytes: Vec<u8> = (0..examples * 784).map(|i| (i * 31 % 251) as u8).collect();
    for (name, device) in devices() {
        let data = Data { shape: Shape::new(examples, 784), values: Values::Bytes(&bytes) };
        for (name_of, fuse) in [("fused", device.options().fuse), ("unfused", Fusion::None)] {
            let mut session = device.session(model.layout(), &[data]).expect("a session opens");
            session.write_arena(PARAMETERS, &model.layout().initial(0)).expect("parameters are written");
            let load =
                |graph| session.load(compile(graph, Options::new(fuse)).expect("it compiles")).expect("it loads");
            let programs: Vec<_> = graphs.iter().map(load).collect();
            let steps = steps(batch);
            let mut group = criterion.benchmark_group(format!("{name}/train_step"));
            group.sample_size(10).throughput(Throughput::Elements((STEPS * batch) as u64));
            group.bench_function(name_of, |bencher| {
                bencher.iter(|| session.run(&programs, &steps).expect("it runs"));
            });
            group.finish();
        }
    }
}

criterion_group!(benches, train_step, product, kernels);
criterion_main!(benches);
