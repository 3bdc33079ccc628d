//! Random graphs on a GPU against f64: ops of the registry at random sizes, chained at random, with every loop of products,
//! fused and not, with checks and without. Rung 6 of the ladder.
//!
//! `VAE_GPU_GRAPHS=2000` tries as many graphs; `VAE_GPU_GRAPH=17` tries the one of that number and prints its plan.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use crate::common::{Check, Draws, Tolerance, gpu, tries};
use std::collections::BTreeMap;
use vae_gpu::backend::gpu::{Gpu, GpuOptions};
use vae_gpu::backend::{Data, Session, Values};
use vae_gpu::graph::{Graph, NodeId, ParameterLayout, Source};
use vae_gpu::ops::{Algorithm, Case, Effect, Factor, Fill, KEEP, Op, Scale, TuningTable, View};
use vae_gpu::plan::{Fusion, Options, compile};
use vae_gpu::step::Step;
use vae_gpu::tensor::{DType, Shape};

/// Rows and columns at most.
const LARGEST: usize = 300;
/// Elements of a value at most, so that none takes longer than all others together.
const ELEMENTS: usize = 1 << 16;

/// A graph, and what its values are: all of them by node, as f32 where the host writes them.
struct Random {
    graph: Graph,
    step: Step,
    /// By node.
    values: Vec<Vec<f64>>,
    /// What the host writes.
    inputs: Vec<(String, Vec<f32>)>,
    datasets: Vec<(Shape, DType, Vec<f32>)>,
    /// What later ops may read.
    pool: Vec<NodeId>,
    /// Whether the next op reads the last value for certain.
    chained: bool,
    /// Nodes that are checked, and how many terms the longest sum behind an element has.
    checked: Vec<(NodeId, usize)>,
    draws: Draws,
}

impl Random {
    fn new(number: u32) -> Random {
        let mut draws = Draws::new(number);
        let keys = [(); 8].map(|()| draws.bits());
        let step = Step {
            index: (u64::from(draws.bits()) << 32) + u64::from(draws.bits()),
            first: draws.below(1000) as u32,
            rows: draws.between(1, LARGEST) as u32,
            seed: draws.bits(),
            order: keys,
            scalars: [("beta", 0.625), (KEEP, 1.0)].into(),
            ..Step::default()
        };
        let graph = Graph::new(ParameterLayout::default());
        let (values, inputs, datasets, pool, checked) = Default::default();
        let mut random = Random { graph, step, values, inputs, datasets, pool, chained: false, checked, draws };
        // Every op comes first in its turn; the others follow at random.
        let mut names: Vec<&str> = Op::cases().iter().map(|case| case.op.name()).collect();
        names.dedup();
        let mut name = names[number as usize % names.len()];
        for _ in 0..random.draws.between(2, 6) {
            random.apply_one_of(name);
            // Matmuls, and the ops fused into them, more often than the others: that is what fusion is about.
            random.chained = name == "matmul" && random.draws.below(4) > 0;
            let next = random.draws.below(names.len() + 20);
            name = match names.get(next) {
                _ if random.chained => "bias_activation",
                Some(name) => name,
                None => "matmul",
            };
        }
        random
    }

    /// Applies the op at random sizes.
    fn apply_one_of(&mut self, name: &str) {
        let cases: Vec<Case> = Op::cases().into_iter().filter(|case| case.op.name() == name).collect();
        for _ in 0..20 {
            let case = &cases[self.draws.below(cases.len())];
            let known = self.known_input(case);
            let Some(sizes) = self.sizes(case, known) else { continue };
            let shapes: Vec<Shape> = case.inputs.iter().map(|(shape, _)| resized(&sizes, *shape)).collect();
            let output = case.op.shape(&shapes);
            if output.is_ok_and(|shape| shapes.iter().chain([&shape]).all(|shape| shape.len() <= ELEMENTS)) {
                let growth = sizes.iter().map(|(&old, &new)| new.div_ceil(old)).max().unwrap_or(1);
                return self.apply(case, &shapes, known, case.terms * growth);
            }
        }
        // What an attribute says of sizes leaves few others: those that the registry has.
        let case = &cases[self.draws.below(cases.len())];
        let shapes: Vec<Shape> = case.inputs.iter().map(|(shape, _)| *shape).collect();
        self.apply(case, &shapes, None, case.terms);
    }

