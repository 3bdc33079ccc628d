//! What the tests share: an adapter or a printed reason to skip, fills, tolerances.
#![allow(dead_code, unreachable_pub, reason = "each test binary uses its own part")]

pub mod cases;
pub mod exports;
pub mod page;
pub mod ranks;
mod validation;

pub use vae_gpu::conformance::{Tolerance, a_step, dataset, fill, inputs};

use vae_gpu::backend::gpu::{Gpu, GpuOptions, adapters};
use vae_gpu::ops::Fill;
use vae_gpu::optim::Optimiser;
use vae_gpu::rng::{self, Draw, Stream};
use vae_gpu::step::Scalars;

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

/// The scalars of update number `t` at this rate, where beta is 1/2.
pub fn scalars(rate: f64, t: u64) -> Scalars {
    Optimiser::default().scalars(rate, t).with("beta", 0.5)
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

/// A comparison that fails a test.
pub trait Check {
    /// Panics with the worst element where any is off by more.
    fn check(self, what: &str, got: &[f64], wanted: &[f64]);
}

impl Check for Tolerance {
    #[track_caller]
    fn check(self, what: &str, got: &[f64], wanted: &[f64]) {
        if let Err(why) = self.compare(got, wanted) {
            panic!("{what}: {why}");
        }
    }
}

/// The program in a folder, with these arguments, untuned.
pub fn vae_gpu(folder: &std::path::Path, args: &[&str]) -> assert_cmd::Command {
    let mut command = assert_cmd::Command::cargo_bin("vae-gpu").expect("it is built");
    command.current_dir(folder).env("VAE_GPU_PROFILE", "none").args(args);
    command
}
