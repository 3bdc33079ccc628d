//! What the tests share: an adapter or a printed reason to skip, fills, tolerances.
#![allow(dead_code, unreachable_pub, reason = "each test binary uses its own part")]

use std::collections::HashMap;
use vae_gpu::backend::gpu::{Gpu, GpuOptions, adapters};
use vae_gpu::data::{ImageSize, Images, Values};
use vae_gpu::ops::{Case, Fill};
use vae_gpu::rng::{Draw, Stream};
use vae_gpu::step::Step;

/// The first adapter, hardware before software. Without one: a printed skip, or a failure where
/// `VAE_GPU_REQUIRE_ADAPTER=1`.
pub fn gpu(options: GpuOptions) -> Option<Gpu> {
    let adapters = adapters();
    let Some(adapter) = adapters.iter().find(|adapter| adapter.hardware).or(adapters.first()) else {
        assert_ne!(
            std::env::var("VAE_GPU_REQUIRE_ADAPTER").as_deref(),
            Ok("1"),
            "VAE_GPU_REQUIRE_ADAPTER=1, but there is no adapter"
        );
        eprintln!("SKIPPED: no adapter");
        return None;
    };
    eprintln!("adapter: {} ({})", adapter.name, adapter.kind);
    Some(Gpu::open(adapter.index, options).expect("an adapter that was listed opens"))
}

/// A step with every value set to something that is not its default.
pub fn a_step(rows: usize) -> Step {
    let keys = [0x9e37_79b9, 2, 0x7f4a_7c15, 4, 0xdead_beef, 6, 0x1234_5678, 8];
    Step {
        index: (7 << 32) + 11,
        first: 5,
        rows: rows as u32,
        seed: 42,
        slot: 0,
        order: keys,
        rate: 0.01,
        step_size: 0.01,
        second_scale: 2.0,
        beta: 0.625,
        decay: 0.875,
    }
}

/// Input `index` of a case, the same in f32 and f64: every value is a f32.
pub fn fill(case: &Case, index: usize) -> Vec<f64> {
    let (shape, fill) = case.inputs[index];
    let draw = Draw { seed: 9, stream: Stream::Prior, step: 0 };
    let at = |e: u32| match fill {
        Fill::Normal => f64::from(draw.normal(index as u32, e)),
        Fill::Wide => f64::from(30.0 * draw.normal(index as u32, e)),
        Fill::Unit => f64::from(draw.uniform(index as u32, e)),
        Fill::Bytes | Fill::Reals => unreachable!("a data set is no input"),
    };
    (0..shape.len() as u32).map(at).collect()
}

/// The data set of a case that has one: one image a row, all labelled 0.
pub fn dataset(case: &Case) -> Option<Images> {
    let draw = Draw { seed: 9, stream: Stream::Pixels, step: 0 };
    let &(shape, fill) = case.inputs.first()?;
    let elements = 0..shape.len() as u32;
    let pixels = match fill {
        Fill::Bytes => Values::Bytes(elements.map(|e| (draw.bits(0, e) >> 24) as u8).collect()),
        Fill::Reals => Values::Reals(elements.map(|e| draw.uniform(0, e)).collect()),
        _ => return None,
    };
    Some(Images { size: ImageSize::grey(1, shape.cols), pixels, labels: vec![0; shape.rows] })
}

/// All inputs by name.
pub fn inputs(case: &Case) -> HashMap<String, Vec<f64>> {
    let reals = case.inputs.iter().enumerate().filter(|(_, (_, fill))| !fill.is_dataset());
    reals.map(|(i, _)| (format!("in{i}"), fill(case, i))).collect()
}

/// How far a value may be off, and why.
#[derive(Clone, Copy, Debug)]
pub struct Tolerance {
    /// Share of the value's own size.
    pub relative: f64,
    /// Added to it.
    pub absolute: f64,
}

impl Tolerance {
    /// Rounding of a sum, one after the other, of `terms` f32 terms of size about 1. Its partial sums grow as the root of
    /// their number, and each is rounded by at most `u` = epsilon / 2 of itself, so the error's standard deviation is
    /// `u terms / sqrt(6)`; `terms * epsilon` is five of them. Added: 24 units in the last place for WGSL's built-in
    /// functions (exp promises 3 + 2|x|).
    pub fn rounding(terms: usize) -> Tolerance {
        let unit = f64::from(f32::EPSILON);
        Tolerance { relative: 24.0 * unit, absolute: (terms as f64 + 8.0) * unit }
    }

    /// Panics with the worst element where any is off by more.
    pub fn check(self, what: &str, got: &[f64], wanted: &[f64]) {
        assert_eq!(got.len(), wanted.len(), "{what}: lengths");
        let share = |i: usize| {
            let used = (got[i] - wanted[i]).abs() / (self.absolute + self.relative * wanted[i].abs());
            if used.is_nan() { f64::INFINITY } else { used }
        };
        let worst = (0..got.len()).max_by(|&a, &b| share(a).total_cmp(&share(b))).expect("there are elements");
        let used = share(worst);
        assert!(
            used <= 1.0,
            "{what}: element {worst} of {} is {}, wanted {}: {used:.2} times the tolerance {self:?}",
            got.len(),
            got[worst],
            wanted[worst]
        );
    }
}
