//! The values that change from step to step, and nothing else does.
//!
//! The host computes them in f64 ([`Step`]); a backend gives kernels the packed form ([`PackedStep`]), one row a step of
//! one uniform buffer, written once a submission. Kernels read a row and never advance it. The WGSL twin is
//! `shaders/common/step.wgsl`; a test reflects both and compares every offset.

/// Steps a submission may have at most: rows of the metrics ring and of the uniform buffer.
pub const MAX_STEPS: usize = 64;

/// One step's values, as the host computes them.
#[derive(Clone, Copy, Debug, PartialEq)]
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
    /// The learning rate; for the host's own records, no kernel reads it.
    pub rate: f64,
    /// Adam's learning rate over its first bias correction: `rate / (1 - beta1^t)`.
    pub step_size: f64,
    /// Adam's second bias correction: `1 / sqrt(1 - beta2^t)`.
    pub second_scale: f64,
    /// Weight of the KL term.
    pub beta: f64,
    /// What parameters are multiplied by before Adam moves them: `1 - rate * weight_decay`; 1 without weight decay.
    pub decay: f64,
}

/// Zeros, and no weight decay.
impl Default for Step {
    fn default() -> Step {
        Step {
            index: 0,
            first: 0,
            rows: 0,
            seed: 0,
            slot: 0,
            order: [0; 8],
            rate: 0.0,
            step_size: 0.0,
            second_scale: 0.0,
            beta: 0.0,
            decay: 1.0,
        }
    }
}

/// [`Step`] as kernels see it: 80 bytes, laid out as WGSL lays out a uniform struct.
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
    /// [`Step::step_size`].
    pub step_size: f32,
    /// [`Step::second_scale`].
    pub second_scale: f32,
    /// [`Step::order`].
    pub order: [u32; 8],
    /// [`Step::beta`].
    pub beta: f32,
    /// [`Step::decay`].
    pub decay: f32,
    /// Padding to a multiple of 16 bytes.
    pub padding: [u32; 2],
}

impl Step {
    /// The form kernels read.
    pub fn pack(&self) -> PackedStep {
        PackedStep {
            index: [self.index as u32, (self.index >> 32) as u32],
            first: self.first,
            rows: self.rows,
            seed: self.seed,
            slot: self.slot,
            step_size: self.step_size as f32,
            second_scale: self.second_scale as f32,
            order: self.order,
            beta: self.beta as f32,
            decay: self.decay as f32,
            padding: [0; 2],
        }
    }
}
