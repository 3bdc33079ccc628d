//! Order and place: a graph becomes a list of dispatches over buffers. Pure data, printable; knows no device.
//!
//! [`compile`] leaves out what nothing needs, fuses (`fuse.rs`), keeps the order of the graph (which is a topological one),
//! and gives every value a place. Parameters, gradients and moments live in four arenas of one layout, of which an update
//! takes the slices that hold its parameters; activations share slots by lifetime, the smallest that is large enough. An output
//! never shares a buffer with an input of the same dispatch: WebGPU forbids it even at disjoint offsets.
//!
//! Dispatches run one after another, whatever depends on what: wgpu puts a full barrier before each that writes a buffer, and
//! every one does. So a plan counts dispatches, and nothing is placed for two to overlap.

mod fuse;
pub mod link;
mod lower;
pub mod recording;
mod schedule;
mod show;

pub use lower::lower;
pub(crate) use lower::lower_changed;
pub use recording::Recording;

use crate::error::{Result, graph_error};
use crate::graph::{Graph, Node, NodeId, ParameterId, ParameterLayout, Source};
use crate::ops::{Effect, METRICS, Op};
use crate::tensor::{DType, Shape};
use std::collections::HashMap;
use std::ops::Range;

/// One of the four arenas that share a model's [`ParameterLayout`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Arena {
    /// The parameters.
    Parameters,
    /// Their gradients.
    Gradients,
    /// Adam's decayed mean of gradients.
    FirstMoments,
    /// Adam's decayed mean of squared gradients.
    SecondMoments,
}

impl Arena {
    /// All four.
    pub const ALL: [Arena; 4] = [Arena::Parameters, Arena::Gradients, Arena::FirstMoments, Arena::SecondMoments];

    /// These elements of it, as one row.
    fn slice(self, span: Range<usize>) -> BufferView {
        BufferView { buffer: BufferId::Arena(self), offset: span.start, shape: Shape::new(1, span.len()) }
    }
}

/// Which buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BufferId {
    /// An arena, shared by all programs of a session.
    Arena(Arena),
    /// The metrics ring, shared by all programs of a session.
    Metrics,
    /// A resident data set, by the order in which the session was given them.
    Dataset(usize),
    /// A buffer of this plan's own: an activation slot, an input or an output.
    Local(usize),
}

/// A value's place: a buffer, elements before it, its shape.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BufferView {
    /// The buffer.
    pub buffer: BufferId,
    /// Elements before it.
    pub offset: usize,
    /// Its shape.
    pub shape: Shape,
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
    /// Elements of each local buffer.
    pub locals: Vec<usize>,
    /// Values the host may write before a run.
    pub inputs: Vec<(String, BufferView)>,
    /// Values the host may read after a run.
    pub outputs: Vec<(String, BufferView)>,
    /// The data sets that are read: which, its shape, how it is stored.
    pub datasets: Vec<(usize, Shape, DType)>,
}

/// What products take over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fusion {
    /// Nothing: each op runs by itself.
    None,
    /// What follows them.
    #[default]
    Epilogues,
    /// Also what their factors are computed from, where that is cheap to do in every tile: it saves a kernel, and the
    /// wait for it, on a GPU.
    All,
}

/// How to compile.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// What products take over.
    pub fuse: Fusion,
}

/// Makes a plan of what the graph's outputs and effects need.
///
/// # Errors
/// Where two gradients would have one place, or a value is read after the step updated it in place.
pub fn compile(graph: &Graph, options: Options) -> Result<Plan> {
    let mut graph = graph.clone();
    fuse::fuse(&mut graph, options.fuse);
    let live = live(&graph);
    let groups = schedule::groups(&graph, &live, options.fuse);
    let last_use = last_uses(&graph, &groups);
    let mut planner = Planner::new(&graph)?;
    for id in graph.ids().filter(|id| live[id.0]) {
        planner.place_leaf(&graph, id);
    }
    for (number, group) in groups.iter().enumerate() {
        for &id in group {
            planner.dispatch(&graph, id, number)?;
        }
        for dead in graph.ids().filter(|dead| live[dead.0] && last_use[dead.0] == Some(number)) {
            planner.release(dead);
        }
    }
    Ok(planner.finish(&graph))
}

