//! A plan as a device runs it: linked kernels, buffers in bytes, dispatches. Data alone, and all that there is to a step: it can
//! be printed, written to a file, and executed by whatever speaks WebGPU.
//!
//! Binding 0 of each kernel is the step ([`crate::step::PackedStep`]), a uniform buffer with a dynamic offset; bindings from 1
//! on are a dispatch's own. Vello was read for this part, whose `Recording` holds no device either; theirs is built anew each
//! frame and so has commands to make and free resources, which a step that is run ten thousand times has no use for.

use super::lower::MAX_WORKGROUPS;
use crate::error::{Error, Result};
use crate::step::{MAX_SCALARS, MAX_STEPS, PackedStep, ROW_BYTES};
use crate::tensor::DType;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::mem::offset_of;

/// What a buffer holds, which decides who owns it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// The arena of this name, of the session.
    Arena(String),
    /// The program's own: the ring of recorded metrics, a row a step of a submission.
    Metrics,
    /// A resident data set of the session.
    Dataset(usize),
    /// The program's own: an activation, an input or an output.
    Local,
    /// The program's own: a table that is computed once a submission.
    Table,
}

/// A buffer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Buffer {
    /// What it holds.
    pub role: Role,
    /// How its elements are stored.
    pub dtype: DType,
    /// Its size.
    pub bytes: u64,
}

/// A range of a buffer that a dispatch reads, or writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Binding {
    /// Position in [`Recording::buffers`].
    pub buffer: usize,
    /// Bytes before it.
    pub offset: u64,
    /// Its size.
    pub bytes: u64,
    /// Whether kernels may write it.
    pub writes: bool,
}

/// A linked kernel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shader {
    /// The files it was linked from.
    pub name: String,
    /// WGSL with the entry point `main`.
    pub source: String,
    /// Whether its indices are known to stay in their buffers, so that it may run without injected checks. Never of a file.
    #[serde(skip)]
    pub(crate) trusted: bool,
}

impl Shader {
    /// Whether it may run without injected bounds checks: only what this crate lowered itself.
    pub fn is_trusted(&self) -> bool {
        self.trusted
    }
}

/// One run of a kernel.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dispatch {
    /// The ops that it computes.
    pub ops: Vec<String>,
    /// The group of the plan that they are of.
    pub group: usize,
    /// Position in [`Recording::shaders`].
    pub shader: usize,
    /// Values of the shader's `override` constants.
    pub constants: BTreeMap<String, f64>,
    /// What it binds, from binding 1 on.
    pub bindings: Vec<Binding>,
    /// Workgroups, in the first two dimensions.
    pub workgroups: [u32; 2],
}

/// A named value that the host may write or read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Port {
    /// Its name.
    pub name: String,
    /// Where it is.
    pub binding: Binding,
}

/// Layout of the steps' buffer: a row a step, of [`PackedStep`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StepLayout {
    /// Rows: the most steps of a submission.
    pub rows: usize,
    /// Bytes from one row to the next.
    pub row_bytes: u64,
    /// Bytes of a row that a dispatch binds.
    pub bound_bytes: u64,
    /// Bytes before each field of a row. All are u32 but the scalars, which are f32.
    pub offsets: BTreeMap<String, usize>,
}

impl Default for StepLayout {
    /// The one layout there is.
    fn default() -> StepLayout {
        let offsets = [
            ("index", offset_of!(PackedStep, index)),
            ("first", offset_of!(PackedStep, first)),
            ("rows", offset_of!(PackedStep, rows)),
            ("seed", offset_of!(PackedStep, seed)),
            ("slot", offset_of!(PackedStep, slot)),
            ("order", offset_of!(PackedStep, order)),
            ("scalars", offset_of!(PackedStep, scalars)),
        ];
        StepLayout {
            rows: MAX_STEPS,
            row_bytes: ROW_BYTES,
            bound_bytes: size_of::<PackedStep>() as u64,
            offsets: offsets.map(|(name, offset)| (name.to_owned(), offset)).into(),
        }
    }
}

/// A plan, lowered for a device.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recording {
    /// The kernels, each once.
    pub shaders: Vec<Shader>,
    /// The buffers, those of the session first.
    pub buffers: Vec<Buffer>,
    /// What is run once a submission, before its steps: binding 0 is the steps' buffer, read as a storage buffer.
    pub prologue: Vec<Dispatch>,
    /// What is run a step, in order.
    pub dispatches: Vec<Dispatch>,
    /// Layout of the steps' buffer.
    pub step: StepLayout,
    /// Names of the step's scalars that kernels read, in the order in which a row of the steps' buffer has them.
    pub scalars: Vec<String>,
    /// Names of the columns of the metrics ring, of f32. A step's row is its `slot`, from 0 in each submission.
    pub metrics: Vec<String>,
    /// Values that the host may write before a run.
    pub inputs: Vec<Port>,
    /// Values that the host may read after a run.
    pub outputs: Vec<Port>,
}

impl Recording {
    /// The recording as JSON.
    ///
    /// # Errors
    /// [`Error::Graph`] where a constant is not finite.
    pub fn to_json(&self) -> Result<String> {
        serde_json::to_string(self).map_err(|error| Error::Graph(format!("the recording can't be written: {error}")))
    }

