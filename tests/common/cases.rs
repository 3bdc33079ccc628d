//! An op's case on a GPU, and in f64.

use super::{a_step, dataset, fill, inputs};
use vae_gpu::backend::cpu::interpret;
use vae_gpu::backend::gpu::Gpu;
use vae_gpu::backend::{Data, Session};
use vae_gpu::error::Result;
use vae_gpu::graph::{Graph, NodeId};
use vae_gpu::ops::{Case, Factor, Fill, Scale};
use vae_gpu::plan::{Fusion, Options, compile};
use vae_gpu::train::ModelInput;

/// The op's value in f64.
pub fn reference(case: &Case, rows: usize) -> Vec<f64> {
    let (graph, _, output) = Graph::of_case(case).unwrap();
    let held = dataset(case);
    let data: Vec<Data<'_>> = held.iter().map(ModelInput::resident).collect();
    let mut values = interpret::<f64>(&graph, &a_step(rows), &[], &data, &inputs(case)).unwrap();
    values.swap_remove(output_index(&graph, output))
}

fn output_index(graph: &Graph, output: NodeId) -> usize {
    graph.ids().position(|id| id == output).unwrap()
}

/// The op's value on a GPU; an error where a kernel wrote past the end of a buffer.
pub fn on_gpu(case: &Case, rows: usize, device: &Gpu) -> Result<Vec<f64>> {
    let (graph, _, _) = Graph::of_case(case).unwrap();
    let held = dataset(case);
    let data: Vec<Data<'_>> = held.iter().map(ModelInput::resident).collect();
    let mut session = device.open_session(graph.layout(), &data).unwrap();
    let program = session.load(compile(&graph, Options { fuse: Fusion::None }).unwrap()).unwrap();
    for (i, (_, kind)) in case.inputs.iter().enumerate() {
        if !kind.is_dataset() {
            let values: Vec<f32> = fill(case, i).iter().map(|&value| value as f32).collect();
            session.write_input(program, &format!("in{i}"), &values).unwrap();
        }
    }
    session.run(&[program], &[a_step(rows)]).unwrap();
    session.check_guards()?;
    Ok(session.read_output(program, "out").unwrap().iter().map(|&value| f64::from(value)).collect())
}

/// Rows that count: of a masked op, not all of them.
pub fn rows(case: &Case) -> usize {
    case.inputs.first().map_or(1, |(shape, _)| (shape.rows() * 3).div_ceil(4))
}

/// A kernel of more workgroups than a dimension has, 65,535 of 128 elements: too large for the registry.
pub fn folded() -> Case {
    Case::new(Scale { factor: Factor::Constant(-1.375) }, 1, &[([8193, 1024], Fill::Normal)])
}
