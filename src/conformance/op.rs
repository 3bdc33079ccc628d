//! An op's case on a device, and in f64.

use std::collections::HashMap;

use super::Tolerance;
use crate::backend::cpu::{Cpu, interpret};
use crate::backend::{Data, Device};
use crate::data::{ImageSize, Images, Values};
use crate::error::Result;
use crate::graph::{Graph, Node, Source};
use crate::ops::{Activate, Activation, Case, DECAY, Factor, Fill, KEEP, SECOND_SCALE, STEP_SIZE, Scale};
use crate::plan::{Fusion, Options, Plan, compile};
use crate::rng::{Draw, Stream};
use crate::step::Step;
use crate::tensor::{DType, Shape};
use crate::train::ModelInput;

/// A step with every value set to something that is not its default.
pub fn a_step(rows: usize) -> Step {
    let keys = [0x9e37_79b9, 2, 0x7f4a_7c15, 4, 0xdead_beef, 6, 0x1234_5678, 8];
    Step {
        index: (7 << 32) + 11,
        first: 5,
        rows: rows as u32,
        seed: 42,
        slot: 0,
        order: keys,
        scalars: [("beta", 0.625), (STEP_SIZE, 0.01), (SECOND_SCALE, 2.0), (DECAY, 0.875), (KEEP, 1.0)].into(),
    }
}

/// Rows that count: of a masked op, not all of them.
pub fn rows(case: &Case) -> usize {
    case.inputs.first().map_or(1, |(shape, _)| (shape.rows() * 3).div_ceil(4))
}

/// Input `index` of a case, the same in f32 and f64: every value is a f32. None of a data set, which is no input.
pub fn fill(case: &Case, index: usize) -> Vec<f64> {
    let (shape, fill) = case.inputs[index];
    let draw = Draw { seed: 9, stream: Stream::Prior, step: 0 };
    let at = |e: u32| match fill {
        Fill::Normal => Some(f64::from(draw.normal(index as u32, e))),
        Fill::Wide => Some(f64::from(30.0 * draw.normal(index as u32, e))),
        Fill::Unit => Some(f64::from(draw.uniform(index as u32, e))),
        Fill::Few => Some(f64::from(draw.bits(index as u32, e) % 5) - 2.0),
        Fill::Bytes | Fill::Reals => None,
    };
    (0..shape.len() as u32).filter_map(at).collect()
}

/// The data set of a case that has one: one image a row, all labelled 0.
pub fn dataset(case: &Case) -> Option<Images> {
    let draw = Draw { seed: 9, stream: Stream::Pixels, step: 0 };
    let &(shape, fill) = case.inputs.first()?;
    let elements = 0..shape.len() as u32;
    let pixels = match fill {
        Fill::Bytes => Values::Bytes(elements.map(|e| (draw.bits(0, e) >> 24) as u8).collect()),
        Fill::Reals => Values::Reals(elements.map(|e| draw.uniform(0, e)).collect()),
        _ => return None,
    };
    Some(Images::new(ImageSize::grey(1, shape.cols()), pixels))
}

/// All inputs by name.
pub fn inputs(case: &Case) -> HashMap<String, Vec<f64>> {
    let reals = case.inputs.iter().enumerate().filter(|(_, (_, fill))| !fill.is_dataset());
    reals.map(|(i, _)| (format!("in{i}"), fill(case, i))).collect()
}

/// The case's value in f64, by the op's reference.
///
/// # Errors
/// [`Error::Graph`](crate::Error::Graph) where the case is none of its op.
pub fn reference(case: &Case) -> Result<Vec<f64>> {
    let (graph, _, output) = Graph::of_case(case)?;
    let held = dataset(case);
    let data: Vec<Data<'_>> = held.iter().map(ModelInput::resident).collect();
    let values = interpret::<f64>(&graph, &a_step(rows(case)), &[], &data, &inputs(case))?;
    let computed = graph.ids().zip(values).find(|(id, _)| *id == output);
    Ok(computed.map(|(_, values)| values).unwrap_or_default())
}

/// The case's value on a device.
///
/// # Errors
/// What the device fails with; with injected checks, where a kernel wrote past the end of a buffer.
pub fn run(case: &Case, device: &dyn Device) -> Result<Vec<f64>> {
    let (graph, _, _) = Graph::of_case(case)?;
    run_plan(case, compile(&graph, Options::new(Fusion::None))?, device)
}

/// The output of a plan for a case's inputs.
fn run_plan(case: &Case, plan: Plan, device: &dyn Device) -> Result<Vec<f64>> {
    let held = dataset(case);
    let data: Vec<Data<'_>> = held.iter().map(ModelInput::resident).collect();
    let mut session = device.session(&plan.layout, &data)?;
    let program = session.load(plan)?;
    for (name, values) in inputs(case) {
        let values: Vec<f32> = values.iter().map(|&value| value as f32).collect();
        session.write_input(program, &name, &values)?;
    }
    session.run(&[program], &[a_step(rows(case))])?;
    session.check_guards()?;
    Ok(session.read_output(program, "out")?.into_iter().map(f64::from).collect())
}

