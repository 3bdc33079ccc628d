//! Activations in half precision: what is stored so, how it is rounded, and that every op takes it.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use crate::common::{a_step, gpu};
use crate::faults::{Fault, edit};
use half::f16;
use std::collections::BTreeSet;
use vae_gpu::backend::cpu::Cpu;
use vae_gpu::backend::gpu::{Gpu, GpuOptions};
use vae_gpu::backend::{Device, Precision};
use vae_gpu::conformance::{agreement_in_half, batches, ten_steps_agree};
use vae_gpu::graph::Graph;
use vae_gpu::models::{Model, ModelConfig};
use vae_gpu::ops::{Activate, Activation, AdapterClass, DeviceProfile, Op};
use vae_gpu::optim::Optimiser;
use vae_gpu::plan::{BufferId, Fusion, Options, Plan, compile};
use vae_gpu::tensor::{DType, Shape};

/// A device whose products are in f32, whatever matrices it has.
fn storing_halves(fault: Option<Fault>) -> Option<Gpu> {
    let mut device = gpu(GpuOptions { checks: true, fault, precision: Precision::F16 })?;
    device.change_profile(|profile| profile.half = None);
    Some(device)
}

/// Numbers around every edge of f16: ties, the largest, the least that is normal, and what is none.
fn edges() -> Vec<f32> {
    let bits = (0..0x8000_u16).step_by(97).chain([0, 1, 0x3ff, 0x400, 0x401, 0x7bff]);
    let exact = bits.map(f16::from_bits).filter(|half| half.is_finite()).map(f16::to_f32);
    // Just below and above a half, and the tie behind it.
    let around = exact.flat_map(|x| {
        [-1, 0, 1, 0xfff, 0x1000, 0x1001].map(|by| f32::from_bits(x.to_bits().saturating_add_signed(by)))
    });
    let beyond = [65_519.99, 65_520.0, 65_536.0, 1e30, f32::MAX, f32::INFINITY, f32::NAN, 1e-30];
    around.chain(beyond).flat_map(|x| [x, -x]).chain([0.0; 3]).collect()
}

/// What a value becomes that is stored in half precision.
fn stored(device: &dyn Device, values: &[f32]) -> Vec<f32> {
    let values: Vec<f32> =
        values.iter().copied().chain(std::iter::repeat(0.0)).take(values.len().next_multiple_of(4)).collect();
    let mut graph = Graph::new(Default::default());
    let x = graph.input("x", Shape::new(1, values.len()));
    let copy =
        |graph: &mut Graph, value| graph.apply(Activate { activation: Activation::Identity }.into(), &[value]).unwrap();
    let half = copy(&mut graph, x);
    let y = copy(&mut graph, half);
    graph.output("y", y);
    let plan = compile(&graph, Options { half: true, ..Options::new(Fusion::None) }).unwrap();
    assert_eq!(halves(&plan), 1);
    let mut session = device.session(graph.layout(), &[]).unwrap();
    let program = session.load(plan).unwrap();
    session.write_input(program, "x", &values).unwrap();
    session.run(&[program], &[a_step(1)]).unwrap();
    session.check_guards().unwrap();
    session.read_output(program, "y").unwrap()
}

/// Values that a plan stores in half precision.
fn halves(plan: &Plan) -> usize {
    let outputs = plan.dispatches.iter().flat_map(|dispatch| &dispatch.outputs);
    outputs
        .filter(|view| view.dtype == DType::F16)
        .inspect(|view| assert!(matches!(view.buffer, BufferId::Local(_))))
        .count()
}

/// The bits of what each of these must become.
fn rounded(values: &[f32]) -> Vec<u32> {
    let one = |&x: &f32| match f16::from_f32(x).to_f32() {
        _ if x.is_nan() => f32::INFINITY.copysign(x),
        _ if x.abs() < f16::MIN_POSITIVE.to_f32() => 0.0_f32.copysign(x),
        half => half,
    };
    values.iter().map(|x| one(x).to_bits()).collect()
}

/// The first number that a device rounds otherwise: it, what it becomes, and what it must.
fn rounds_otherwise(device: &dyn Device) -> Option<[u32; 3]> {
    let values = edges();
    let got = stored(device, &values).into_iter().map(f32::to_bits);
    let all = values.iter().map(|x| x.to_bits()).zip(got).zip(rounded(&values));
    all.map(|((from, got), wanted)| [from, got, wanted]).find(|[_, got, wanted]| got != wanted)
}

#[test]
fn values_are_rounded_the_same_everywhere() {
    let Some(device) = storing_halves(None) else { return };
    for device in [&Cpu::<f32>::new() as &dyn Device, &Cpu::<f64>::new(), &device] {
        let name = device.name();
        if let Some([from, got, wanted]) = rounds_otherwise(device) {
            panic!("{name}: {from:#x} becomes {got:#x}, not {wanted:#x}");
        }
    }
}

/// The ops that a device computes wrongly, and all that do anything in half precision.
fn wrong(device: &dyn Device) -> [BTreeSet<&'static str>; 2] {
    let mut found = [BTreeSet::new(), BTreeSet::new()];
    for case in Op::cases() {
        match agreement_in_half(&case, device).transpose() {
            None => continue,
            Some(Ok(_)) => {}
            Some(Err(_)) => _ = found[0].insert(case.op.name()),
        }
        found[1].insert(case.op.name());
    }
    found
}