    /// A value that the op could read first: mostly the last one, so that chains grow.
    fn known_input(&mut self, case: &Case) -> Option<NodeId> {
        let reads = case.inputs.first().is_some_and(|(_, fill)| *fill == Fill::Normal);
        let found = reads && !self.pool.is_empty() && case.op.effect() == Effect::Value;
        let found = found && (self.chained || self.draws.below(4) > 0);
        found.then(|| {
            let last = self.pool.len() - 1;
            self.pool[if self.chained || self.draws.below(3) > 0 { last } else { self.draws.below(self.pool.len()) }]
        })
    }

    /// For each size in the case another: 1 stays 1, what is twice another stays twice it, what is even stays even. The
    /// first input gets the shape of the `known` value. None where that can't be.
    fn sizes(&mut self, case: &Case, known: Option<NodeId>) -> Option<BTreeMap<usize, usize>> {
        let mut sizes = BTreeMap::from([(1, 1)]);
        for (at, &(shape, fill)) in case.inputs.iter().enumerate() {
            let wanted = match known {
                Some(id) if at == 0 => Some(self.graph.shape(id)),
                _ => None,
            };
            // Of images only equal ones are read again: sizes are those of matrices.
            if wanted.is_some_and(|wanted| wanted.rank() != shape.rank() || wanted.rank() > 2) {
                return None;
            }
            for (old, new) in
                [(shape.rows(), wanted.map(|shape| shape.rows())), (shape.cols(), wanted.map(|s| s.cols()))]
            {
                if let Some(&size) = sizes.get(&old) {
                    if new.is_some_and(|new| new != size) {
                        return None;
                    }
                    continue;
                }
                let half = sizes.get(&(old / 2)).filter(|_| old % 2 == 0).map(|half| 2 * half);
                let double = sizes.get(&(2 * old)).filter(|double| double.is_multiple_of(2)).map(|double| double / 2);
                // A gather's batch is an attribute of it, and must be among the data set's rows.
                let kept = fill.is_dataset().then_some(old);
                let most = if self.draws.below(2) == 0 { 8 } else { LARGEST };
                let drawn = self.draws.between(1, most);
                let drawn = if old % 2 == 0 { 2 * drawn.div_ceil(2) } else { drawn };
                sizes.insert(old, new.or(half).or(double).or(kept).unwrap_or(drawn));
            }
        }
        Some(sizes)
    }

    fn apply(&mut self, case: &Case, shapes: &[Shape], known: Option<NodeId>, terms: usize) {
        let mut inputs = Vec::new();
        for (at, (&shape, &(_, fill))) in shapes.iter().zip(&case.inputs).enumerate() {
            let known = match known {
                Some(id) if at == 0 => Some(id),
                _ if fill == Fill::Normal && case.op.effect() == Effect::Value && self.draws.below(2) == 0 => {
                    self.pool.iter().copied().rfind(|&id| self.graph.shape(id) == shape)
                }
                _ => None,
            };
            // Weights as layers have them, so that products need no scaling.
            let share = if case.op.is_matmul() { 0.5_f32.powi((terms.ilog2() / 2) as i32) } else { 1.0 };
            let input = known.unwrap_or_else(|| self.leaf(shape, fill, share));
            inputs.push(input);
        }
        let node = self.node(&case.op, &inputs, terms);
        let largest = self.values[self.index(node)].iter().fold(0.0_f64, |most, value| most.max(value.abs()));
        if !largest.is_finite() || case.op.effect() != Effect::Value {
            return;
        }
        // Values stay of size about 1: that is what the tolerances are for.
        let small = match largest > 8.0 {
            true => {
                let factor = Factor::Constant(0.5_f64.powi(largest.log2().ceil() as i32 - 2));
                self.node(&Scale { factor }.into(), &[node], 1)
            }
            false => node,
        };
        self.pool.push(small);
    }

    /// Adds the op and computes its value.
    fn node(&mut self, op: &Op, inputs: &[NodeId], terms: usize) -> NodeId {
        let id = self.graph.apply(op.clone(), inputs).unwrap();
        let value = self.reference(id, |input| self.values[self.index(input)].clone());
        self.values.push(value);
        self.checked.push((id, terms));
        id
    }

