//! How fast matrix products are by themselves: those of a plan, and one size with every algorithm there is for it.

use std::time::Instant;

use serde::Serialize;

use crate::backend::{Data, Device, MAX_STEPS, ProgramId, Session, median};
use crate::error::Result;
use crate::graph::{Graph, ParameterLayout};
use crate::ops::{Algorithm, Gemm, Transpose, TuningTable};
use crate::plan::{Dispatch, Options, Plan, compile};
use crate::step::Step;
use crate::tensor::Shape;

/// The GEMMs that a dispatch computes: some, if it is a matmul or a convolution.
pub(super) fn of_dispatch(dispatch: &Dispatch) -> Vec<Gemm> {
    dispatch.op.gemms(&shapes(dispatch))
}

/// Of a dispatch's inputs.
pub(super) fn shapes(dispatch: &Dispatch) -> Vec<Shape> {
    dispatch.inputs.iter().map(|view| view.shape).collect()
}

/// The plan's products.
pub(super) fn of(plan: &Plan) -> Vec<Gemm> {
    plan.dispatches.iter().flat_map(of_dispatch).collect()
}

/// How long a submission should last at least, in seconds, so that its own cost does not tell.
const WORTH_TIMING: f64 = 0.02;

/// Matmuls on a device, ready to run one after another and nothing else.
pub(super) struct Alone {
    session: Box<dyn Session>,
    program: ProgramId,
    /// How often they are run in a submission.
    steps: usize,
}

impl Alone {
    /// These, of factors without a zero.
    pub(super) fn new(device: &dyn Device, products: &[Gemm]) -> Result<Alone> {
        let layout = ParameterLayout::default();
        let none: [Data<'_>; 0] = [];
        let mut session = device.session(&layout, &none)?;
        let mut g = Graph::new(layout);
        for (at, product) in products.iter().enumerate() {
            let [a, b] = product.operands();
            let a = g.input(&format!("a{at}"), a);
            let b = g.input(&format!("b{at}"), b);
            let c = g.matmul(a, b, product.transpose)?; // [m, n]
            g.output(&format!("c{at}"), c);
        }
        let program = session.load(compile(&g, Options::default())?)?;
        for (at, product) in products.iter().enumerate() {
            // Ordinary numbers: denormal ones are slow on some devices.
            let [a, b] = product.operands();
            session.write_input(program, &format!("a{at}"), &vec![0.5; a.len()])?;
            session.write_input(program, &format!("b{at}"), &vec![0.25; b.len()])?;
        }
        let mut alone = Alone { session, program, steps: 1 };
        alone.run()?; // drivers compile kernels on their first run, for longer than it lasts
        alone.steps = (WORTH_TIMING / alone.run()?).ceil().clamp(1.0, MAX_STEPS as f64) as usize;
        Ok(alone)
    }

    /// Seconds that they take all together: the mean of a submission's.
    fn run(&mut self) -> Result<f64> {
        let steps = vec![Step { rows: 1, ..Step::default() }; self.steps];
        let began = Instant::now();
        self.session.run(&[self.program], &steps)?;
        Ok(began.elapsed().as_secs_f64() / steps.len() as f64)
    }

    /// Likewise: the median over about so many seconds.
    pub(super) fn seconds(&mut self, seconds: f64) -> Result<f64> {
        let began = Instant::now();
        let mut times = vec![self.run()?];
        while began.elapsed().as_secs_f64() < seconds {
            times.push(self.run()?);
        }
        Ok(median(&mut times))
    }
}

/// How fast one algorithm computes a product of one size.
#[derive(Clone, Debug, Serialize)]
pub struct VariantSpeed {
    /// `[m, n, k]`.
    pub product: [usize; 3],
    /// The algorithm's name ([`Algorithm::name`]); "panels" is the CPU path's only one.
    pub variant: &'static str,
    /// The device's name, for people.
    pub device: String,
    /// Milliseconds a product.
    pub ms: f64,
    /// 10^9 multiplications and additions a second.
    pub gflops: f64,
    /// Its speed over that of [`Algorithm::Naive`]; none on the CPU path, which has no such algorithm.
    pub ratio_to_naive: Option<f64>,
}

/// Every algorithm on the device for a product `[m, n, k]`, for about so many seconds each.
///
/// # Errors
/// What the device fails with.
pub fn variants(size: [usize; 3], device: &dyn Device, seconds: f64) -> Result<Vec<VariantSpeed>> {
    let product = Gemm { size, transpose: Transpose::Neither };
    let speed = |variant, device: &dyn Device| -> Result<VariantSpeed> {
        let taken = Alone::new(device, &[product])?.seconds(seconds)?;
        Ok(VariantSpeed {
            product: product.size,
            variant,
            device: device.name(),
            ms: 1e3 * taken,
            gflops: product.flops() as f64 / taken / 1e9,
            ratio_to_naive: None,
        })
    };
    let mut speeds = Vec::new();
    for variant in Algorithm::ALL {
        if let Some(device) = device.with_tuning(TuningTable::from([(product.size, variant)])) {
            speeds.push(speed(variant.name(), &*device)?);
        }
    }
    if speeds.is_empty() {
        speeds.push(speed("panels", device)?);
    }
    let naive = speeds.iter().find(|speed| speed.variant == Algorithm::Naive.name()).map(|speed| speed.ms);
    for speed in &mut speeds {
        speed.ratio_to_naive = naive.map(|ms| ms / speed.ms);
    }
    Ok(speeds)
}

#[cfg(test)]
mod tests {
    use super::super::{WORKLOADS, work_plans};
    use super::*;
    use crate::backend::cpu::Cpu;
    use crate::data::{Dataset, Synthetic};

    #[test]
    fn a_step_has_the_multiplications_of_its_layers() {
        let data = Dataset::synthetic(Synthetic::Uniform, 128, 784, 0);
        let (_, mut plans) = work_plans(&WORKLOADS[0], &data, Options::default()).unwrap();
        let plan = plans.remove(0);
        let flops: u64 = of(&plan).iter().map(Gemm::flops).sum();
        // Three products a layer of weights, but no input gradient for the first: 3.28 MFLOP an image.
        let weights = 784 * 400 + 400 * 40 + 20 * 400 + 400 * 784;
        assert_eq!(flops, 128 * 2 * (3 * weights - 784 * 400));
    }

    #[test]
    fn the_cpu_has_one_product() {
        let speeds = variants([30, 20, 10], &Cpu::<f32>::new(), 0.01).unwrap();
        assert_eq!(speeds.iter().map(|speed| speed.variant).collect::<Vec<_>>(), ["panels"]);
        assert!(speeds[0].gflops > 0.0 && speeds[0].ratio_to_naive.is_none(), "{speeds:?}");
    }
}