/// Which nodes the outputs and effects need.
fn live(graph: &Graph) -> Vec<bool> {
    let mut live = vec![false; graph.nodes().len()];
    for &id in graph.outputs().iter().map(|(_, id)| id).chain(graph.effects()) {
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
            for input in &graph.node(id).inputs {
                last[input.0] = Some(number);
            }
        }
    }
    for id in graph.ids().filter(|&id| graph.node(id).source == Source::Secondary) {
        last[id.0] = last[id.0].or(last[graph.node(id).inputs[0].0]);
    }
    for (_, id) in graph.outputs() {
        last[id.0] = None;
    }
    last
}

struct Planner {
    plan: Plan,
    places: Vec<Option<BufferView>>,
    /// Local buffers that hold nothing now.
    free: Vec<usize>,
    gradient_of: HashMap<NodeId, ParameterId>,
    /// Elements of the arenas that were updated so far.
    updated: Vec<Range<usize>>,
    /// Inputs that were updated so far.
    accumulated: Vec<NodeId>,
}

impl Planner {
    fn new(graph: &Graph) -> Result<Planner> {
        let mut gradient_of = HashMap::new();
        for &(id, node) in graph.gradients() {
            let parameter = graph.layout().get(id);
            if graph.shape(node) != parameter.shape || gradient_of.insert(node, id).is_some() {
                return graph_error(format!(
                    "{}: its gradient must be a value of its own and its shape",
                    parameter.name
                ));
            }
        }
        Ok(Planner {
            plan: Plan {
                layout: graph.layout().clone(),
                dispatches: Vec::new(),
                locals: Vec::new(),
                inputs: Vec::new(),
                outputs: Vec::new(),
                datasets: Vec::new(),
            },
            places: vec![None; graph.nodes().len()],
            free: Vec::new(),
            gradient_of,
            updated: Vec::new(),
            accumulated: Vec::new(),
        })
    }

    /// Places what is not computed: parameters, data sets, inputs.
    fn place_leaf(&mut self, graph: &Graph, id: NodeId) {
        let node = graph.node(id);
        let shape = node.shape;
        self.places[id.0] = match &node.source {
            Source::Parameter(parameter) => {
                let offset = graph.layout().get(*parameter).offset;
                Some(BufferView { buffer: BufferId::Arena(Arena::Parameters), offset, shape })
            }
            Source::Dataset(index) => {
                self.plan.datasets.push((*index, shape, node.dtype));
                Some(BufferView { buffer: BufferId::Dataset(*index), offset: 0, shape })
            }
            Source::Input(name) => {
                let view = self.fresh(shape);
                self.plan.inputs.push((name.clone(), view));
                Some(view)
            }
            Source::Op(_) | Source::Secondary => None,
        };
    }

    fn dispatch(&mut self, graph: &Graph, id: NodeId, group: usize) -> Result<()> {
        let node = graph.node(id);
        let Source::Op(op) = &node.source else { unreachable!("groups have ops alone") };
        if let Some(&stale) = node.inputs.iter().find(|input| self.is_stale(graph, **input)) {
            let (name, source) = (op.name(), &graph.node(stale).source);
            return graph_error(format!("{name}: reads {source:?} after this step updated it"));
        }
        let mut reads: Vec<BufferView> = node.inputs.iter().map(|input| self.slice(*input)).collect();
        let (inputs, outputs) = match op.effect() {
            Effect::Value => {
                let beside = graph.ids().filter(|&other| {
                    let node = graph.node(other);
                    node.source == Source::Secondary && node.inputs[0] == id
                });
                let values = std::iter::once(id).chain(beside);
                (reads, values.map(|value| self.value(value, graph.shape(value))).collect())
            }
            Effect::Gradients => match self.span(node) {
                Some(span) => (self.join(node, span), vec![self.value(id, node.shape)]),
                None => (reads, vec![self.value(id, node.shape)]),
            },
            Effect::Update => {
                let Some(span) = self.span(node) else {
                    return graph_error(format!("{}: there is no gradient among its inputs", op.name()));
                };
                self.updated.push(span.clone());
                let updated = [Arena::Parameters, Arena::FirstMoments, Arena::SecondMoments];
                (self.join(node, span.clone()), updated.map(|arena| arena.slice(span.clone())).to_vec())
            }
            Effect::UpdateState => {
                self.accumulated.push(node.inputs[0]);
                let state = reads.remove(0);
                self.places[id.0] = Some(state);
                (reads, vec![state])
            }
            Effect::Record => {
                let ring = BufferView { buffer: BufferId::Metrics, offset: 0, shape: Shape::new(1, METRICS) };
                (reads, vec![ring])
            }
        };
        self.plan.dispatches.push(Dispatch { op: op.clone(), inputs, outputs, group });
        Ok(())
    }

