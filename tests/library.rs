//! The crate as a library: ops of other crates, and a device that the host owns.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::common::{Check, Tolerance, a_step, fill, inputs};
use vae_gpu::backend::Device;
use vae_gpu::backend::cpu::{Cpu, interpret};
use vae_gpu::backend::gpu::{Gpu, GpuOptions, wgpu};
use vae_gpu::graph::{Backward, Graph, NodeId, PARAMETERS};
use vae_gpu::models::{Layer, Model, ModelConfig};
use vae_gpu::ops::{
    Activation, Case, Custom, DeviceProfile, Entry, Fill, Fragment, Grid, Kernel, Op, Operation, Real, View,
};
use vae_gpu::plan::{Options, compile};
use vae_gpu::step::Step;
use vae_gpu::tensor::Shape;
use vae_gpu::train::generate::Decoder;
use vae_gpu::{Error, Result};

/// `y = x + by` for `x [rows, cols]`, with the workgroup size that is asked for.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Shift {
    by: f64,
    workgroup: usize,
}

impl Operation for Shift {
    const NAME: &'static str = "shift";

    fn shape(&self, inputs: &[Shape]) -> Result<Shape> {
        match inputs {
            [x] => Ok(*x),
            _ => Err(Error::Graph(format!("shift: takes 1 input, got {}", inputs.len()))),
        }
    }

