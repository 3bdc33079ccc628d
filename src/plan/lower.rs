//! Lowering: a plan and a device's profile become a [`Recording`]. The one place where kernels are chosen and linked.

use super::link::{Linked, Member, link};
use super::recording::{Binding, Buffer, Dispatch, Port, Recording, Role, Shader};
use super::{BufferId, BufferView, Plan};
use crate::error::{Result, graph_error};
use crate::ops::{DeviceProfile, Entry, Grid, Kernel, Op, Subgroups, Table, fragment};
use crate::step::MAX_STEPS;
use crate::tensor::DType;

/// The most workgroups that a dimension of a dispatch has in WebGPU; `common/main.wgsl` has it too.
pub(super) const MAX_WORKGROUPS: usize = 65_535;

/// Lowers a plan for a device: chooses each op's kernel, and lets ops that the plan groups share a dispatch where their
/// kernels can.
///
/// # Errors
/// [`crate::Error::Graph`] where kernels do not link.
pub fn lower(plan: &Plan, profile: &DeviceProfile) -> Result<Recording> {
    lower_changed(plan, profile, |_| {})
}

/// [`lower`], with each kernel changed before it is linked: how tests show that a broken one is reported.
pub(crate) fn lower_changed(plan: &Plan, profile: &DeviceProfile, change: impl Fn(&mut Kernel)) -> Result<Recording> {
    let mut lowering = Lowering::new(plan);
    for group in plan.groups() {
        let mut members: Vec<(&Op, Member)> = Vec::new();
        let mut behind: Vec<(&Op, Member)> = Vec::new();
        for dispatch in group {
            let shapes: Vec<_> = dispatch.inputs.iter().map(|view| view.shape).collect();
            check_shapes(dispatch)?;
            let mut kernel = dispatch.op.kernel(&shapes, dispatch.outputs[0].shape, profile);
            let read = dispatch.inputs.iter().map(|view| lowering.binding(view, false));
            let written = dispatch.outputs.iter().map(|view| lowering.binding(view, true));
            let bindings: Vec<Binding> = read.chain(written).collect();
            let mut halves = dispatch.inputs.iter().chain(&dispatch.outputs).zip(1..).filter(|(view, _)| is_half(view));
            if let Some((view, _)) = halves.find(|&(_, binding)| !kernel.in_half(binding)) {
                return graph_error(format!(
                    "{}: its kernel can't take {view:?} in half precision",
                    dispatch.op.name()
                ));
            }
            let scratch = kernel.scratch.take().map(|scratch| (lowering.scratch(scratch.words, behind.len()), scratch));
            let mut prepare = |mut kernel: Kernel, writes: bool| -> Result<Member> {
                number_scalars(&mut kernel, plan)?;
                // What may ride with products keeps the tree: knowing its subgroup costs every invocation of the dispatch
                // registers (RDNA3's compiler takes 72 instead of 60 for products that share one with sums).
                if profile.subgroups == Subgroups::OfAnySize && !dispatch.op.may_share() {
                    kernel.replace("common/tree.wgsl", &fragment!("common/tree_subgroups.wgsl"));
                }
                change(&mut kernel);
                let mut bindings = bindings.clone();
                if let Some(mut table) = kernel.table.take() {
                    change(&mut table.kernel);
                    bindings.push(lowering.table(table)?);
                    kernel = kernel.binding("TABLE", bindings.len());
                }
                if let Some((binding, _)) = &scratch {
                    bindings.push(Binding { writes, ..*binding });
                    kernel = kernel.binding("SCRATCH", bindings.len());
                }
                Ok(Member { kernel, bindings })
            };
            members.push((&dispatch.op, prepare(kernel, true)?));
            if let Some((_, scratch)) = &scratch {
                behind.push((&dispatch.op, prepare((*scratch.then).clone(), false)?));
            }
        }
        let mut dispatches = together(members, profile)?;
        if !behind.is_empty() {
            dispatches.extend(together(behind, profile)?);
        }
        for SharedDispatch { ops, members, linked } in dispatches {
            let names = ops.iter().map(|op| op.name().to_owned()).collect();
            // Nothing is known of how another crate's kernels make their indices.
            let trusted = !ops.iter().any(|op| matches!(op, Op::Custom(_)));
            let dispatch = lowering.record(&members, linked, names, trusted, group[0].group);
            lowering.recording.dispatches.push(dispatch);
        }
    }
    Ok(lowering.recording)
}

