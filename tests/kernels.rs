//! Every kernel: it translates for every API, it agrees with the f64 reference, fused with unfused, and the harness
//! reports a broken one. Rungs 1, 5 and 7 of the ladder.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;

use crate::common::cases::{folded, reference, run};
use crate::common::{Check, Tolerance, a_step, fill, gpu, scalars};
use vae_gpu::backend::cpu::CpuSession;
use vae_gpu::backend::gpu::{GpuOptions, reflect};
use vae_gpu::backend::{Device, Session};
use vae_gpu::conformance::{plan_in_half, ten_steps_agree};
use vae_gpu::graph::{Graph, Init, PARAMETERS, ParameterLayout};
use vae_gpu::models::ModelConfig;
use vae_gpu::ops::{AdapterClass, Algorithm, Case, DECAY, DeviceProfile, Epilogue, Matmul, Op, Subgroups, Transpose};
use vae_gpu::optim::Optimiser;
use vae_gpu::plan::recording::{Recording, Shader};
use vae_gpu::plan::{Fusion, Options, Plan, compile, lower};
use vae_gpu::tensor::Shape;

/// The linked kernels of every op's cases, by each algorithm where it is a product, and of whole training steps.
fn shaders() -> Vec<(Shader, BTreeMap<String, f64>)> {
    let mut plans: Vec<(Plan, Vec<DeviceProfile>)> = Vec::new();
    let eights = DeviceProfile { subgroups: Subgroups::OfEight, ..DeviceProfile::new(AdapterClass::Software) };
    let any = DeviceProfile { subgroups: Subgroups::OfAnySize, ..DeviceProfile::new(AdapterClass::Wide) };
    let profiles =
        [DeviceProfile::new(AdapterClass::Wide), any, DeviceProfile::new(AdapterClass::Software), eights.clone()];
    for case in Op::cases() {
        let (graph, _, _) = Graph::of_case(&case).unwrap();
        let mut all = profiles.to_vec();
        let inputs: Vec<Shape> = case.inputs.iter().map(|(shape, _)| *shape).collect();
        if let Some(size) = case.op.tuned_as(&inputs) {
            let by = |algorithm| DeviceProfile { tuning: [(size, algorithm)].into(), ..eights.clone() };
            all.extend(Algorithm::ALL.map(by));
        }
        plans.extend(plan_in_half(&case).unwrap().map(|plan| (plan, all.clone())));
        plans.push((compile(&graph, Options::new(Fusion::None)).unwrap(), all));
    }
    for fuse in [Fusion::None, Fusion::All] {
        for clip in [None, Some(1.0)] {
            let all = profiles.iter().flat_map(|profile| {
                [8, 16].map(|storage_buffers| DeviceProfile { storage_buffers, shares: true, ..profile.clone() })
            });
            let all: Vec<DeviceProfile> = all.collect();
            for graph in crate::fusion::small(clip) {
                plans.push((compile(&graph, Options::new(fuse)).unwrap(), all.clone()));
            }
        }
    }
    let mut seen: Vec<(Shader, BTreeMap<String, f64>)> = Vec::new();
    for (plan, profiles) in plans {
        for profile in profiles {
            let Recording { shaders, prologue, dispatches, .. } = lower(&plan, &profile).unwrap();
            for dispatch in prologue.into_iter().chain(dispatches) {
                let shader = shaders[dispatch.shader].clone();
                if seen.iter().all(|(known, _)| known.source != shader.source) {
                    seen.push((shader, dispatch.constants));
                }
            }
        }
    }
    seen
}

#[test]
fn every_kernel_translates_to_spirv_msl_and_hlsl() {
    use naga::back::{hlsl, msl, pipeline_constants::process_overrides, spv};
    use naga::valid::{Capabilities, ShaderStages, SubgroupOperationSet};
    let shaders = shaders();
    for (Shader { name, source, .. }, constants) in &shaders {
        let (module, _) = reflect(name, source).unwrap();
        // No kernel needs a capability, but for what is chosen only where subgroups are.
        let subgroups = source.contains("subgroup_invocation_id");
        // Unpacking halves is WGSL's own; naga asks for it since OpenGL lacks it.
        let halves = if source.contains("unpack2x16float") {
            Capabilities::SHADER_FLOAT16_IN_FLOAT32
        } else {
            Capabilities::empty()
        };
        let capabilities = halves | if subgroups { Capabilities::SUBGROUP } else { Capabilities::empty() };
        let mut validator = naga::valid::Validator::new(naga::valid::ValidationFlags::all(), capabilities);
        if subgroups {
            validator.subgroup_stages(ShaderStages::COMPUTE);
            validator.subgroup_operations(
                SubgroupOperationSet::BASIC | SubgroupOperationSet::BALLOT | SubgroupOperationSet::ARITHMETIC,
            );
        }
        let info = validator.validate(&module).unwrap_or_else(|e| panic!("{name}: {e:?}"));
        let constants = constants.clone().into_iter().collect();
        let entry = Some((naga::ShaderStage::Compute, "main"));
        let (module, info) =
            process_overrides(&module, &info, entry, &constants).unwrap_or_else(|e| panic!("{name}: {e}"));
        spv::write_vec(&module, &info, &spv::Options::default(), None).unwrap_or_else(|e| panic!("{name}: {e}"));
        let options = msl::Options {
            lang_version: if subgroups { (2, 1) } else { (2, 0) },
            fake_missing_bindings: true,
            ..Default::default()
        };
        msl::write_string(&module, &info, &options, &msl::PipelineOptions::default())
            .unwrap_or_else(|e| panic!("{name}: {e}"));
        let mut text = String::new();
        let options = hlsl::Options { fake_missing_bindings: true, ..Default::default() };
        hlsl::Writer::new(&mut text, &options, &hlsl::PipelineOptions::default())
            .write(&module, &info, None)
            .unwrap_or_else(|e| panic!("{name}: {e}"));
    }
    let shared = shaders.iter().filter(|(shader, _)| shader.name.contains(" | ")).count();
    assert!(shaders.len() > 100 && shared > 10, "{} kernels, {shared} that ops share", shaders.len());
}