    fn reference<T: Real>(&self, _: &Step, inputs: &[View<'_, T>], outputs: &mut [&mut [T]]) {
        for (y, &x) in outputs[0].iter_mut().zip(inputs[0].values) {
            *y = x + T::from_f64(self.by);
        }
    }

    fn gradient(&self, back: &mut Backward<'_>) -> Result<Vec<Option<NodeId>>> {
        Ok(vec![Some(back.d_output)])
    }

    fn kernel(&self, _: &[Shape], output: Shape, _: &DeviceProfile) -> Kernel {
        let source = "
            override WORKGROUP: u32;
            override COUNT: u32;
            override BY: f32;
            @group(0) @binding(1) var<storage, read> x: array<f32>;
            @group(0) @binding(2) var<storage, read_write> y: array<f32>;
            @compute @workgroup_size(WORKGROUP)
            fn main(@builtin(global_invocation_id) id: vec3<u32>) {
                if (id.x < COUNT) { y[id.x] = x[id.x] + BY; }
            }";
        let fragments = vec![Fragment { name: "shift.wgsl", source }];
        let grid = Grid::Workgroups(output.len().div_ceil(self.workgroup));
        let mut kernel = Kernel::new(fragments, Entry::Main, self.workgroup, grid);
        kernel.constants = vec![("WORKGROUP", self.workgroup as f64), ("COUNT", output.len() as f64), ("BY", self.by)];
        kernel
    }

    fn cases() -> Vec<Case> {
        let op = Shift { by: 0.5, workgroup: 64 };
        [[1, 1], [63, 65], [7, 128]].map(|size| Case::new(Custom::new(op), 1, &[(size, Fill::Normal)])).to_vec()
    }
}

/// The op's value on a device, and its f64 reference.
fn both(case: &Case, device: &dyn Device) -> Result<(Vec<f64>, Vec<f64>)> {
    let (graph, _, _) = Graph::of_case(case)?;
    let mut session = device.session(graph.layout(), &[])?;
    let program = session.load(compile(&graph, Options::default())?)?;
    let values: Vec<f32> = fill(case, 0).iter().map(|&value| value as f32).collect();
    session.write_input(program, "in0", &values)?;
    session.run(&[program], &[a_step(1)])?;
    let got = session.read_output(program, "out")?.iter().map(|&value| f64::from(value)).collect();
    let reference = interpret::<f64>(&graph, &a_step(1), &[], &[], &inputs(case))?.pop().unwrap();
    Ok((got, reference))
}

#[test]
fn an_op_of_another_crate_runs_as_any_other() {
    let gpu = crate::common::gpu(GpuOptions { checks: true, ..GpuOptions::default() });
    let devices = std::iter::once(Box::new(Cpu::<f32>::new()) as Box<dyn Device>);
    for device in devices.chain(gpu.map(|gpu| Box::new(gpu) as Box<dyn Device>)) {
        for case in Shift::cases() {
            let (got, wanted) = both(&case, &*device).unwrap();
            assert!((wanted[0] - fill(&case, 0)[0] - 0.5).abs() < 1e-12);
            Tolerance::rounding(case.terms).check(&format!("{}: {case}", device.name()), &got, &wanted);
        }
    }
}

#[test]
fn equal_ops_of_another_crate_are_equal_and_named() {
    #[derive(Clone, Copy, Debug, PartialEq)]
    struct Other;
    impl Operation for Other {
        const NAME: &'static str = "other";
        fn shape(&self, inputs: &[Shape]) -> Result<Shape> {
            Ok(inputs[0])
        }
        fn reference<T: Real>(&self, _: &Step, _: &[View<'_, T>], _: &mut [&mut [T]]) {}
        fn gradient(&self, back: &mut Backward<'_>) -> Result<Vec<Option<NodeId>>> {
            back.none(Self::NAME, "it is a test's")
        }
        fn kernel(&self, _: &[Shape], output: Shape, profile: &DeviceProfile) -> Kernel {
            Shift { by: 0.0, workgroup: 1 }.kernel(&[], output, profile)
        }
        fn cases() -> Vec<Case> {
            Vec::new()
        }
    }
    let of = |by| Op::from(Custom::new(Shift { by, workgroup: 64 }));
    assert_eq!(of(1.0), of(1.0));
    assert_ne!(of(1.0), of(2.0));
    assert_ne!(of(1.0), Op::from(Custom::new(Other)));
    assert_eq!((of(1.0).name(), Op::from(Custom::new(Other)).name()), ("shift", "other"));
    let error = of(1.0).shape(&[]).unwrap_err().to_string();
    assert!(error.contains("shift: takes 1 input"), "{error}");
}

/// A device as a host opens one, whose own handler counts the errors that reach it; none without an adapter.
fn hosts(limits: wgpu::Limits) -> Option<(wgpu::Device, wgpu::Queue, Arc<AtomicUsize>)> {
    crate::common::gpu(GpuOptions::default())?; // says why it is skipped
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle());
    let adapter = pollster::block_on(instance.enumerate_adapters(wgpu::Backends::PRIMARY)).swap_remove(0);
    let descriptor = wgpu::DeviceDescriptor { required_limits: limits, ..Default::default() };
    let (device, queue) = pollster::block_on(adapter.request_device(&descriptor)).unwrap();
    let reached = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&reached);
    device.on_uncaptured_error(Arc::new(move |_: wgpu::Error| {
        count.fetch_add(1, Ordering::SeqCst);
    }));
    Some((device, queue, reached))
}

#[test]
fn a_model_runs_on_a_device_that_the_host_owns() {
    let Some((device, queue, reached)) = hosts(wgpu::Limits::default()) else { return };
    let gpu = Gpu::on(device.clone(), queue.clone(), GpuOptions::default()).unwrap();
    let model = Model::new(ModelConfig {
        encoder: Layer::dense(&[30], Activation::Relu),
        decoder: Layer::dense(&[30], Activation::Relu),
        ..ModelConfig::vae(64)
    })
    .unwrap();
    let codes: Vec<f32> = (0..5 * 20).map(|i| (i as f32).sin()).collect();
    let decoded = |device: &dyn Device| -> Vec<f64> {
        let mut session = device.session(model.layout(), &[]).unwrap();
        session.write_arena(PARAMETERS, &model.layout().initial(1)).unwrap();
        let decoder = Decoder::load(&mut *session, &model, 5, device.options()).unwrap();
        decoder.apply(&mut *session, &codes, &[]).unwrap().iter().map(|&value| f64::from(value)).collect()
    };
    let (got, wanted) = (decoded(&gpu), decoded(&Cpu::<f64>::new()));
    Tolerance::rounding(30).check("decoded on the host's device", &got, &wanted);
    assert_eq!(reached.load(Ordering::SeqCst), 0);

    // It is the host's still, its handler too.
    drop(gpu);
    let usage = wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::STORAGE; // not allowed together
    let _ = device.create_buffer(&wgpu::BufferDescriptor { label: None, size: 4, usage, mapped_at_creation: false });
    assert_eq!(reached.load(Ordering::SeqCst), 1);
}

#[test]
fn what_the_hosts_device_lacks_is_named() {
    let lower = wgpu::Limits { max_compute_workgroup_storage_size: 8192, ..wgpu::Limits::default() };
    let Some((device, queue, _)) = hosts(lower) else { return };
    let error = Gpu::on(device, queue, GpuOptions::default()).unwrap_err();
    assert!(matches!(error, Error::Device { .. }));
    let error = error.to_string();
    let named = ["max_compute_workgroup_storage_size", "8192", "16384"].iter().all(|part| error.contains(part));
    assert!(named, "{error}");
}

#[test]
fn a_kernel_that_the_device_refuses_is_an_error_and_no_matter_of_the_hosts() {
    let Some((device, queue, reached)) = hosts(wgpu::Limits::default()) else { return };
    let gpu = Gpu::on(device, queue, GpuOptions::default()).unwrap();
    let too_wide = Case::new(Custom::new(Shift { by: 1.0, workgroup: 1 << 20 }), 1, &[([3, 3], Fill::Normal)]);
    let error = both(&too_wide, &gpu).unwrap_err();
    assert!(matches!(error, Error::Device { .. }) && error.to_string().contains("shift.wgsl"), "{error}");
    assert_eq!(reached.load(Ordering::SeqCst), 0);
    // The device serves on.
    let (got, wanted) = both(&Shift::cases()[1], &gpu).unwrap();
    Tolerance::rounding(1).check("after a refusal", &got, &wanted);
}