    /// An input or a data set, its values multiplied by `share`.
    fn leaf(&mut self, shape: Shape, fill: Fill, share: f32) -> NodeId {
        let number = self.graph.nodes().len();
        let values: Vec<f32> = (0..shape.len()).map(|_| share * self.draws.value(fill)).collect();
        self.values.push(values.iter().map(|&value| f64::from(value)).collect());
        match fill {
            Fill::Bytes | Fill::Reals => {
                let dtype = if fill == Fill::Bytes { DType::U8 } else { DType::F32 };
                self.datasets.push((shape, dtype, values));
                self.graph.dataset(self.datasets.len() - 1, shape, dtype)
            }
            Fill::Normal | Fill::Wide | Fill::Unit | Fill::Few => {
                let name = format!("in{number}");
                self.inputs.push((name.clone(), values));
                self.graph.input(&name, shape)
            }
        }
    }

    fn index(&self, id: NodeId) -> usize {
        self.graph.ids().position(|other| other == id).unwrap()
    }

    /// The op of a node in f64, on these values of its inputs.
    fn reference(&self, id: NodeId, value: impl Fn(NodeId) -> Vec<f64>) -> Vec<f64> {
        let node = self.graph.node(id);
        let Source::Op(op) = &node.source else { unreachable!("a value that is computed") };
        let values: Vec<Vec<f64>> = node.inputs.iter().map(|&input| value(input)).collect();
        // The one input that may be stored so.
        let bytes: Vec<u8> = values.first().map_or(Vec::new(), |values| values.iter().map(|&v| v as u8).collect());
        let mut views: Vec<View<'_, f64>> = Vec::new();
        for (&input, values) in node.inputs.iter().zip(&values) {
            let stored = &self.graph.node(input).dtype;
            views.push(match stored {
                DType::F32 | DType::F16 | DType::U32 => View { shape: self.graph.shape(input), values, bytes: &[] },
                DType::U8 => View { shape: self.graph.shape(input), values: &[], bytes: &bytes },
            });
        }
        let mut out = match op.effect() {
            Effect::Update(1) => views.remove(0).values.to_vec(),
            _ => vec![f64::NAN; node.shape.len()],
        };
        op.reference(&self.step, &views, &mut [&mut out]);
        out
    }
}

fn resized(sizes: &BTreeMap<usize, usize>, shape: Shape) -> Shape {
    match shape.rank() {
        1 => Shape::of([sizes[&shape.cols()]]),
        _ => Shape::new(sizes[&shape.rows()], sizes[&shape.cols()]),
    }
}

/// A device with checks and one without.
fn gpus() -> Option<[Gpu; 2]> {
    let open = |checks| gpu(GpuOptions { checks, ..GpuOptions::default() });
    Some([open(true)?, open(false)?])
}

/// What these nodes are on a GPU, by a plan that has just them as outputs; and how many dispatches it has.
fn on_gpu(
    device: &Gpu,
    random: &Random,
    outputs: &[NodeId],
    fuse: Fusion,
    print: bool,
) -> (BTreeMap<NodeId, Vec<f32>>, usize) {
    let mut graph = random.graph.clone();
    for (at, &id) in outputs.iter().enumerate() {
        graph.output(&format!("out{at}"), id);
    }
    let plan = compile(&graph, Options::new(fuse)).unwrap();
    if print {
        println!("{fuse:?}\n{plan}");
    }
    let bytes: Vec<Vec<u8>> =
        random.datasets.iter().map(|(_, _, values)| values.iter().map(|&v| v as u8).collect()).collect();
    let data = random.datasets.iter().zip(&bytes).map(|((shape, dtype, reals), bytes)| {
        let values = match dtype {
            DType::U8 => Values::Bytes(bytes),
            DType::F32 | DType::F16 | DType::U32 => Values::Reals(reals),
        };
        Data { shape: *shape, values }
    });
    let mut session = device.open_session(graph.layout(), &data.collect::<Vec<_>>()).unwrap();
    let read: Vec<String> = plan.inputs.iter().map(|(name, _)| name.clone()).collect();
    let dispatches = plan.dispatches.len();
    let program = session.load(plan).unwrap();
    for (name, values) in random.inputs.iter().filter(|(name, _)| read.contains(name)) {
        session.write_input(program, name, values).unwrap();
    }
    session.run(&[program], &[random.step]).unwrap();
    session.check_guards().unwrap();
    let value = |(at, &id): (usize, &NodeId)| (id, session.read_output(program, &format!("out{at}")).unwrap());
    (outputs.iter().enumerate().map(value).collect(), dispatches)
}

