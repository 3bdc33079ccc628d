//! What a training step costs the host: its dispatches recorded and submitted to a device that does nothing, wgpu's `noop`
//! back-end. `cargo bench --bench host --features noop`.
//!
//! Steps go in submissions of 32, metrics are read back behind each, as in training. The time is the submission's, divided by
//! criterion's throughput.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use vae_gpu::backend::gpu::{Gpu, GpuOptions, wgpu};
use vae_gpu::backend::{Data, Device, Values};
use vae_gpu::models::{Batches, Model, ModelConfig};
use vae_gpu::ops::AdapterClass;
use vae_gpu::optim::Optimiser;
use vae_gpu::plan::{Fusion, Options, compile};
use vae_gpu::step::Step;
use vae_gpu::tensor::{DType, Shape};

const STEPS: usize = 32;
const EXAMPLES: usize = 1000;

/// A device that does nothing, with as many storage buffers a dispatch as most adapters have.
fn noop() -> Gpu {
    let mut descriptor = wgpu::InstanceDescriptor::new_without_display_handle();
    descriptor.backends = wgpu::Backends::NOOP;
    descriptor.backend_options.noop.enable = true;
    let instance = wgpu::Instance::new(descriptor);
    let adapters = pollster::block_on(instance.enumerate_adapters(wgpu::Backends::NOOP));
    let limits = wgpu::Limits { max_storage_buffers_per_shader_stage: 16, ..wgpu::Limits::default() };
    let descriptor = wgpu::DeviceDescriptor { required_limits: limits, ..Default::default() };
    let request = adapters[0].request_device(&descriptor);
    let (device, queue) = pollster::block_on(request).expect("a device that does nothing opens");
    let mut gpu = Gpu::on(device, queue, GpuOptions::default()).expect("it has WebGPU's limits");
    gpu.change_profile(|profile| {
        profile.class = AdapterClass::Wide;
        profile.shares = true;
    });
    gpu
}

fn host(criterion: &mut Criterion) {
    let device = noop();
    let model = Model::new(ModelConfig::vae(784)).expect("the default model is sound");
    let batches = Batches::new(0, EXAMPLES, DType::U8, 128);
    let graphs = model.training(&batches, &Optimiser::default()).expect("the default model trains");
    let bytes = vec![0; EXAMPLES * 784];
    let data = Data { shape: Shape::new(EXAMPLES, 784), values: Values::Bytes(&bytes) };
    let mut session = device.session(model.layout(), &[data]).expect("nothing is too large for it");
    let plan = |graph| compile(graph, Options::new(Fusion::All)).expect("the graph has a plan");
    let programs: Vec<_> = graphs.iter().map(|graph| session.load(plan(graph)).expect("the plan loads")).collect();
    let steps =
        vec![
            Step { rows: 128, scalars: Optimiser::default().scalars(1e-3, 1).with("beta", 1.0), ..Step::default() };
            STEPS
        ];
    let before = session.counters();
    session.run(&programs, &steps).expect("steps run");
    let dispatches = (session.counters() - before).dispatches;
    println!("{dispatches} dispatches for {STEPS} steps");
    let mut group = criterion.benchmark_group("host");
    for count in [1, STEPS] {
        group.throughput(Throughput::Elements(count as u64));
        group.bench_function(format!("submission of {count}"), |bencher| {
            bencher.iter(|| session.run(&programs, &steps[..count]).expect("steps run"));
        });
    }
    group.finish();
}

criterion_group!(benches, host);
criterion_main!(benches);
