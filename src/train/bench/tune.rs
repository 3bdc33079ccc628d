//! Which algorithm is fastest for each product of some plans: what a profile is made of.

use std::collections::BTreeMap;

use serde::Serialize;

use super::products;
use crate::backend::{Device, TunedKernel};
use crate::error::{Error, Result};
use crate::ops::{Algorithm, Gemm, TuningTable};
use crate::plan::Plan;

/// How fast each algorithm computes the products of one size.
#[derive(Clone, Debug, Serialize)]
pub struct Tuning {
    /// `[m, n, k]`.
    pub product: [usize; 3],
    /// The fastest algorithm.
    pub variant: Algorithm,
    /// 10^9 multiplications and additions a second of each algorithm, over all products of this size, however transposed.
    pub gflops: Vec<(Algorithm, f64)>,
}

impl Tuning {
    /// The line of a profile.
    pub fn choice(&self) -> TunedKernel {
        let rates: Vec<String> =
            self.gflops.iter().map(|(variant, rate)| format!("{} {rate:.1}", variant.name())).collect();
        TunedKernel { size: self.product, variant: self.variant, why: format!("GFLOP/s: {}", rates.join(", ")) }
    }
}

/// Measures every algorithm on the products of these plans, each for about so many seconds; `seen` hears of each size when it
/// is done.
///
/// # Errors
/// [`Error::Usage`] where the device has no algorithm to choose, else what it fails with.
pub fn tune(
    plans: &[Plan],
    device: &dyn Device,
    seconds: f64,
    mut seen: impl FnMut(&Tuning) -> Result<()>,
) -> Result<Vec<Tuning>> {
    let mut groups: BTreeMap<[usize; 3], Vec<Gemm>> = BTreeMap::new();
    for dispatch in plans.iter().flat_map(|plan| &plan.dispatches) {
        if let Some(size) = dispatch.op.tuned_as(&products::shapes(dispatch)) {
            groups.entry(size).or_default().extend(products::of_dispatch(dispatch));
        }
    }
    let mut tunings = Vec::new();
    for (size, group) in groups {
        let flops: u64 = group.iter().map(Gemm::flops).sum();
        let mut gflops = Vec::new();
        for variant in Algorithm::ALL {
            let table: TuningTable = group.iter().map(|product| (product.size, variant)).collect();
            if let Some(device) = device.with_tuning(table) {
                let taken = products::Alone::new(&*device, &group)?.seconds(seconds)?;
                gflops.push((variant, flops as f64 / taken / 1e9));
            }
        }
        let Some(&(variant, _)) = gflops.iter().max_by(|a, b| a.1.total_cmp(&b.1)) else {
            let name = device.name();
            return Err(Error::Usage(format!(
                "{name} computes every product in one way: there is nothing to tune; name an adapter with --device"
            )));
        };
        let tuning = Tuning { product: size, variant, gflops };
        seen(&tuning)?;
        tunings.push(tuning);
    }
    Ok(tunings)
}

#[cfg(test)]
mod tests {
    use super::super::tests::TINY;
    use super::super::work_plans;
    use super::*;
    use crate::backend::cpu::Cpu;
    use crate::backend::gpu::{Gpu, GpuOptions, adapters};
    use crate::data::{Dataset, Synthetic};
    use crate::plan::Options;

    #[test]
    fn each_size_gets_its_fastest_loop() {
        if adapters().is_empty() {
            eprintln!("SKIPPED: no adapter");
            return;
        }
        let data = Dataset::synthetic(Synthetic::Uniform, 64, 16, 0);
        let gpu = Gpu::open(0, GpuOptions::default()).unwrap();
        let mut heard = 0;
        let (_, mut plans) = work_plans(&TINY, &data, Options::default()).unwrap();
        let plan = plans.remove(0);
        let tunings = tune(&[plan.clone(), plan.clone()], &gpu, 0.01, |_| {
            heard += 1;
            Ok(())
        })
        .unwrap();
        assert_eq!(heard, tunings.len());
        for product in products::of(&plan) {
            let [tuning] = &tunings.iter().filter(|tuning| tuning.product == product.size).collect::<Vec<_>>()[..]
            else {
                panic!("{product:?} is there once")
            };
            let runs = |variant: &Algorithm| gpu.with_tuning([(tuning.product, *variant)].into()).is_some();
            assert_eq!(tuning.gflops.len(), Algorithm::ALL.iter().filter(|variant| runs(variant)).count());
            let (_, chosen) = tuning.gflops.iter().find(|(variant, _)| *variant == tuning.variant).unwrap();
            assert!(tuning.gflops.iter().all(|(_, rate)| rate <= chosen), "{tuning:?}");
        }
    }

    #[test]
    fn the_cpu_has_nothing_to_tune() {
        let data = Dataset::synthetic(Synthetic::Uniform, 64, 16, 0);
        let (_, mut plans) = work_plans(&TINY, &data, Options::default()).unwrap();
        let plan = plans.remove(0);
        let error = tune(&[plan], &Cpu::<f32>::new(), 0.01, |_| Ok(())).unwrap_err();
        assert!(matches!(&error, Error::Usage(text) if text.contains("nothing to tune")), "{error}");
    }
}
