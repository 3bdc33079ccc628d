//! What is known of a device when kernels are chosen for it.

use super::{Algorithm, Half};
use std::collections::BTreeMap;

/// Tuned algorithms by GEMM size `[m, n, k]`.
pub type TuningTable = BTreeMap<[usize; 3], Algorithm>;

/// Adapters by what suits GEMMs on them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AdapterClass {
    /// A GPU whose threads have 128 registers and more without a loss: AMD's, NVIDIA's, and others of which nothing is known.
    Wide,
    /// Apple's, which runs half as many threads with as many registers.
    Apple,
    /// Intel's, whose threads have 128 registers of 8 lanes.
    Intel,
    /// The adapter runs on the CPU (lavapipe, WARP): there workgroup memory is no faster than any other, and each buffer
    /// load is a gather.
    Software,
}

/// What kernels may do within subgroups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subgroups {
    /// Nothing.
    None,
    /// Exchange values; every subgroup has eight invocations, all of them.
    OfEight,
    /// Add, whatever the size.
    OfAnySize,
}

/// What lowering may depend on; never on a timing of the run itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceProfile {
    /// What kind of processor it is.
    pub class: AdapterClass,
    /// What kernels may do within subgroups.
    pub subgroups: Subgroups,
    /// Storage buffers that a dispatch may bind.
    pub storage_buffers: usize,
    /// Whether independent ops share a dispatch. Off on software adapters, where a dispatch is nearly free and branches
    /// are masks, so that a workgroup runs through all kernels of its dispatch. Mesa's llvmpipe (22.3) takes 1.2 times
    /// as long for a step of standard-1024 whose products share.
    pub shares: bool,
    /// What a tuning run found for products of these sizes; all others follow the rule of [`Algorithm::choose`].
    pub tuning: TuningTable,
    /// Shape of the cooperative matrices, where matmuls run in f16.
    pub half: Option<Half>,
}

/// Storage buffers that WebGPU lets every dispatch bind.
pub const STORAGE_BUFFERS: usize = 8;

/// Workgroups that occupy a large GPU, about one a core. An estimate; `vae-gpu bench --tune` measures.
const FULL_OCCUPANCY_WORKGROUPS: usize = 128;
/// Workgroups that occupy the processor below a software adapter.
const SOFTWARE_WORKGROUPS: usize = 16;

impl DeviceProfile {
    /// Workgroups that occupy the device.
    pub(super) fn workgroups_wanted(&self) -> usize {
        if self.software() { SOFTWARE_WORKGROUPS } else { FULL_OCCUPANCY_WORKGROUPS }
    }

    /// Among how many parts, none of them empty, a sum of `length` terms is shared out: at most `most`, where the `groups` workgroups
    /// of one part alone would leave the device idle; more only where none may be longer than `longest`.
    pub(crate) fn parts(&self, groups: usize, length: usize, most: usize, longest: usize) -> usize {
        let count = self.workgroups_wanted().div_ceil(groups).min(most).max(length.div_ceil(longest)).max(1);
        length.div_ceil(length.div_ceil(count))
    }

    /// Whether it runs on the CPU.
    pub fn software(&self) -> bool {
        self.class == AdapterClass::Software
    }

    /// WebGPU's default limits, and the rule alone.
    pub const fn new(class: AdapterClass) -> DeviceProfile {
        DeviceProfile {
            class,
            subgroups: Subgroups::None,
            storage_buffers: STORAGE_BUFFERS,
            shares: !matches!(class, AdapterClass::Software),
            tuning: TuningTable::new(),
            half: None,
        }
    }
}

impl Default for DeviceProfile {
    fn default() -> DeviceProfile {
        DeviceProfile::new(AdapterClass::Wide)
    }
}
