//! What a training step allocates on the CPU: nothing. In a binary of its own, as all its threads are counted.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use std::alloc::System;
use vae_gpu::backend::cpu::Cpu;
use vae_gpu::backend::{Device, MAX_STEPS};
use vae_gpu::data::{Dataset, Synthetic};
use vae_gpu::graph::PARAMETERS;
use vae_gpu::optim::Optimiser;
use vae_gpu::plan::{Fusion, Options};
use vae_gpu::step::Step;
use vae_gpu::train::ModelInput;
use vae_gpu::train::bench::{Workload, work_plans};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Submissions allocate what they report; a longer one as often as a short one, so its steps none.
#[test]
fn a_step_allocates_nothing() {
    rayon::ThreadPoolBuilder::new().num_threads(2).build_global().unwrap();
    let work = Workload { name: "small", config: "hidden = [70]\nlatent = 40\nbatch-size = 130", image: None };
    let data = Dataset::synthetic(Synthetic::Uniform, 1300, 784, 0);
    for fuse in [Fusion::Epilogues, Fusion::None] {
        let (model, plans) = work_plans(&work, &data, Options::new(fuse)).unwrap();
        let mut session = Cpu::<f32>::new().session(model.layout(), &[data.train.resident()]).unwrap();
        let programs: Vec<_> = plans.into_iter().map(|plan| session.load(plan).unwrap()).collect();
        session.write_arena(PARAMETERS, &model.layout().initial(0)).unwrap();
        let scalars = Optimiser::default().scalars(1e-3, 1).with("beta", 1.0);
        let steps: Vec<Step> =
            (0..MAX_STEPS as u64).map(|index| Step { index, rows: 130, scalars, ..Step::default() }).collect();
        let mut allocations = |count: usize| {
            let region = Region::new(ALLOCATOR);
            session.run(&programs, &steps[..count]).unwrap();
            region.change().allocations + region.change().reallocations
        };
        // A thread keeps what it needed once, and which of the two takes which part is chance; queues of the pool grow too. What
        // a step allocates, every submission has.
        let mut fewest = |steps: usize| (0..20).map(|_| allocations(steps)).min().unwrap();
        let (one, many) = (fewest(1), fewest(MAX_STEPS));
        assert!(one > 0, "nothing is counted");
        assert_eq!(many, one, "{fuse:?}: {MAX_STEPS} steps allocate more than one does");
    }
}
