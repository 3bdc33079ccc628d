//! Sessions, on the CPU and on a GPU alike: what programs record, the scalars that they read, the memory that they share, what
//! is refused.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use crate::common::{a_step, gpu};
use vae_gpu::backend::cpu::Cpu;
use vae_gpu::backend::gpu::GpuOptions;
use vae_gpu::backend::{Data, Device, ProgramId, Session, Values};
use vae_gpu::config::TrainConfig;
use vae_gpu::data::{Dataset, Synthetic};
use vae_gpu::graph::{GRADIENTS, Graph, NodeId, PARAMETERS, ParameterLayout, differentiate};
use vae_gpu::models::{Batches, Model};
use vae_gpu::ops::{
    Activation, BatchMean, BceLogits, Constant, Factor, Kl, Order, Pixels, RepeatInterleave, Scale, SumRows, Transpose,
};
use vae_gpu::plan::{Fusion, Options, compile};
use vae_gpu::step::Step;
use vae_gpu::tensor::{DType, Shape};
use vae_gpu::train::ModelInput;

/// The CPU in f64, and the first adapter with and without checks.
pub(crate) fn devices() -> Vec<Box<dyn Device>> {
    let mut devices: Vec<Box<dyn Device>> = vec![Box::new(Cpu::<f64>::new())];
    for checks in [true, false] {
        devices.extend(gpu(GpuOptions { checks, ..GpuOptions::default() }).map(|gpu| Box::new(gpu) as Box<dyn Device>));
    }
    devices
}

/// A value of the graph's own: what the host writes to input `name`.
pub(crate) fn written(graph: &mut Graph, name: &str, shape: Shape) -> NodeId {
    let input = graph.input(name, shape);
    graph.apply(Scale { factor: Factor::Constant(1.0) }.into(), &[input]).unwrap()
}