/// Whether a value is an activation in half precision; ops know how their data sets are stored.
fn is_half(view: &BufferView) -> bool {
    view.dtype == DType::F16 && !matches!(view.buffer, BufferId::Dataset(_))
}

/// Checks that a dispatch's views fit its op's rule: kernels make their indices from these shapes.
fn check_shapes(dispatch: &super::Dispatch) -> Result<()> {
    let Some(output) = dispatch.outputs.first().filter(|output| output.buffer != BufferId::Metrics) else {
        return Ok(());
    };
    let updated = dispatch.outputs.iter().take(dispatch.op.effect().updated());
    let inputs: Vec<_> = updated.chain(&dispatch.inputs).map(|view| view.shape).collect();
    let shape = dispatch.op.shape(&inputs)?;
    if shape == output.shape {
        return Ok(());
    }
    graph_error(format!(
        "{}: the plan's output is {}, of these inputs it must be {shape}",
        dispatch.op.name(),
        output.shape
    ))
}

/// Sets the constants that are numbers of scalars to where the plan has these.
fn number_scalars(kernel: &mut Kernel, plan: &Plan) -> Result<()> {
    for (constant, name) in std::mem::take(&mut kernel.scalars) {
        let Some(number) = plan.scalars.iter().position(|known| *known == name) else {
            let file = kernel.fragments[0].name;
            return graph_error(format!("{file} reads the scalar {name}, which its op does not declare"));
        };
        kernel.constants.push((constant, number as f64));
    }
    Ok(())
}

/// Ops whose kernels share a dispatch.
struct SharedDispatch<'a> {
    ops: Vec<&'a Op>,
    members: Vec<Member>,
    linked: Linked,
}

/// Members of a group, in lists that can share a dispatch: of one entry and workgroup size, and of no more buffers than a
/// dispatch may bind. What may have any workgroup size takes that of the products it is grouped with.
fn together<'a>(members: Vec<(&'a Op, Member)>, profile: &DeviceProfile) -> Result<Vec<SharedDispatch<'a>>> {
    let shares = profile.shares;
    let fixed = members.iter().find(|(_, member)| matches!(member.kernel.grid, Grid::Workgroups(_)));
    let lead = fixed.map(|(_, member)| (member.kernel.entry, member.kernel.workgroup));
    // Matmuls first: where not all fit, they share, and small ops fill the rest of a dispatch.
    let (products, riders): (Vec<_>, Vec<_>) = members.into_iter().partition(|(op, _)| op.is_matmul());
    let mut lists: Vec<SharedDispatch<'a>> = Vec::new();
    for (op, mut member) in products.into_iter().chain(riders) {
        let kernel = &mut member.kernel;
        if let (Some((entry, workgroup)), false) = (lead, matches!(kernel.grid, Grid::Workgroups(_)))
            && shares
            && kernel.entry == Entry::Run
            && entry != Entry::Main
        {
            (kernel.entry, kernel.workgroup) = (entry, workgroup);
        }
        let joined = lists.iter_mut().filter(|_| shares).find_map(|list| {
            list.members.push(member.clone());
            match link(&list.members) {
                Ok(linked) if linked.bindings.len() <= profile.storage_buffers => Some((list, linked)),
                _ => {
                    list.members.pop();
                    None
                }
            }
        });
        match joined {
            Some((list, linked)) => {
                list.ops.push(op);
                list.linked = linked;
            }
            None => {
                let members = vec![member];
                let linked = link(&members)?;
                lists.push(SharedDispatch { ops: vec![op], members, linked });
            }
        }
    }
    Ok(lists)
}

struct Lowering {
    recording: Recording,
    /// Position of the first local buffer in the recording.
    first_local: usize,
    /// Tables, and where each is.
    tables: Vec<(Table, Binding)>,
    /// Buffers of scratch memory, which all groups use in turn.
    scratch: Vec<usize>,
}

