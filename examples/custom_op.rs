//! An op that the crate lacks, from its shader to its gradient: a product element by element, as gates need it. Its gradient
//! is checked against finite differences in f64, its kernel on the first adapter against its reference.

use std::collections::HashMap;

use vae_gpu::backend::Session;
use vae_gpu::backend::cpu::interpret;
use vae_gpu::backend::gpu::{Gpu, GpuOptions, adapters};
use vae_gpu::graph::{Backward, Graph, NodeId, ParameterLayout, differentiate};
use vae_gpu::ops::{Activation, Case, Custom, DeviceProfile, Fill, Fragment, Kernel, Operation, Real, View};
use vae_gpu::plan::{Options, compile};
use vae_gpu::step::Step;
use vae_gpu::tensor::Shape;
use vae_gpu::{Error, Result};

/// `y = a b`, element by element.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Product;

impl Operation for Product {
    const NAME: &'static str = "product";

    fn shape(&self, inputs: &[Shape]) -> Result<Shape> {
        match inputs {
            [a, b] if a == b => Ok(*a),
            _ => Err(Error::Graph(format!("product: inputs are {inputs:?}: they must be two of one shape"))),
        }
    }

    fn reference<T: Real>(&self, _: &Step, inputs: &[View<'_, T>], outputs: &mut [&mut [T]]) {
        let (a, b) = (inputs[0].values, inputs[1].values);
        for (y, (&a, &b)) in outputs[0].iter_mut().zip(a.iter().zip(b)) {
            *y = a * b;
        }
    }

    fn gradient(&self, back: &mut Backward<'_>) -> Result<Vec<Option<NodeId>>> {
        let (a, b, d_y) = (back.inputs[0], back.inputs[1], back.d_output);
        Ok(vec![Some(back.apply(Custom::new(Product), &[d_y, b])?), Some(back.apply(Custom::new(Product), &[d_y, a])?)])
    }

    fn kernel(&self, _: &[Shape], output: Shape, _: &DeviceProfile) -> Kernel {
        let main = Fragment { name: "custom_op.wgsl", source: include_str!("custom_op.wgsl") };
        Kernel::elementwise(main, output.len())
    }

    fn cases() -> Vec<Case> {
        let case = |size| Case::new(Custom::new(Product), 1, &[(size, Fill::Normal), (size, Fill::Normal)]);
        [[1, 1], [63, 65], [128, 400]].map(case).to_vec()
    }
}

const SHAPE: Shape = Shape::new(7, 33);

fn main() -> Result<()> {
    // A gated layer's end: x sigmoid(gate + bias), and its gradients.
    let mut g = Graph::new(ParameterLayout::default());
    let [x, gate] = ["x", "gate"].map(|name| g.input(name, SHAPE));
    let bias = g.input("bias", Shape::of([SHAPE.cols()]));
    let open = g.bias_activation(gate, bias, Activation::Sigmoid)?;
    let y = g.apply(Custom::new(Product).into(), &[x, open])?;
    let seed = g.input("seed", SHAPE);
    let targets = [x, gate, bias];
    let gradients = differentiate(&mut g, y, seed, &targets)?;
    for (name, id) in ["y", "d_x", "d_gate", "d_bias"].into_iter().zip([y].into_iter().chain(gradients.clone())) {
        g.output(name, id);
    }

    let values = |name: &str, shape: Shape| {
        let wave = |i: usize| (1.7 * i as f32 + name.len() as f32).sin();
        (name.to_owned(), (0..shape.len()).map(|i| f64::from(wave(i))).collect::<Vec<f64>>())
    };
    let mut inputs = HashMap::from(["x", "gate", "seed"].map(|name| values(name, SHAPE)));
    inputs.extend([values("bias", Shape::of([SHAPE.cols()]))]);

    // Gradients, in f64: 6 digits are what a central difference has.
    let run = |inputs: &HashMap<String, Vec<f64>>| interpret::<f64>(&g, &Step::default(), &[], &[], inputs);
    let seeded = |inputs: &HashMap<String, Vec<f64>>| -> Result<f64> {
        Ok(run(inputs)?[index(&g, y)].iter().zip(&inputs["seed"]).map(|(y, seed)| y * seed).sum())
    };
    let reference = run(&inputs)?;
    let mut worst = 0.0_f64;
    for (name, gradient) in ["x", "gate", "bias"].into_iter().zip(gradients) {
        for (at, found) in reference[index(&g, gradient)].iter().enumerate() {
            let moved = |by: f64| {
                let mut inputs = inputs.clone();
                if let Some(values) = inputs.get_mut(name) {
                    values[at] += by;
                }
                seeded(&inputs)
            };
            worst = worst.max(((moved(1e-5)? - moved(-1e-5)?) / 2e-5 - found).abs());
        }
    }
    println!("gradients: at most {worst:.1e} from finite differences");
    assert!(worst < 1e-6);

    // The kernel, on an adapter.
    let Some(adapter) = adapters().into_iter().next() else {
        println!("there is no adapter: the kernel was not run");
        return Ok(());
    };
    let device = Gpu::open(adapter.index, GpuOptions::default())?;
    let mut session = device.open_session(g.layout(), &[])?;
    let program = session.load(compile(&g, Options::default())?)?;
    for (name, values) in &inputs {
        session.write_input(program, name, &values.iter().map(|&value| value as f32).collect::<Vec<f32>>())?;
    }
    session.run(&[program], &[Step::default()])?;
    let mut worst = 0.0_f64;
    for (name, id) in g.outputs() {
        for (found, wanted) in session.read_output(program, name)?.iter().zip(&reference[index(&g, *id)]) {
            worst = worst.max((f64::from(*found) - wanted).abs());
        }
    }
    println!("{}: at most {worst:.1e} from the reference", adapter.name);
    assert!(worst < 1e-5);
    Ok(())
}

/// A node's position among a graph's values.
fn index(graph: &Graph, id: NodeId) -> usize {
    graph.ids().position(|known| known == id).expect("the node is the graph's")
}
