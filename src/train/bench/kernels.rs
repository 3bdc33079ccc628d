//! What each dispatch of a training step takes, and how much of the device's arithmetic and memory it uses.

use serde::Serialize;

use super::products::of_dispatch;
use super::{Ready, Workload, work_plans};
use crate::backend::Device;
use crate::data::Dataset;
use crate::error::Result;
use crate::ops::{Gemm, Op};
use crate::plan::{BufferId, BufferView, Dispatch, Options, Plan};

/// One dispatch of a step.
#[derive(Clone, Debug, Serialize)]
pub struct KernelTime {
    /// The work's name.
    pub work: &'static str,
    /// The device's name, for people.
    pub device: String,
    /// Its position in the step, from 0: `vae-gpu bench --plan` prints the plans in this order.
    pub dispatch: usize,
    /// The names of the ops that it computes: `matmul | sum_rows`.
    pub op: String,
    /// Rows and columns of its first output.
    pub output: [usize; 2],
    /// `[m, n, k]` of its largest product.
    pub product: Option<[usize; 3]>,
    /// Milliseconds: the median over the steps that were timed.
    pub ms: f64,
    /// Its part of the sum over the step's dispatches.
    pub share: f64,
    /// 10^9 multiplications and additions a second, of its products.
    pub gflops: Option<f64>,
    /// 10^9 bytes a second, if each input is read once and each output written once ([`bytes`]).
    pub gb_per_s: f64,
    /// The program's version.
    pub version: &'static str,
}

/// Steps that are timed: at least, and at most.
const REPEATS: [f64; 2] = [5.0, 200.0];

/// Times each dispatch of a work's training step for about so many seconds; the slowest first.
///
/// # Errors
/// [`crate::Error::Device`] where the device cannot time a dispatch, else what it fails with.
pub fn measure(
    work: &Workload,
    data: &Dataset,
    device: &dyn Device,
    options: Options,
    seconds: f64,
) -> Result<Vec<KernelTime>> {
    let (model, plans) = work_plans(work, data, options)?;
    let Ready { mut session, programs, steps } = Ready::new(work, data, device, &model, plans.clone())?;
    let mut timed = |repeats: usize| -> Result<Vec<f64>> {
        let each = programs.iter().map(|&program| session.profile(program, &steps[0], repeats));
        Ok(each.collect::<Result<Vec<_>>>()?.concat())
    };
    let once: f64 = timed(1)?.iter().sum();
    let repeats = (seconds / once.max(1e-6)).clamp(REPEATS[0], REPEATS[1]) as usize;
    let times = timed(repeats)?;
    let all: f64 = times.iter().sum();
    let mut kernels: Vec<KernelTime> = plans
        .iter()
        .flat_map(Plan::groups)
        .zip(times)
        .enumerate()
        .map(|(at, (group, seconds))| {
            let products: Vec<Gemm> = group.iter().flat_map(of_dispatch).collect();
            let output = group[0].outputs[0].shape;
            // A dispatch too short for the device's clock has no rate.
            let rate = |count: u64| if seconds > 0.0 { count as f64 / seconds / 1e9 } else { 0.0 };
            KernelTime {
                work: work.name,
                device: device.name(),
                dispatch: at,
                op: group.iter().map(|dispatch| dispatch.op.name()).collect::<Vec<_>>().join(" | "),
                output: [output.rows(), output.cols()],
                product: products.iter().max_by_key(|product| product.flops()).map(|product| product.size),
                ms: 1e3 * seconds,
                share: seconds / all,
                gflops: (!products.is_empty()).then(|| rate(products.iter().map(Gemm::flops).sum())),
                gb_per_s: rate(group.iter().map(bytes).sum()),
                version: env!("CARGO_PKG_VERSION"),
            }
        })
        .collect();
    kernels.sort_by(|a, b| b.ms.total_cmp(&a.ms));
    Ok(kernels)
}