/// A loop of its own for each product of the graph.
fn loops(random: &mut Random) -> TuningTable {
    let mut products = TuningTable::new();
    for node in random.graph.clone().nodes() {
        if let Source::Op(Op::Matmul(op)) = &node.source {
            let (m, n, k) = op.extents(random.graph.shape(node.inputs[0]), random.graph.shape(node.inputs[1]));
            products.insert([m, n, k], Algorithm::ALL[random.draws.below(Algorithm::ALL.len())]);
        }
    }
    products
}

#[test]
fn random_graphs_agree_with_the_reference() {
    let Some(gpus) = gpus() else { return };
    let only: Option<u32> = std::env::var("VAE_GPU_GRAPH").ok().map(|number| number.parse().unwrap());
    let numbers = only.map_or(0..tries("VAE_GPU_GRAPHS", 120), |number| number..number + 1);
    let (mut applied, mut fused_plans) = (BTreeMap::new(), 0);
    for number in numbers.clone() {
        let mut random = Random::new(number);
        let mut device = gpus[number as usize % 2].clone();
        device.set_tuning(loops(&mut random));
        let print = only.is_some();
        let nodes: Vec<NodeId> = random.checked.iter().map(|&(id, _)| id).collect();
        let (seen, unfused) = on_gpu(&device, &random, &nodes, Fusion::None, print);
        for &(id, terms) in &random.checked {
            let node = random.graph.node(id);
            let Source::Op(op) = &node.source else { unreachable!("only ops are checked") };
            *applied.entry(op.name()).or_insert(0) += 1;
            // In f64, on what the GPU had: no rounding but this op's own is behind the difference.
            let value = |input: NodeId| match seen.get(&input) {
                Some(values) => values.iter().map(|&value| f64::from(value)).collect(),
                None => random.values[random.index(input)].clone(),
            };
            let wanted = random.reference(id, value);
            if wanted.iter().any(|value| !value.is_finite()) {
                continue;
            }
            let got: Vec<f64> = seen[&id].iter().map(|&value| f64::from(value)).collect();
            let shapes: Vec<Shape> = node.inputs.iter().map(|&input| random.graph.shape(input)).collect();
            Tolerance::rounding_among(terms, &wanted).check(
                &format!("graph {number}: {op:?} on {shapes:?}"),
                &got,
                &wanted,
            );
        }
        // The last values alone: slots are shared, and products take over what surrounds them.
        let read: Vec<NodeId> = random.graph.nodes().iter().flat_map(|node| node.inputs.clone()).collect();
        let last: Vec<NodeId> = nodes.into_iter().filter(|id| !read.contains(id)).collect();
        for fuse in [Fusion::None, Fusion::Epilogues, Fusion::All] {
            let (got, dispatches) = on_gpu(&device, &random, &last, fuse, print);
            fused_plans += u32::from(dispatches < unfused);
            for (id, got) in got {
                let what = format!("graph {number}: {fuse:?}: {:?}", random.graph.node(id).source);
                let bits = |values: &[f32]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
                match fuse {
                    Fusion::None => assert!(bits(&got) == bits(&seen[&id]), "{what}: slots that are shared change it"),
                    // A fused kernel may be contracted to other multiply-adds: each op's rounding counts.
                    Fusion::Epilogues | Fusion::All => {
                        let terms = random.checked.iter().map(|(_, terms)| terms).sum();
                        let [got, wanted] =
                            [&got, &seen[&id]].map(|v| v.iter().map(|&v| f64::from(v)).collect::<Vec<_>>());
                        if wanted.iter().all(|value| value.is_finite()) {
                            Tolerance::rounding_among(terms, &wanted).check(&what, &got, &wanted);
                        }
                    }
                }
            }
        }
    }
    eprintln!("{} graphs, {fused_plans} fused plans, ops: {applied:?}", numbers.len());
    if numbers.len() >= 120 {
        let missing: Vec<&str> =
            Op::cases().iter().map(|case| case.op.name()).filter(|name| !applied.contains_key(name)).collect();
        assert!(missing.is_empty(), "never applied: {missing:?}");
        assert!(fused_plans as usize >= numbers.len() / 4, "only {fused_plans} plans of {} were fused", numbers.len());
    }
}