impl Lowering {
    fn new(plan: &Plan) -> Lowering {
        let real = |role, bytes: usize| Buffer { role, dtype: DType::F32, bytes: bytes.max(4) as u64 };
        let arena = plan.layout.len() * DType::F32.bytes();
        let arenas = plan.arenas.iter().map(|&name| real(Role::Arena(name.to_owned()), arena));
        let mut buffers: Vec<Buffer> = arenas.collect();
        if !plan.metrics.is_empty() {
            buffers.push(real(Role::Metrics, MAX_STEPS * plan.metrics.len() * DType::F32.bytes()));
        }
        for &(index, shape, dtype) in &plan.datasets {
            let bytes = shape.len() * dtype.bytes();
            buffers.push(Buffer { role: Role::Dataset(index), dtype, bytes: bytes.next_multiple_of(4) as u64 });
        }
        let first_local = buffers.len();
        buffers.extend(plan.locals.iter().map(|&bytes| real(Role::Local, bytes)));
        let [scalars, metrics] =
            [&plan.scalars, &plan.metrics].map(|names| names.iter().map(|&name| name.to_owned()).collect());
        let recording = Recording { buffers, scalars, metrics, ..Recording::default() };
        let mut lowering = Lowering { recording, first_local, tables: Vec::new(), scratch: Vec::new() };
        let port = |lowering: &Lowering, (name, view): &(String, BufferView), writes| Port {
            name: name.clone(),
            binding: lowering.binding(view, writes),
        };
        lowering.recording.inputs = plan.inputs.iter().map(|input| port(&lowering, input, true)).collect();
        lowering.recording.outputs = plan.outputs.iter().map(|output| port(&lowering, output, false)).collect();
        lowering
    }

    fn binding(&self, view: &BufferView, writes: bool) -> Binding {
        let at = |role: Role| self.recording.buffers.iter().position(|buffer| buffer.role == role);
        let buffer = match view.buffer {
            BufferId::Local(local) => Some(self.first_local + local),
            BufferId::Arena(arena) => at(Role::Arena(arena.to_owned())),
            BufferId::Metrics => at(Role::Metrics),
            BufferId::Dataset(index) => at(Role::Dataset(index)),
        };
        let buffer = buffer.expect("a plan lists the buffers that its dispatches name");
        let held = &self.recording.buffers[buffer];
        let (offset, bytes) = match held.role {
            // Rows are chosen by the step, examples by its order: both are bound whole.
            Role::Metrics | Role::Dataset(_) => (0, held.bytes),
            _ => (view.offset as u64, view.bytes() as u64),
        };
        Binding { buffer, offset, bytes, writes }
    }

    /// The `number`-th piece of a group's scratch memory, of so many words.
    fn scratch(&mut self, words: usize, number: usize) -> Binding {
        if number == self.scratch.len() {
            self.scratch.push(self.recording.buffers.len());
            self.recording.buffers.push(Buffer { role: Role::Local, dtype: DType::F32, bytes: 0 });
        }
        let (buffer, bytes) = (self.scratch[number], (words * DType::F32.bytes()) as u64);
        let held = &mut self.recording.buffers[buffer].bytes;
        *held = bytes.max(*held);
        Binding { buffer, offset: 0, bytes, writes: true }
    }

    /// Where a table is; one that no kernel asked for before is computed in the prologue.
    fn table(&mut self, table: Table) -> Result<Binding> {
        if let Some((_, known)) = self.tables.iter().find(|(known, _)| *known == table) {
            return Ok(*known);
        }
        let bytes = (table.words * DType::U32.bytes()) as u64;
        let binding = Binding { buffer: self.recording.buffers.len(), offset: 0, bytes, writes: true };
        self.recording.buffers.push(Buffer { role: Role::Table, dtype: DType::U32, bytes });
        let member = Member { kernel: (*table.kernel).clone(), bindings: vec![binding] };
        let members = [member];
        let linked = link(&members)?;
        let dispatch = self.record(&members, linked, vec!["table".to_owned()], true, 0);
        self.recording.prologue.push(dispatch);
        let read = Binding { writes: false, ..binding };
        self.tables.push((table, read));
        Ok(read)
    }

    fn record(
        &mut self,
        members: &[Member],
        linked: Linked,
        ops: Vec<String>,
        trusted: bool,
        group: usize,
    ) -> Dispatch {
        let Linked { name, source, constants, bindings } = linked;
        let shader = Shader { name, source, trusted };
        let shaders = &mut self.recording.shaders;
        let shader = shaders.iter().position(|known| *known == shader).unwrap_or_else(|| {
            shaders.push(shader);
            shaders.len() - 1
        });
        let workgroups: usize = members.iter().map(|member| member.kernel.workgroups()).sum();
        let across = workgroups.clamp(1, MAX_WORKGROUPS);
        let workgroups = [across as u32, workgroups.div_ceil(across) as u32];
        Dispatch { ops, group, shader, constants, bindings, workgroups }
    }
}
