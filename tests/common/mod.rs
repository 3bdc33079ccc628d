//! What the tests share: an adapter or a printed reason to skip, fills, tolerances.
#![allow(dead_code, unreachable_pub, reason = "each test binary uses its own part")]

pub mod cases;
pub mod exports;
mod validation;

use std::collections::HashMap;
use vae_gpu::backend::gpu::{Gpu, GpuOptions, adapters};
use vae_gpu::data::{ImageSize, Images, Values};
use vae_gpu::ops::{Case, DECAY, Fill, SECOND_SCALE, STEP_SIZE};
use vae_gpu::optim::Optimiser;
use vae_gpu::rng::{self, Draw, Stream};
use vae_gpu::step::{Scalars, Step};

/// The first adapter, hardware before software. Without one: a printed skip, or a failure where
/// `VAE_GPU_REQUIRE_ADAPTER=1`. With checks ops share dispatches as on hardware, whatever the adapter.
pub fn gpu(options: GpuOptions) -> Option<Gpu> {
    validation::watch();
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
    let mut gpu = Gpu::open(adapter.index, options).expect("an adapter that was listed opens");
    gpu.change_profile(|profile| profile.shares |= options.checks);
    Some(gpu)
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
        scalars: [("beta", 0.625), (STEP_SIZE, 0.01), (SECOND_SCALE, 2.0), (DECAY, 0.875)].into(),
    }
}

/// The scalars of update number `t` at this rate, where beta is 1/2.
pub fn scalars(rate: f64, t: u64) -> Scalars {
    Optimiser::default().scalars(rate, t).with("beta", 0.5)
}

/// Input `index` of a case, the same in f32 and f64: every value is a f32.
pub fn fill(case: &Case, index: usize) -> Vec<f64> {
    let (shape, fill) = case.inputs[index];
    let draw = Draw { seed: 9, stream: Stream::Prior, step: 0 };
    let at = |e: u32| match fill {
        Fill::Normal => f64::from(draw.normal(index as u32, e)),
        Fill::Wide => f64::from(30.0 * draw.normal(index as u32, e)),
        Fill::Unit => f64::from(draw.uniform(index as u32, e)),
        Fill::Few => f64::from(draw.bits(index as u32, e) % 5) - 2.0,
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
    Some(Images::new(ImageSize::grey(1, shape.cols()), pixels))
}

/// All inputs by name.
pub fn inputs(case: &Case) -> HashMap<String, Vec<f64>> {
    let reals = case.inputs.iter().enumerate().filter(|(_, (_, fill))| !fill.is_dataset());
    reals.map(|(i, _)| (format!("in{i}"), fill(case, i))).collect()
}

/// How often a test tries: what the variable says, or `usual`.
pub fn tries(variable: &str, usual: u32) -> u32 {
    std::env::var(variable).map_or(usual, |tries| tries.parse().expect("a number"))
}

/// The choices of one random case: the same for the same number.
#[derive(Debug)]
pub struct Draws {
    draw: Draw,
    drawn: u32,
}

impl Draws {
    /// Those of case `number`.
    pub fn new(number: u32) -> Draws {
        Draws { draw: Draw { seed: 6, stream: Stream::Synthetic, step: u64::from(number) }, drawn: 0 }
    }

    /// Any 32 bits.
    pub fn bits(&mut self) -> u32 {
        self.drawn += 1;
        self.draw.bits(0, self.drawn)
    }

    /// A number below `bound`.
    pub fn below(&mut self, bound: usize) -> usize {
        self.bits() as usize % bound
    }

    /// A number from `least` to `most`.
    pub fn between(&mut self, least: usize, most: usize) -> usize {
        least + self.below(most - least + 1)
    }

    /// One of them.
    pub fn one<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }

    /// A value of an input that is filled so; of a data set of bytes, a byte.
    pub fn value(&mut self, fill: Fill) -> f32 {
        let bits = self.bits();
        match fill {
            Fill::Normal => rng::normal(bits),
            Fill::Wide => 30.0 * rng::normal(bits),
            Fill::Unit | Fill::Reals => rng::uniform(bits),
            Fill::Bytes => (bits >> 24) as f32,
            Fill::Few => (bits % 5) as f32 - 2.0,
        }
    }
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

    /// [`Tolerance::rounding`] of sums whose terms are of the size of the largest of these values.
    pub fn rounding_among(terms: usize, values: &[f64]) -> Tolerance {
        let size = values.iter().fold(1.0_f64, |most, value| most.max(value.abs()));
        let Tolerance { relative, absolute } = Tolerance::rounding(terms);
        Tolerance { relative, absolute: absolute * size }
    }

    /// What rounding does to the values a program computes by long chains: a few times what it does to `near`, which another
    /// program computed in f32 with the terms of each sum in another order, and as many units in the last place of the
    /// largest value.
    pub fn as_near(near: &[f64], wanted: &[f64]) -> Tolerance {
        let largest = |values: &mut dyn Iterator<Item = f64>| values.fold(0.0_f64, |most, value| most.max(value.abs()));
        let off = largest(&mut near.iter().zip(wanted).map(|(near, wanted)| near - wanted));
        let size = largest(&mut wanted.iter().copied());
        // Denormal numbers may be flushed to zero.
        let least = f64::from(f32::MIN_POSITIVE);
        Tolerance { relative: 0.0, absolute: 16.0 * (off + f64::from(f32::EPSILON) * size) + least }
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