#[test]
fn what_programs_record_stands_side_by_side() {
    let recording = |names: &[&'static str]| {
        let mut graph = Graph::new(ParameterLayout::default());
        let scalars: Vec<_> = names.iter().map(|&name| (name, written(&mut graph, name, Shape::SCALAR))).collect();
        graph.record(&scalars).unwrap();
        compile(&graph, Options::default()).unwrap()
    };
    let of = |names: &[&'static str]| recording(names).metrics;
    assert_eq!(of(&["a", "b", "c", "d", "e"]), ["a", "b", "c", "d", "e"]);
    for device in devices() {
        let mut session = device.session(&ParameterLayout::default(), &[]).unwrap();
        let one = session.load(recording(&["a"])).unwrap();
        let two = session.load(recording(&["b", "c"])).unwrap();
        let five = session.load(recording(&["a", "b", "c", "d", "e"])).unwrap();
        for (program, names) in [(one, "a"), (two, "bc"), (five, "abcde")] {
            for (i, name) in names.chars().enumerate() {
                session.write_input(program, &name.to_string(), &[(10 * names.len() + i) as f32]).unwrap();
            }
        }
        let before = session.counters();
        let mut recorded = |programs: &[ProgramId], steps: usize| {
            let recorded = session.run(programs, &vec![Step::default(); steps]).unwrap();
            assert_eq!(recorded.rows().len(), if recorded.values().is_empty() { 0 } else { steps });
            recorded.values().to_vec()
        };
        assert_eq!(recorded(&[five], 3), [50.0, 51.0, 52.0, 53.0, 54.0].repeat(3), "{}", device.name());
        assert_eq!(recorded(&[one, two], 2), [10.0, 20.0, 21.0].repeat(2));
        assert_eq!(recorded(&[two, one], 2), [20.0, 21.0, 10.0].repeat(2));
        assert_eq!(recorded(&[one], 1), [10.0]);
        // Each value takes a dispatch, a record of up to three one.
        assert_eq!((session.counters() - before).dispatches, 3 * 7 + 2 * 5 + 2 * 5 + 2);
    }
    let mut graph = Graph::new(ParameterLayout::default());
    let (a, wide) = (graph.input("a", Shape::SCALAR), graph.input("wide", Shape::new(1, 2)));
    assert!(graph.clone().record(&[("wide", wide)]).is_err());
    let error = graph.record(&[("a", a), ("a", a)]).unwrap_err().to_string();
    assert_eq!(error, "record: the graph records a already");
}

#[test]
fn a_program_in_parts_computes_what_it_does_whole() {
    let config = TrainConfig::layered(["hidden = [7]\nlatent = 3\nbatch-size = 5".parse().unwrap()]).unwrap();
    let data = Dataset::synthetic(Synthetic::Uniform, 20, 16, 0);
    let model = Model::new(config.architecture_for(&data.schema).unwrap()).unwrap();
    let held = Data {
        shape: Shape::new(data.train.count(), 16),
        values: Values::Reals(&data.train.shown(0..data.train.count(), config.binarise).unwrap()),
    };
    let batches = Batches::new(0, data.train.count(), DType::F32, 5);
    let gradients = model.gradients(&batches).unwrap().swap_remove(0);
    let parameters = model.layout().initial(1);
    let span = model.layout().span_of(&gradients.parameters).unwrap();
    for device in devices() {
        let plan = compile(&gradients.graph, device.options()).unwrap();
        let mut records: Vec<usize> = plan.recorders().collect();
        records.dedup();
        let cuts: Vec<usize> = (0..plan.dispatches.last().unwrap().group)
            .filter(|cut| !(records[0]..records[records.len() - 1]).contains(cut))
            .collect();
        let run = |cuts: &[usize]| {
            let mut session = device.session(model.layout(), &[held]).unwrap();
            session.write_arena(PARAMETERS, &parameters).unwrap();
            let mut programs = vec![session.load(plan.clone()).unwrap()];
            for &cut in cuts {
                let behind = session.split(programs[programs.len() - 1], cut).unwrap();
                programs.push(behind);
            }
            let step = a_step(5);
            let recorded: Vec<f64> = programs
                .iter()
                .flat_map(|&program| session.run(&[program], &[step]).unwrap().values().to_vec())
                .collect();
            let all = session.read_arena(GRADIENTS).unwrap();
            for half in model.layout().halves(&span) {
                assert!(!half.is_empty() && session.read_arena_part(GRADIENTS, half.clone()).unwrap() == all[half]);
            }
            (recorded, all)
        };
        let whole = run(&[]);
        assert!(whole.1.iter().any(|&gradient| gradient != 0.0));
        assert!(run(&cuts) == whole, "{}: all groups apart", device.name());
        for cut in cuts {
            assert!(run(&[cut]) == whole, "{}: cut behind group {cut}", device.name());
        }
    }
}

#[test]
fn a_step_that_lacks_what_a_program_reads_is_refused() {
    let mut graph = Graph::new(ParameterLayout::default());
    let a = graph.input("a", Shape::SCALAR);
    let scaled = graph.apply(Scale { factor: Factor::Scalar("warmth") }.into(), &[a]).unwrap();
    graph.output("scaled", scaled);
    let plan = compile(&graph, Options::default()).unwrap();
    assert_eq!(plan.scalars, ["warmth"]);
    for device in devices() {
        let mut session = device.session(&ParameterLayout::default(), &[]).unwrap();
        let program = session.load(plan.clone()).unwrap();
        session.write_input(program, "a", &[3.0]).unwrap();
        let error = session.run(&[program], &[a_step(1)]).unwrap_err().to_string();
        assert!(error.contains("no scalar warmth"), "{error}");
        let step = Step { scalars: [("beta", 5.0), ("warmth", 0.5)].into(), ..a_step(1) };
        session.run(&[program], &[step]).unwrap();
        assert_eq!(session.read_output(program, "scaled").unwrap(), [1.5]);
    }
    let mut graph = Graph::new(ParameterLayout::default());
    let mut value = graph.input("a", Shape::SCALAR);
    for name in ["1", "2", "3", "4", "5", "6", "7", "8", "9"] {
        value = graph.apply(Scale { factor: Factor::Scalar(name) }.into(), &[value]).unwrap();
    }
    graph.output("a", value);
    let error = compile(&graph, Options::default()).unwrap_err().to_string();
    assert!(error.contains("at most 8 scalars"), "{error}");
}

#[test]
fn programs_share_memory_that_neither_the_host_writes_nor_reads() {
    // Each doubles its input three times, so that two values lie in shared buffers.
    let doubling = |size: usize| {
        let mut graph = Graph::new(ParameterLayout::default());
        let mut value = graph.input("x", Shape::new(1, size));
        for _ in 0..3 {
            value = graph.apply(Scale { factor: Factor::Constant(2.0) }.into(), &[value]).unwrap();
        }
        graph.output("y", value);
        compile(&graph, Options::default()).unwrap()
    };
    for device in devices() {
        let mut session = device.session(&ParameterLayout::default(), &[]).unwrap();
        let programs: Vec<_> = [70, 5, 300].map(|size| (size, session.load(doubling(size)).unwrap())).into();
        for (at, &(size, program)) in programs.iter().enumerate() {
            session.write_input(program, "x", &vec![at as f32 + 1.0; size]).unwrap();
        }
        let all: Vec<ProgramId> = programs.iter().map(|&(_, program)| program).collect();
        session.run(&all, &[Step::default(); 2]).unwrap();
        session.run(&all[1..2], &[Step::default()]).unwrap();
        for (at, &(size, program)) in programs.iter().enumerate() {
            let wanted = vec![8.0 * (at as f32 + 1.0); size];
            assert_eq!(session.read_output(program, "y").unwrap(), wanted, "{}", device.name());
        }
    }
}

#[test]
fn a_load_that_fails_leaves_the_session_as_it_was() {
    let doubling = |size: usize| {
        let mut graph = Graph::new(ParameterLayout::default());
        let value = graph.input("x", Shape::SCALAR);
        let wide = graph.apply(RepeatInterleave { count: size }.into(), &[value]).unwrap();
        let sum = graph.apply(SumRows.into(), &[wide]).unwrap();
        graph.output("y", sum);
        compile(&graph, Options::default()).unwrap()
    };
    for checks in [true, false] {
        let Some(device) = gpu(GpuOptions { checks, ..GpuOptions::default() }) else { return };
        let too_many = device.binding_limit().unwrap() as usize / 4 + 64;
        let mut session = device.open_session(&ParameterLayout::default(), &[]).unwrap();
        for _ in 0..2 {
            let error = session.load(doubling(too_many)).unwrap_err().to_string();
            assert!(error.contains("in one binding"), "{error}");
        }
        let program = session.load(doubling(3)).unwrap();
        session.write_input(program, "x", &[2.5]).unwrap();
        session.run(&[program], &[Step::default()]).unwrap();
        assert_eq!(session.read_output(program, "y").unwrap(), [7.5]);
    }
}

#[test]
fn streamed_rows_stay_in_the_data_set() {
    let bytes: Vec<u8> = (1..=4).collect();
    let data = [Data { shape: Shape::new(4, 1), values: Values::Bytes(&bytes) }];
    let mut graph = Graph::new(ParameterLayout::default());
    let set = graph.dataset(0, Shape::new(4, 1), DType::U8);
    let batch = graph.gather(set, 2, Order::Streamed, Pixels::Grey).unwrap();
    graph.output("batch", batch);
    for device in devices() {
        let mut session = device.session(&ParameterLayout::default(), &data).unwrap();
        let program = session.load(compile(&graph, Options::default()).unwrap()).unwrap();
        // The third step has no batch of its own: two rows a step, four examples.
        for (steps, wanted) in [(1, [1.0, 2.0]), (2, [3.0, 4.0]), (3, [4.0, 4.0])] {
            session.run(&[program], &vec![a_step(2); steps]).unwrap();
            let got: Vec<f32> =
                session.read_output(program, "batch").unwrap().iter().map(|x| (x * 255.0).round()).collect();
            assert_eq!(got, wanted, "{} {steps}", device.name());
        }
    }
}

#[test]
fn a_record_of_another_batch_is_not_fused() {
    // Four draws an example: the reconstruction's rows are not the posterior's.
    let mut g = Graph::new(ParameterLayout::default());
    let [z, w, target] =
        [("z", [8, 3]), ("w", [5, 3]), ("target", [8, 5])].map(|(name, shape)| g.input(name, shape.into()));
    let (bias, posterior) = (g.input("bias", Shape::of([5])), g.input("posterior", Shape::new(2, 6)));
    let sum = g.matmul(z, w, Transpose::B).unwrap();
    let y = g.bias_activation(sum, bias, Activation::Identity).unwrap();
    let losses = g.apply(BceLogits.into(), &[y, target]).unwrap();
    let recon = g.apply(BatchMean.into(), &[losses]).unwrap();
    let kls = g.apply(Kl.into(), &[posterior]).unwrap();
    let kl = g.apply(BatchMean.into(), &[kls]).unwrap();
    let loss = g.add_scaled(recon, kl, Factor::Constant(1.0)).unwrap();
    g.record(&[("loss", loss), ("recon", recon), ("kl", kl)]).unwrap();
    let one = g.apply(Constant::new(1.0, Shape::SCALAR).into(), &[]).unwrap();
    let d_w = differentiate(&mut g, loss, one, &[w]).unwrap()[0];
    g.output("d_w", d_w);
    let plan = compile(&g, Options::new(Fusion::All)).unwrap();
    let ops: Vec<&str> = plan.dispatches.iter().map(|dispatch| dispatch.op.name()).collect();
    assert!(ops.contains(&"partial_mean") && ops.contains(&"record"), "{plan}");
}

#[test]
fn a_submission_that_cannot_be_is_refused() {
    for device in devices() {
        let mut session = device.session(&ParameterLayout::default(), &[]).unwrap();
        let mut graph = Graph::new(ParameterLayout::default());
        let a = written(&mut graph, "a", Shape::SCALAR);
        graph.record(&[("a", a)]).unwrap();
        let program = session.load(compile(&graph, Options::default()).unwrap()).unwrap();
        for steps in [0, 65] {
            let error = session.run(&[program], &vec![Step::default(); steps]).unwrap_err().to_string();
            assert_eq!(error, format!("a submission of {steps} steps: it must have 1 to 64"));
        }
        let error = session.run(&[program, program], &[Step::default()]).unwrap_err().to_string();
        assert!(error.contains("a step runs a program once"), "{error}");
    }
}
