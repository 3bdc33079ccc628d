//! Planning: a graph becomes a list of dispatches over buffers. Pure data, printable; knows no device.
//!
//! [`compile`] leaves out what nothing needs, fuses (`fuse.rs`), chooses how values are stored (`storage.rs`), groups independent
//! ops (`schedule.rs`), and gives every value a buffer view. Parameters, their gradients and what an optimiser keeps live in arenas of one layout,
//! each known by its name; activations share slots by lifetime, the smallest that is large enough. An output never
//! shares a buffer with an input of the same dispatch: WebGPU forbids it even at disjoint offsets.
//!
//! Dispatches run one after another, whatever depends on what: wgpu puts a full barrier before each that writes a buffer, and
//! every one does. So a plan counts dispatches, and nothing is placed for two to overlap.

mod check;
mod fuse;
pub mod link;
mod lower;
mod pool;
pub mod recording;
mod schedule;
mod show;
mod storage;

pub use lower::lower;
pub(crate) use lower::lower_changed;
pub use pool::Pool;
pub use recording::Recording;

use crate::error::{Result, graph_error};
use crate::graph::{GRADIENTS, Graph, Node, NodeId, PARAMETERS, ParameterId, ParameterLayout, Source};
use crate::ops::{Effect, Op};
use crate::step::{MAX_SCALARS, MAX_STEPS};
use crate::tensor::{DType, Shape};
use std::collections::HashMap;
use std::ops::Range;

/// Which buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BufferId {
    /// The arena of this name, shared by all programs of a session.
    Arena(&'static str),
    /// The metrics ring, a row a step of a submission.
    Metrics,
    /// A resident data set, by the order in which the session was given them.
    Dataset(usize),
    /// A buffer of this plan's own: an activation slot, an input or an output.
    Local(usize),
}

/// A value's place: a buffer, bytes before it, its shape, and how it is stored.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BufferView {
    /// The buffer.
    pub buffer: BufferId,
    /// Bytes before it.
    pub offset: usize,
    /// Its shape.
    pub shape: Shape,
    /// How its elements are stored.
    pub dtype: DType,
}

impl BufferView {
    /// Its size in bytes.
    pub fn bytes(&self) -> usize {
        self.shape.len() * self.dtype.bytes()
    }

    /// Elements before it.
    pub fn first(&self) -> usize {
        self.offset / self.dtype.bytes()
    }
}

/// One op on its buffers.
#[derive(Clone, Debug)]
pub struct Dispatch {
    /// The op.
    pub op: Op,
    /// What it reads.
    pub inputs: Vec<BufferView>,
    /// What it writes, and for an update also reads.
    pub outputs: Vec<BufferView>,
    /// Consecutive dispatches of one number are independent of each other, and may run as one.
    pub group: usize,
}

/// What a back-end loads: dispatches in order, and the buffers they use.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// The arenas' layout.
    pub layout: ParameterLayout,
    /// The dispatches, in order.
    pub dispatches: Vec<Dispatch>,
    /// Bytes of each local buffer.
    pub locals: Vec<usize>,
    /// Values the host may write before a run.
    pub inputs: Vec<(String, BufferView)>,
    /// Values the host may read after a run.
    pub outputs: Vec<(String, BufferView)>,
    /// The data sets that are read: which, its shape, how it is stored.
    pub datasets: Vec<(usize, Shape, DType)>,
    /// Names of the arenas that are used.
    pub arenas: Vec<&'static str>,
    /// Names of the scalars that are read of a step.
    pub scalars: Vec<&'static str>,
    /// Names of what is recorded of a step: the columns of the metrics ring.
    pub metrics: Vec<&'static str>,
}

impl Plan {
    /// The groups that write to this part of an arena, in order.
    pub fn writers(&self, arena: &str, part: &Range<usize>) -> impl DoubleEndedIterator<Item = usize> {
        self.groups_with(move |view| {
            let (first, end) = (view.first(), view.first() + view.shape.len());
            matches!(view.buffer, BufferId::Arena(name) if name == arena) && first < part.end && end > part.start
        })
    }

    /// The groups that record something, in order.
    pub fn recorders(&self) -> impl DoubleEndedIterator<Item = usize> {
        self.groups_with(|view| view.buffer == BufferId::Metrics)
    }

    /// The groups with such an output.
    fn groups_with(&self, is: impl Fn(&BufferView) -> bool) -> impl DoubleEndedIterator<Item = usize> {
        let dispatches = self.dispatches.iter().filter(move |dispatch| dispatch.outputs.iter().any(&is));
        dispatches.map(|dispatch| dispatch.group)
    }
}