/// How much of its tolerance a device uses on a case whose value must be `wanted`.
///
/// # Errors
/// What is wrong.
pub fn agreement(case: &Case, wanted: &[f64], device: &dyn Device) -> Result<f64, String> {
    let got = run(case, device).map_err(|error| error.to_string())?;
    Tolerance::rounding(case.terms).compare(&got, wanted)
}

/// A case whose op takes inputs, and leaves its value, in half precision wherever it can: copies lie before it and behind it. None
/// where it can nowhere.
///
/// # Errors
/// [`Error::Graph`](crate::Error::Graph) where the case is none of its op.
pub fn plan_in_half(case: &Case) -> Result<Option<Plan>> {
    let (graph, inputs, output) = Graph::of_case(case)?;
    let copy = |graph: &mut Graph, value| graph.apply(Activate { activation: Activation::Identity }.into(), &[value]);
    let mut wrapped = Graph::new(graph.layout().clone());
    let mut taken = Vec::new();
    for (at, &input) in inputs.iter().enumerate() {
        let Node { source, shape, dtype, .. } = graph.node(input);
        let input = match source {
            Source::Dataset(index) => wrapped.dataset(*index, *shape, *dtype),
            _ => wrapped.input(&format!("in{at}"), *shape),
        };
        taken.push(if case.op.loads_half(at) { copy(&mut wrapped, input)? } else { input });
    }
    let value = wrapped.apply(case.op.clone(), &taken)?;
    let value = if case.op.is_activation() { copy(&mut wrapped, value)? } else { value };
    debug_assert_eq!(wrapped.shape(value), graph.shape(output));
    wrapped.output("out", value);
    let plan = compile(&wrapped, Options { half: true, ..Options::new(Fusion::None) })?;
    let any = plan.dispatches.iter().flat_map(|dispatch| &dispatch.outputs).any(|view| view.dtype == DType::F16);
    Ok(any.then_some(plan))
}

/// How much of its tolerance a device uses on a case in half precision; none where its op does nothing so.
///
/// # Errors
/// What is wrong.
pub fn agreement_in_half(case: &Case, device: &dyn Device) -> Result<Option<f64>, String> {
    let Some(plan) = plan_in_half(case).map_err(|error| error.to_string())? else { return Ok(None) };
    let on = |device: &dyn Device| run_plan(case, plan.clone(), device).map_err(|error| error.to_string());
    let products = case.op.is_matmul() && device.profile().is_some_and(|profile| profile.half.is_some());
    let tolerance = if products { Tolerance::halves(case.terms) } else { Tolerance::rounding(case.terms) };
    let tolerance = if case.op.is_activation() { tolerance.stored_as_half() } else { tolerance };
    tolerance.compare(&on(device)?, &on(&Cpu::<f64>::new())?).map(Some)
}

/// What every device runs that runs anything.
pub(super) fn smallest() -> Case {
    Case::new(Scale { factor: Factor::Constant(2.0) }, 1, &[([1, 1], Fill::Normal)])
}

/// A kernel of more workgroups than a dimension has, 65,535 of 128 elements: too large for the registry.
pub fn folded() -> Case {
    Case::new(Scale { factor: Factor::Constant(-1.375) }, 1, &[([8193, 1024], Fill::Normal)])
}

/// The sums of a value's columns, which fills so many bytes, less a row at most: each is a whole number that f32 holds exactly.
/// Returns what the device says and what they are.
///
/// # Errors
/// What the device fails with.
pub(super) fn sums_of_a_large_value(bytes: u64, device: &dyn Device) -> Result<(Vec<f64>, Vec<f64>)> {
    const COLS: usize = 1024;
    // Sums of at most 2^24 are exact, and so is each part of one.
    let rows = usize::try_from(bytes / (4 * COLS as u64)).unwrap_or(usize::MAX).clamp(1, 1 << 20);
    let row: Vec<f32> = (0..COLS).map(|col| (col * 7 % 31) as f32 - 15.0).collect();
    let mut graph = Graph::new(Default::default());
    let x = graph.input("x", Shape::new(1, COLS));
    let large = graph.apply(crate::ops::RepeatInterleave { count: rows }.into(), &[x])?;
    let sums = graph.apply(crate::ops::SumRows.into(), &[large])?;
    graph.output("sums", sums);
    let mut session = device.session(graph.layout(), &[])?;
    let program = session.load(compile(&graph, Options::new(Fusion::None))?)?;
    session.write_input(program, "x", &row)?;
    session.run(&[program], &[a_step(1)])?;
    let got = session.read_output(program, "sums")?.into_iter().map(f64::from).collect();
    Ok((got, row.iter().map(|&value| f64::from(value) * rows as f64).collect()))
}
