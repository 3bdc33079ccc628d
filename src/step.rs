//! The values that change from step to step, and nothing else does.
//!
//! The host computes them in f64 ([`Step`]). Where a batch begins, the seed and the order of examples are the same for
//! every program; what else changes by step (a learning rate, a loss term's weight) is a [scalar](Scalars) with a name:
//! an op declares those that it reads, a plan lists them, and a submission whose steps lack one is refused. A GPU's
//! kernels get the packed form ([`PackedStep`]), with the program's own scalars in the order of its list: a row a step
//! of the program's uniform buffer, written once a submission. Kernels read a row and never advance it. The WGSL twin
//! is `shaders/common/step.wgsl`; a test reflects both and compares every offset.

use crate::error::{Result, graph_error};
use serde::{Serialize, Serializer};

/// Steps a submission may have at most: rows of the metrics ring and of the uniform buffer.
pub const MAX_STEPS: usize = 64;

/// Bytes from one step's row to the next: WebGPU's default alignment of dynamic uniform offsets.
pub const ROW_BYTES: u64 = 256;

/// Scalars that a step may have at most.
pub const MAX_SCALARS: usize = 8;

/// One step's values, as the host computes them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Step {
    /// Number of the step since the run began, from 0; the last two words of every Philox counter.
    pub index: u64,
    /// Position in the epoch of the batch's first row; row `r` is global example `first + r`.
    pub first: u32,
    /// Rows of the batch that count; the rest of a short last batch is masked by the ops that sum over the batch.
    pub rows: u32,
    /// The run's seed: the first word of every Philox key.
    pub seed: u32,
    /// Row of the metrics ring that this step's recorded scalars go to; set by the session that runs it.
    pub slot: u32,
    /// Round keys of this epoch's permutation ([`crate::rng::Permutation::keys`]).
    pub order: [u32; 8],
    /// Values by name, for who reads them.
    pub scalars: Scalars,
}

/// A step's values that have names: of whatever its programs read, and the host itself.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Scalars {
    named: [Option<(&'static str, f64)>; MAX_SCALARS],
}

impl Scalars {
    /// The value of a name.
    pub fn get(&self, name: &str) -> Option<f64> {
        self.named.iter().flatten().find(|(known, _)| *known == name).map(|&(_, value)| value)
    }

    /// With this value too, in place of one of the same name.
    ///
    /// # Panics
    /// Where there are [`MAX_SCALARS`] others.
    pub fn with(mut self, name: &'static str, value: f64) -> Scalars {
        let place = |held: &Option<(&str, f64)>| held.is_none_or(|(known, _)| known == name);
        let Some(place) = self.named.iter().position(place) else { panic!("a step has {MAX_SCALARS} scalars at most") };
        self.named[place] = Some((name, value));
        // In one order, so that equal scalars compare equal.
        self.named.sort_by_key(|named| named.map_or((true, ""), |(name, _)| (false, name)));
        self
    }
}

/// A map from names to values.
impl Serialize for Scalars {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.collect_map(self.named.iter().flatten().copied())
    }
}

impl<const N: usize> From<[(&'static str, f64); N]> for Scalars {
    fn from(values: [(&'static str, f64); N]) -> Scalars {
        values.into_iter().fold(Scalars::default(), |scalars, (name, value)| scalars.with(name, value))
    }
}

/// [`Step`] as kernels see it: 96 bytes, laid out as WGSL lays out a uniform struct.
#[repr(C)]
#[derive(Clone, Copy, Debug, bytemuck::Pod, bytemuck::Zeroable)]
pub struct PackedStep {
    /// Low and high word of [`Step::index`].
    pub index: [u32; 2],
    /// [`Step::first`].
    pub first: u32,
    /// [`Step::rows`].
    pub rows: u32,
    /// [`Step::seed`].
    pub seed: u32,
    /// [`Step::slot`].
    pub slot: u32,
    /// Padding to a multiple of 16 bytes.
    pub padding: [u32; 2],
    /// [`Step::order`].
    pub order: [u32; 8],
    /// The scalars that the program lists, in its order.
    pub scalars: [f32; MAX_SCALARS],
}

impl Step {
    /// The scalar of this name; not a number where the step has none.
    pub fn scalar(&self, name: &str) -> f64 {
        self.scalars.get(name).unwrap_or(f64::NAN)
    }

    /// Checks that it has what a program reads.
    ///
    /// # Errors
    /// [`crate::Error::Graph`] that names the scalar it lacks.
    pub fn check<S: AsRef<str>>(&self, scalars: &[S]) -> Result<()> {
        match scalars.iter().find(|name| self.scalars.get(name.as_ref()).is_none()) {
            None => Ok(()),
            Some(name) => {
                graph_error(format!("step {} has no scalar {}, which its program reads", self.index, name.as_ref()))
            }
        }
    }

    /// The form that kernels of a program read which lists these scalars.
    pub fn pack<S: AsRef<str>>(&self, scalars: &[S]) -> PackedStep {
        let mut packed = PackedStep {
            index: [self.index as u32, (self.index >> 32) as u32],
            first: self.first,
            rows: self.rows,
            seed: self.seed,
            slot: self.slot,
            padding: [0; 2],
            order: self.order,
            scalars: [0.0; MAX_SCALARS],
        };
        for (packed, name) in packed.scalars.iter_mut().zip(scalars) {
            *packed = self.scalar(name.as_ref()) as f32;
        }
        packed
    }
}