    /// Whether an earlier dispatch of the step updated this parameter or input in place.
    fn is_stale(&self, graph: &Graph, id: NodeId) -> bool {
        match &graph.node(id).source {
            Source::Parameter(parameter) => {
                let offset = graph.layout().get(*parameter).offset;
                self.updated.iter().any(|span| span.contains(&offset))
            }
            Source::Input(_) => self.accumulated.contains(&id),
            Source::Dataset(_) | Source::Op(_) | Source::Secondary => false,
        }
    }

    /// Elements of the gradient arena that hold the gradients among a node's inputs.
    fn span(&self, node: &Node) -> Option<Range<usize>> {
        let gradients = node.inputs.iter().filter_map(|input| self.gradient_of.get(input));
        let spans = gradients.map(|&parameter| self.plan.layout.span(parameter));
        spans.reduce(|all, one| all.start.min(one.start)..all.end.max(one.end))
    }

    /// That span, and the inputs that are no gradients.
    fn join(&self, node: &Node, span: Range<usize>) -> Vec<BufferView> {
        let others = node.inputs.iter().filter(|input| !self.gradient_of.contains_key(input));
        std::iter::once(Arena::Gradients.slice(span)).chain(others.map(|input| self.slice(*input))).collect()
    }

    /// The place of a new value.
    fn value(&mut self, id: NodeId, shape: Shape) -> BufferView {
        let slice = match self.gradient_of.get(&id) {
            Some(&parameter) => {
                let offset = self.plan.layout.get(parameter).offset;
                BufferView { buffer: BufferId::Arena(Arena::Gradients), offset, shape }
            }
            None => self.local(shape),
        };
        self.places[id.0] = Some(slice);
        slice
    }

    fn slice(&self, id: NodeId) -> BufferView {
        self.places[id.0].expect("a node comes after its inputs")
    }

    /// A local buffer for a value that may be released: the smallest free one that is large enough, or a new one.
    fn local(&mut self, shape: Shape) -> BufferView {
        let held = |local: usize| self.plan.locals[local];
        let found = self.free.iter().enumerate().filter(|(_, local)| held(**local) >= shape.len());
        match found.min_by_key(|(_, local)| held(**local)).map(|(at, _)| at) {
            Some(at) => BufferView { buffer: BufferId::Local(self.free.remove(at)), offset: 0, shape },
            None => self.fresh(shape),
        }
    }

    fn fresh(&mut self, shape: Shape) -> BufferView {
        self.plan.locals.push(shape.len());
        BufferView { buffer: BufferId::Local(self.plan.locals.len() - 1), offset: 0, shape }
    }

    fn release(&mut self, id: NodeId) {
        let is_input = self.plan.inputs.iter().any(|(_, slice)| Some(*slice) == self.places[id.0]);
        if let (Some(BufferView { buffer: BufferId::Local(local), .. }), false) = (self.places[id.0], is_input) {
            self.free.push(local);
        }
    }

    fn finish(mut self, graph: &Graph) -> Plan {
        self.plan.outputs = graph.outputs().iter().map(|(name, id)| (name.clone(), self.slice(*id))).collect();
        self.plan
    }
}