/// Which ops are fused into matmuls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fusion {
    /// None: each op runs by itself.
    None,
    /// Epilogues.
    #[default]
    Epilogues,
    /// Epilogues, and gathers as operand loaders, which saves a dispatch on a GPU.
    All,
}

/// How to compile.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// Which ops are fused into matmuls.
    pub fuse: Fusion,
    /// Whether activations are stored in half precision where ops can. The CPU rounds them so, and saves no memory.
    pub half: bool,
}

impl Options {
    /// Fused so; everything is stored in f32.
    pub fn new(fuse: Fusion) -> Options {
        Options { fuse, ..Options::default() }
    }
}

/// Makes a plan of what the graph's outputs and effects need.
///
/// # Errors
/// Where a value is read after the step updated it in place, an op updates what it also reads, a name stands for two shapes,
/// or ops read more than [`MAX_SCALARS`] scalars of a step.
pub fn compile(graph: &Graph, options: Options) -> Result<Plan> {
    let mut graph = graph.clone();
    check::copy_shared_gradients(&mut graph)?;
    check::check(&graph, &live(&graph))?;
    fuse::fuse(&mut graph, options.fuse);
    if options.half {
        storage::halve(&mut graph);
    }
    let live = live(&graph);
    let groups = schedule::groups(&graph, &live, options.fuse);
    let last_use = last_uses(&graph, &groups);
    let mut planner = Planner::new(&graph);
    for id in graph.ids().filter(|id| live[id.0]) {
        planner.view_of_leaf(&graph, id);
    }
    for (number, group) in groups.iter().enumerate() {
        for &id in group {
            planner.dispatch(&graph, id, number);
        }
        for dead in graph.ids().filter(|dead| live[dead.0] && last_use[dead.0] == Some(number)) {
            planner.release(dead);
        }
    }
    planner.finish(&graph)
}

/// Which nodes the outputs, gradients and effects need.
fn live(graph: &Graph) -> Vec<bool> {
    let mut live = vec![false; graph.nodes().len()];
    let gradients = graph.gradients().iter().map(|(_, id)| id);
    for &id in graph.outputs().iter().map(|(_, id)| id).chain(graph.effects()).chain(gradients) {
        live[id.0] = true;
    }
    for id in graph.ids().rev() {
        if live[id.0] {
            for input in &graph.node(id).inputs {
                live[input.0] = true;
            }
        }
    }
    // What is computed beside a live value is computed with it.
    for id in graph.ids() {
        let node = graph.node(id);
        live[id.0] |= node.source == Source::Secondary && live[node.inputs[0].0];
    }
    live
}

/// The last group that reads or computes each node; none of outputs, which are kept, and of what no group has.
fn last_uses(graph: &Graph, groups: &[Vec<NodeId>]) -> Vec<Option<usize>> {
    let mut last = vec![None; graph.nodes().len()];
    for (number, group) in groups.iter().enumerate() {
        for &id in group {
            last[id.0] = Some(number);
            for &input in &graph.node(id).inputs {
                last[graph.root(input).0] = Some(number);
            }
        }
    }
    for id in graph.ids().filter(|&id| graph.node(id).source == Source::Secondary) {
        last[id.0] = last[id.0].or(last[graph.node(id).inputs[0].0]);
    }
    for &(_, id) in graph.outputs() {
        last[graph.root(id).0] = None;
    }
    last
}

struct Planner {
    plan: Plan,
    views: Vec<Option<BufferView>>,
    /// Local buffers that hold nothing now.
    free: Vec<usize>,
    gradient_of: HashMap<NodeId, ParameterId>,
}

impl Planner {
    fn new(graph: &Graph) -> Planner {
        let plan = Plan { layout: graph.layout().clone(), metrics: graph.metrics().to_vec(), ..Plan::default() };
        let gradient_of = graph.gradients().iter().map(|&(parameter, node)| (node, parameter)).collect();
        let views = vec![None; graph.nodes().len()];
        Planner { plan, views, free: Vec::new(), gradient_of }
    }

    /// Places what is not computed: parameters, data sets, inputs.
    fn view_of_leaf(&mut self, graph: &Graph, id: NodeId) {
        let node = graph.node(id);
        let shape = node.shape;
        self.views[id.0] = match &node.source {
            Source::Parameter(parameter) => {
                let offset = graph.layout().get(*parameter).offset;
                Some(self.in_arena(PARAMETERS, offset, shape))
            }
            Source::Arena(name, offset) => Some(self.in_arena(name, *offset, shape)),
            Source::Dataset(index) => {
                self.plan.datasets.push((*index, shape, node.dtype));
                Some(BufferView { buffer: BufferId::Dataset(*index), offset: 0, shape, dtype: node.dtype })
            }
            Source::Input(name) => {
                let view = self.fresh(shape, node.dtype);
                self.plan.inputs.push((name.clone(), view));
                Some(view)
            }
            Source::Op(_) | Source::Secondary | Source::View => None,
        };
    }