#[test]
fn the_step_uniform_has_one_layout_in_rust_and_wgsl() {
    use vae_gpu::plan::recording::StepLayout;
    let module = naga::front::wgsl::parse_str(include_str!("../shaders/common/step.wgsl")).unwrap();
    let (_, ty) = module.types.iter().find(|(_, ty)| ty.name.as_deref() == Some("Step")).unwrap();
    let naga::TypeInner::Struct { members, span } = &ty.inner else { panic!("Step is a struct") };
    let found: BTreeMap<String, usize> =
        members.iter().map(|member| (member.name.clone().unwrap(), member.offset as usize)).collect();
    let StepLayout { offsets, bound_bytes, .. } = StepLayout::default();
    assert_eq!(found, offsets);
    assert_eq!(u64::from(*span), bound_bytes);
}

#[test]
fn every_kernel_agrees_with_its_reference() {
    for options in
        [GpuOptions { checks: true, ..GpuOptions::default() }, GpuOptions { checks: false, ..GpuOptions::default() }]
    {
        let Some(device) = gpu(options) else { return };
        for case in Op::cases().into_iter().chain([folded()]) {
            let got = run(&case, &device).unwrap();
            let wanted = reference(&case);
            Tolerance::rounding(case.terms).check(&case.to_string(), &got, &wanted);
        }
    }
}

/// Reductions add by subgroups on hardware that has them; here on whatever adapter has them.
#[test]
fn reductions_by_subgroups_agree_with_their_reference() {
    let Some(mut device) = gpu(GpuOptions { checks: true, ..GpuOptions::default() }) else { return };
    if device.profile().unwrap().subgroups == Subgroups::None {
        return eprintln!("SKIPPED: no subgroups that can add");
    }
    device.change_profile(|profile| profile.subgroups = Subgroups::OfAnySize);
    let mut linked = 0;
    for case in Op::cases() {
        let plan = compile(&Graph::of_case(&case).unwrap().0, Options::new(Fusion::None)).unwrap();
        let recording = lower(&plan, device.profile().unwrap()).unwrap();
        if recording.shaders.iter().any(|shader| shader.source.contains("subgroupAdd")) {
            let (got, wanted) = (run(&case, &device).unwrap(), reference(&case));
            Tolerance::rounding(case.terms).check(&case.to_string(), &got, &wanted);
            linked += 1;
        }
    }
    assert!(linked > 100, "{linked} cases");
    // Small ops ride with products, whose workgroups are larger.
    for (name, config) in ModelConfig::cases().into_iter().filter(|(name, _)| name.contains("norm")) {
        if let Err(why) = ten_steps_agree(&device, &config, None, Options::default()) {
            panic!("{name}: {why}");
        }
    }
}

/// What the rule chooses for hardware, k in parts among it, on whatever adapter there is.
#[test]
fn gemms_as_on_hardware_agree_with_their_reference() {
    let Some(mut device) = gpu(GpuOptions { checks: true, ..GpuOptions::default() }) else { return };
    device.change_profile(|profile| profile.class = AdapterClass::Wide);
    for case in Op::cases() {
        let is_plain = matches!(case.op, Op::Matmul(Matmul { epilogue: Epilogue::Store, .. }));
        if is_plain || matches!(case.op, Op::Conv2dWeightGradient(_)) {
            let (got, wanted) = (run(&case, &device).unwrap(), reference(&case));
            Tolerance::rounding(case.terms).check(&case.to_string(), &got, &wanted);
        }
    }
}