/// Bytes of a dispatch's inputs and outputs, each once, in f32 and the data's own type. What is updated in place counts as
/// both; of a data set only the examples that the step takes.
pub fn bytes(dispatch: &Dispatch) -> u64 {
    let size = |view: &BufferView| match view.buffer {
        BufferId::Metrics => view.shape.cols() * view.dtype.bytes(),
        _ => view.bytes(),
    };
    let read = |(at, view): (usize, &BufferView)| match view.buffer {
        BufferId::Dataset(_) => {
            let taken = match (&dispatch.op, at) {
                (Op::Matmul(product), 0) => product.a.shape(view.shape),
                (Op::Matmul(product), 1) => product.b.shape(view.shape),
                // A gather's value, or the target of a product's likelihood: one a value of the output.
                _ => dispatch.outputs[0].shape,
            };
            taken.len() * view.dtype.bytes()
        }
        _ => size(view),
    };
    let read: usize = dispatch.inputs.iter().enumerate().map(read).sum();
    let written: usize = dispatch.outputs.iter().map(size).sum();
    let again = if dispatch.op.effect().updated() > 0 { written } else { 0 };
    (read + written + again) as u64
}

#[cfg(test)]
mod tests {
    use super::super::tests::TINY;
    use super::*;
    use crate::backend::cpu::Cpu;
    use crate::data::Synthetic;

    #[test]
    fn every_dispatch_is_timed_once_and_the_slowest_comes_first() {
        let data = Dataset::synthetic(Synthetic::Uniform, 64, 16, 0);
        let (_, plans) = work_plans(&TINY, &data, Options::default()).unwrap();
        let ops: Vec<&str> =
            plans.iter().flat_map(|plan| &plan.dispatches).map(|dispatch| dispatch.op.name()).collect();
        let kernels = measure(&TINY, &data, &Cpu::<f32>::new(), Options::default(), 0.02).unwrap();
        let mut seen: Vec<usize> = kernels.iter().map(|kernel| kernel.dispatch).collect();
        seen.sort_unstable();
        assert_eq!(seen, (0..ops.len()).collect::<Vec<_>>());
        assert!(kernels.is_sorted_by(|a, b| a.ms >= b.ms), "{kernels:?}");
        let shares: f64 = kernels.iter().map(|kernel| kernel.share).sum();
        assert!((shares - 1.0).abs() < 1e-9, "{shares}");
        for kernel in &kernels {
            assert_eq!(kernel.product.is_some(), kernel.op.contains("matmul"), "{kernel:?}");
            assert_eq!(kernel.op, ops[kernel.dispatch]);
        }
    }

    #[test]
    fn bytes_are_those_that_must_move() {
        let data = Dataset::synthetic(Synthetic::Uniform, 64, 16, 0);
        let (model, plans) = work_plans(&TINY, &data, Options::new(crate::plan::Fusion::None)).unwrap();
        let named = |name| move |dispatch: &&Dispatch| dispatch.op.name() == name;
        let of = |name| plans.iter().find_map(|plan| plan.dispatches.iter().find(named(name))).map(bytes).unwrap();
        // x [16, 16] w^T [16, 8] -> [16, 8].
        assert_eq!(of("matmul"), 4 * (16 * 16 + 16 * 8 + 16 * 8));
        // Gradients are read; parameters and both moments are read and written.
        assert_eq!(of("adam"), 4 * 7 * model.layout().len() as u64);
        // 16 of the 64 examples, and what they become.
        assert_eq!(of("gather"), 2 * 4 * 16 * 16);
        assert_eq!(of("record"), 4 * (3 + 3));
    }

    #[test]
    fn a_product_reads_of_the_data_what_it_gathers() {
        let data = Dataset::synthetic(Synthetic::Uniform, 64, 16, 0);
        let (_, mut plans) = work_plans(&TINY, &data, Options::new(crate::plan::Fusion::All)).unwrap();
        let plan = plans.remove(0);
        let gathering = &plan.dispatches[0];
        assert!(matches!(gathering.inputs[0].buffer, BufferId::Dataset(0)), "{gathering:?}");
        // x [16, 16] of 64 examples, w [8, 16], b [1, 8] -> [16, 8].
        assert_eq!(bytes(gathering), 4 * (16 * 16 + 8 * 16 + 8 + 16 * 8));
    }
}