    /// Reads what [`Recording::to_json`] wrote. Its kernels run with injected bounds checks.
    ///
    /// # Errors
    /// [`Error::Graph`] where it is damaged: what is wrong, and where; or where an index is past its list's end.
    pub fn from_json(json: &str) -> Result<Recording> {
        let read: Recording = serde_json::from_str(json).map_err(|error| damaged(&error.to_string()))?;
        read.check()?;
        Ok(read)
    }

    /// Checks that it fits itself.
    pub(crate) fn check(&self) -> Result<()> {
        if self.step != StepLayout::default() {
            let (found, known) = (&self.step, StepLayout::default());
            return Err(damaged(&format!("its steps are {found:?}: they must be {known:?}")));
        }
        if self.scalars.len() > MAX_SCALARS {
            let count = self.scalars.len();
            return Err(damaged(&format!("it has {count} scalars: a step has at most {MAX_SCALARS}")));
        }
        let rings: Vec<u64> =
            self.buffers.iter().filter(|buffer| buffer.role == Role::Metrics).map(|buffer| buffer.bytes).collect();
        let wanted = match self.metrics.len() {
            0 => Vec::new(),
            metrics => vec![(MAX_STEPS * metrics * DType::F32.bytes()) as u64],
        };
        if rings != wanted {
            return Err(damaged(&format!("its metrics rings have {rings:?} bytes: they must have {wanted:?}")));
        }
        let dispatches = || self.prologue.iter().chain(&self.dispatches);
        for (at, dispatch) in dispatches().enumerate() {
            if dispatch.shader >= self.shaders.len() {
                return Err(damaged(&format!("dispatch {at} names shader {}", dispatch.shader)));
            }
            if dispatch.workgroups.iter().any(|&across| across == 0 || across > MAX_WORKGROUPS as u32) {
                let across = dispatch.workgroups;
                return Err(damaged(&format!(
                    "dispatch {at} is {across:?} workgroups: at most {MAX_WORKGROUPS} a dimension"
                )));
            }
        }
        let of_ports = self.inputs.iter().chain(&self.outputs).map(|port| &port.binding);
        for binding in dispatches().flat_map(|dispatch| &dispatch.bindings).chain(of_ports) {
            let end = binding.offset.checked_add(binding.bytes);
            let held = self.buffers.get(binding.buffer).map(|buffer| buffer.bytes);
            let whole = binding.offset.is_multiple_of(4) && binding.bytes.is_multiple_of(4);
            if held.is_none() || end.is_none() || end > held || binding.bytes == 0 || !whole {
                return Err(damaged(&format!("{binding:?} is no range of a buffer, in whole words")));
            }
        }
        Ok(())
    }

    /// The same, whose kernels run with injected bounds checks.
    pub(crate) fn distrusted(mut self) -> Recording {
        self.shaders.iter_mut().for_each(|shader| shader.trusted = false);
        self
    }

    /// Its local buffers that programs of a session may share: not those that the host writes or reads.
    pub fn shared_locals(&self) -> Vec<usize> {
        let is_port = |at: usize| self.inputs.iter().chain(&self.outputs).any(|port| port.binding.buffer == at);
        let local = |at: &usize| self.buffers[*at].role == Role::Local && !is_port(*at);
        (0..self.buffers.len()).filter(local).collect()
    }

    /// Bytes of the program's own buffers.
    pub fn local_bytes(&self) -> u64 {
        let own = self.buffers.iter().filter(|buffer| matches!(buffer.role, Role::Local | Role::Table | Role::Metrics));
        own.map(|buffer| buffer.bytes).sum()
    }
}

fn damaged(what: &str) -> Error {
    Error::Graph(format!("the recording is damaged: {what}"))
}

impl fmt::Display for Recording {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let view = |binding: &Binding| {
            let buffer = match &self.buffers[binding.buffer].role {
                Role::Arena(name) => name.clone(),
                Role::Metrics => "metrics".to_owned(),
                Role::Dataset(index) => format!("data{index}"),
                Role::Local | Role::Table => format!("%{}", binding.buffer),
            };
            format!("{buffer}[{}..{}]", binding.offset, binding.offset + binding.bytes)
        };
        let list = |dispatch: &Dispatch, writes| {
            let bound = dispatch.bindings.iter().filter(|binding| binding.writes == writes);
            bound.map(view).collect::<Vec<_>>().join(", ")
        };
        for (number, buffer) in self.buffers.iter().enumerate() {
            writeln!(f, "%{number}  {:?} {:?}, {} bytes", buffer.role, buffer.dtype, buffer.bytes)?;
        }
        let once = self.prologue.iter().map(|dispatch| ("once".to_owned(), dispatch));
        let each = self.dispatches.iter().enumerate().map(|(at, dispatch)| (format!("{at:4}"), dispatch));
        for (when, dispatch) in once.chain(each) {
            let [x, y] = dispatch.workgroups;
            let across = if y == 1 { x.to_string() } else { format!("{x}x{y}") };
            let (ops, shader) = (dispatch.ops.join(" | "), &self.shaders[dispatch.shader].name);
            let (written, read) = (list(dispatch, true), list(dispatch, false));
            writeln!(f, "{when}  {ops}: {written} <- {read}")?;
            writeln!(f, "      {across} workgroups of {shader}")?;
        }
        let per_step = self.dispatches.len();
        write!(f, "{per_step} dispatches a step, {} bytes of the program's own buffers", self.local_bytes())
    }
}