#[test]
fn every_algorithm_computes_every_product() {
    let options = GpuOptions { checks: true, ..GpuOptions::default() };
    let Some(device) = gpu(options) else { return };
    for algorithm in Algorithm::ALL {
        for case in Op::cases() {
            let Op::Matmul(op) = &case.op else { continue };
            // Epilogues know nothing of algorithms: the test of every op has them.
            if op.epilogue != Epilogue::Store {
                continue;
            }
            let (m, n, k) = op.extents(case.inputs[0].0, case.inputs[1].0);
            let mut device = device.clone();
            device.set_tuning([([m, n, k], algorithm)].into());
            let (got, wanted) = (run(&case, &device).unwrap(), product(op, &case));
            Tolerance::rounding(case.terms).check(&format!("{}: {case}", algorithm.name()), &got, &wanted);
        }
    }
}

#[test]
fn the_reference_of_a_product_is_three_loops() {
    for case in Op::cases() {
        let Op::Matmul(op) = &case.op else { continue };
        let (got, wanted) = (reference(&case), product(op, &case));
        Tolerance { relative: 1e-12, absolute: 1e-12 }.check(&case.to_string(), &got, &wanted);
    }
}

/// A case's product in f64, by three loops: nothing of the crate but the activations.
fn product(op: &Matmul, case: &Case) -> Vec<f64> {
    let (m, n, k) = op.extents(case.inputs[0].0, case.inputs[1].0);
    let inputs: Vec<Vec<f64>> = (0..case.inputs.len()).map(|i| fill(case, i)).collect();
    let mut c = vec![0.0; m * n];
    for row in 0..m {
        for col in 0..n {
            let mut sum = 0.0;
            for p in 0..k {
                let a = if op.transpose == Transpose::A { inputs[0][p * m + row] } else { inputs[0][row * k + p] };
                let b = if op.transpose == Transpose::B { inputs[1][col * k + p] } else { inputs[1][p * n + col] };
                sum += a * b;
            }
            c[row * n + col] = match op.epilogue {
                Epilogue::Store => sum,
                Epilogue::BiasActivation(activation) => activation.value(sum + inputs[2][col]),
                Epilogue::ActivationGradient(activation) => sum * activation.slope(inputs[2][row * n + col]),
                other => panic!("no case has {other:?}"),
            };
        }
    }
    c
}

#[test]
fn adam_on_the_gpu_updates_the_arenas_as_on_the_cpu() {
    let Some(device) = gpu(GpuOptions { checks: true, ..GpuOptions::default() }) else { return };
    let mut layout = ParameterLayout::default();
    let weight = layout.declare("weight", Shape::new(5, 31), Init::linear(31));
    let bias = layout.declare("bias", Shape::of([5]), Init::linear(31));
    let mut graph = Graph::new(layout.clone());
    // The gradients are inputs, scaled so that they are values of the graph's own.
    let gradients = [(weight, "w", Shape::new(5, 31)), (bias, "b", Shape::of([5]))].map(|(id, name, shape)| {
        let input = graph.input(name, shape);
        let scale = vae_gpu::ops::Scale { factor: vae_gpu::ops::Factor::Constant(0.5) };
        (id, graph.apply(scale.into(), &[input]).unwrap())
    });
    for (id, gradient) in gradients {
        graph.store_gradient(id, gradient).unwrap();
    }
    let update = Optimiser::default().update(&layout, &[weight, bias]).unwrap();
    let plans = [graph, update].map(|graph| compile(&graph, Options::default()).unwrap());
    let mut cpu = CpuSession::<f64>::new(&layout, &[]);
    let mut gpu = device.session(&layout, &[]).unwrap();
    let sessions: [&mut dyn Session; 2] = [&mut cpu, gpu.as_mut()];
    let arenas = sessions.map(|session| {
        let programs = plans.each_ref().map(|plan| session.load(plan.clone()).unwrap());
        let [program, _] = programs;
        session.write_arena(PARAMETERS, &layout.initial(1)).unwrap();
        session.write_input(program, "w", &(0..155).map(|i| (i as f32).sin()).collect::<Vec<_>>()).unwrap();
        session.write_input(program, "b", &[0.0, 1e-6, -1.0, 3.0, 100.0]).unwrap();
        for t in 1..=5 {
            let step = vae_gpu::step::Step { scalars: scalars(1e-2, t).with(DECAY, 0.875), ..a_step(1) };
            session.run(&programs, &[step]).unwrap();
        }
        [PARAMETERS, "adam.first", "adam.second"].map(|arena| session.read_arena(arena).unwrap())
    });
    for (cpu, gpu) in arenas[0].iter().zip(&arenas[1]) {
        let [cpu, gpu] = [cpu, gpu].map(|values| values.iter().map(|&v| f64::from(v)).collect::<Vec<_>>());
        Tolerance::rounding(8).check("adam", &gpu, &cpu);
    }
}