    fn dispatch(&mut self, graph: &Graph, id: NodeId, group: usize) {
        let node = graph.node(id);
        let Source::Op(op) = &node.source else { unreachable!("groups have ops alone") };
        let mut inputs: Vec<BufferView> = node.inputs.iter().map(|&input| self.view(graph, input)).collect();
        let outputs = match op.effect() {
            Effect::Value => {
                let secondary = graph.ids().filter(|&other| {
                    let node = graph.node(other);
                    node.source == Source::Secondary && node.inputs[0] == id
                });
                let values = std::iter::once(id).chain(secondary);
                values.map(|value| self.value(value, graph.node(value))).collect()
            }
            Effect::Update(count) | Effect::UpdateElements(count) => {
                let updated: Vec<BufferView> = inputs.drain(..count).collect();
                self.views[id.0] = Some(updated[0]);
                updated
            }
            Effect::Record => {
                let shape = Shape::new(MAX_STEPS, self.plan.metrics.len());
                vec![BufferView { buffer: BufferId::Metrics, offset: 0, shape, dtype: DType::F32 }]
            }
        };
        for scalar in op.scalars() {
            if !self.plan.scalars.contains(&scalar) {
                self.plan.scalars.push(scalar);
            }
        }
        self.plan.dispatches.push(Dispatch { op: op.clone(), inputs, outputs, group });
    }

    /// A view of an arena from this element on; the plan then lists the arena.
    fn in_arena(&mut self, name: &'static str, first: usize, shape: Shape) -> BufferView {
        if !self.plan.arenas.contains(&name) {
            self.plan.arenas.push(name);
        }
        let dtype = DType::F32;
        BufferView { buffer: BufferId::Arena(name), offset: first * dtype.bytes(), shape, dtype }
    }

    /// The place of a new value.
    fn value(&mut self, id: NodeId, node: &Node) -> BufferView {
        let view = match self.gradient_of.get(&id) {
            Some(&parameter) => {
                let offset = self.plan.layout.get(parameter).offset;
                self.in_arena(GRADIENTS, offset, node.shape)
            }
            None => self.local(node.shape, node.dtype),
        };
        self.views[id.0] = Some(view);
        view
    }

    fn view(&self, graph: &Graph, id: NodeId) -> BufferView {
        let root = self.views[graph.root(id).0].expect("a node comes after its inputs");
        BufferView { shape: graph.shape(id), ..root }
    }

    /// A local buffer for a value that may be released: the smallest free one that is large enough, or a new one.
    fn local(&mut self, shape: Shape, dtype: DType) -> BufferView {
        let (bytes, held) = (shape.len() * dtype.bytes(), |local: usize| self.plan.locals[local]);
        let found = self.free.iter().enumerate().filter(|(_, local)| held(**local) >= bytes);
        match found.min_by_key(|(_, local)| held(**local)).map(|(at, _)| at) {
            Some(at) => BufferView { buffer: BufferId::Local(self.free.remove(at)), offset: 0, shape, dtype },
            None => self.fresh(shape, dtype),
        }
    }

    fn fresh(&mut self, shape: Shape, dtype: DType) -> BufferView {
        // Whole words, which is what a GPU binds.
        self.plan.locals.push((shape.len() * dtype.bytes()).next_multiple_of(4));
        BufferView { buffer: BufferId::Local(self.plan.locals.len() - 1), offset: 0, shape, dtype }
    }

    fn release(&mut self, id: NodeId) {
        let is_input = self.plan.inputs.iter().any(|(_, view)| Some(*view) == self.views[id.0]);
        if let (Some(BufferView { buffer: BufferId::Local(local), .. }), false) = (self.views[id.0], is_input) {
            self.free.push(local);
        }
    }

    fn finish(mut self, graph: &Graph) -> Result<Plan> {
        self.plan.outputs = graph.outputs().iter().map(|(name, id)| (name.clone(), self.view(graph, *id))).collect();
        if self.plan.scalars.len() > MAX_SCALARS {
            let scalars = self.plan.scalars.join(", ");
            return graph_error(format!("ops read {scalars} of a step: at most {MAX_SCALARS} scalars are there"));
        }
        Ok(self.plan)
    }
}