#[test]
fn every_op_takes_halves_where_it_says_so() {
    let Some(device) = storing_halves(None) else { return };
    let [wrong, tried] = wrong(&device);
    assert!(wrong.is_empty(), "{wrong:?}");
    let wanted = [
        "activate",
        "activation_gradient",
        "bias_activation",
        "conv2d",
        "conv2d_weight_gradient",
        "conv_transpose2d",
        "matmul",
        "max_pool_gradient",
        "moments",
        "norm_gradient",
        "norm_sums",
        "normalise",
        "pool",
        "resize",
    ];
    assert_eq!(tried, wanted.into());
}

/// Faults in loading and storing halves.
const FAULTS: [(&str, Fault); 14] = [
    ("ties away from zero", |kernel| edit(kernel, "common/halves.wgsl", "0xfffu + (", "0x1000u + 0u * (")),
    ("no infinity", |kernel| edit(kernel, "common/halves.wgsl", "rounded >= vec4<u32>(BEYOND)", "vec4<bool>(false)")),
    ("no sign", |kernel| edit(kernel, "common/halves.wgsl", " | ((bits >>", " | 0u * ((bits >>")),
    ("halves in another order", |kernel| {
        edit(kernel, "common/halves.wgsl", "bits.xz | (bits.yw", "bits.xy | (bits.zw")
    }),
    ("the other half of a word", |kernel| edit(kernel, "common/halves.wgsl", "at % 2u == 1u", "at % 2u == 0u")),
    ("an element of x", |kernel| edit(kernel, "elementwise/load_x_half.wgsl", "x[at / 2u]", "x[at / 4u]")),
    ("an element of a", |kernel| edit(kernel, "gemm/load_a_half.wgsl", "a[at / 2u]", "a[at / 4u]")),
    ("a vec4 of a", |kernel| edit(kernel, "gemm/load_a_vec4_half.wgsl", "at / 4u", "at / 8u")),
    ("an element of b", |kernel| edit(kernel, "gemm/load_b_half.wgsl", "b[at / 2u]", "b[at / 4u]")),
    ("a vec4 of b", |kernel| edit(kernel, "gemm/load_b_vec4_half.wgsl", "at / 4u", "at / 8u")),
    ("an element of a patch", |kernel| edit(kernel, "conv/load_patch_half.wgsl", "at.x / 2u", "at.x / 4u")),
    ("a vec4 of a patch", |kernel| edit(kernel, "conv/load_patch_vec4_half.wgsl", "at.x / 4u", "at.x / 8u")),
    ("an input of an epilogue", |kernel| edit(kernel, "gemm/epilogue_input_vec4_half.wgsl", "at / 4u", "at / 8u")),
    ("a vec4 that is stored", |kernel| {
        edit(kernel, "gemm/store_c_vec4_half.wgsl", "* N + col) / 4u", "* N + col) / 8u")
    }),
];

#[test]
fn faults_in_halves_are_reported() {
    for (what, fault) in FAULTS {
        let Some(device) = storing_halves(Some(fault)) else { return };
        // Hardware's loops load vec4s where a software adapter's may not.
        let mut wide = device.clone();
        wide.change_profile(|profile| *profile = DeviceProfile::new(AdapterClass::Wide));
        let is_reported = |device: &Gpu| rounds_otherwise(device).is_some() || !wrong(device)[0].is_empty();
        assert!(is_reported(&device) || is_reported(&wide), "not reported: {what}");
    }
}

fn training(config: &ModelConfig, half: bool) -> Vec<Plan> {
    let graphs = Model::new(config.clone()).unwrap().training(&batches(), &Optimiser::default()).unwrap();
    graphs.iter().map(|graph| compile(graph, Options { half, ..Options::new(Fusion::All) }).unwrap()).collect()
}

/// Activations of layers that are wide enough, and those alone: no gradient, and nothing that an objective reads.
#[test]
fn hidden_layers_are_stored_in_half_precision() {
    let layers = |words: &[&str]| words.iter().map(|word| word.parse().unwrap()).collect::<Vec<_>>();
    let config = ModelConfig {
        image: [8, 8, 1],
        encoder: layers(&["conv 8 s2", "batch-norm", "relu", "flatten", "dense 20", "gelu"]),
        decoder: layers(&["dense 64", "relu", "unflatten 4 4x4", "conv-transpose 1 k4 s2"]),
        latent: 4,
        ..ModelConfig::vae(64)
    };
    let [plan, update] = &training(&config, true)[..] else { panic!("gradients and an update") };
    assert_eq!(halves(update), 0);
    let stored: Vec<(&str, Vec<usize>)> = plan
        .dispatches
        .iter()
        .flat_map(|dispatch| dispatch.outputs.iter().map(|view| (dispatch.op.name(), view)))
        .filter(|(_, view)| view.dtype == DType::F16)
        .map(|(name, view)| (name, view.shape.extents().to_vec()))
        .collect();
    let image = vec![4, 4, 4, 8];
    let wanted = [
        ("conv2d", image.clone()),
        ("normalise", image.clone()),
        ("activate", image),
        ("matmul", vec![4, 20]), // the argument that gelu keeps
        ("activate", vec![4, 20]),
        ("matmul", vec![4, 64]),
    ];
    assert_eq!(stored, wanted);
    assert!(training(&config, false).iter().all(|plan| halves(plan) == 0));
}

#[test]
fn models_train_in_half_precision() {
    let Some(device) = storing_halves(None) else { return };
    let mut with_halves = 0;
    for (name, config) in ModelConfig::cases() {
        if training(&config, true).iter().map(halves).sum::<usize>() > 0 {
            ten_steps_agree(&device, &config, None, device.options()).unwrap_or_else(|why| panic!("{name}: {why}"));
            with_halves += 1;
        }
    }
    assert!(with_halves >= 10, "{with_halves} models have anything in half precision");
}
