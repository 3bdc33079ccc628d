//! Batches in shards: near what whole batches give, and the same bytes whatever ranks compute them. The ranks here are threads; those of
//! an MPI job are tested by `tests/ranks.sh`.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::rc::Rc;
use std::sync::{Arc, Barrier, Mutex};

use crate::common::{Check, Tolerance, gpu, vae_gpu};
use vae_gpu::backend::Device;
use vae_gpu::backend::cpu::Cpu;
use vae_gpu::backend::gpu::GpuOptions;
use vae_gpu::config::TrainConfig;
use vae_gpu::data::{Dataset, Synthetic};
use vae_gpu::plan::Options;
use vae_gpu::ranks::Ranks;
use vae_gpu::train::Trainer;

/// What ranks on threads share: a place for what each says, and a barrier before and behind reading it.
#[derive(Debug)]
struct Meeting {
    barrier: Barrier,
    said: Mutex<Vec<Vec<u8>>>,
}

/// A rank on a thread.
#[derive(Debug)]
struct Thread {
    rank: usize,
    count: usize,
    meeting: Arc<Meeting>,
}

impl Thread {
    /// What all ranks say, in their order.
    fn say(&self, own: &[u8]) -> Vec<Vec<u8>> {
        self.meeting.said.lock().unwrap()[self.rank] = own.to_vec();
        self.meeting.barrier.wait();
        let all = self.meeting.said.lock().unwrap().clone();
        self.meeting.barrier.wait();
        all
    }
}

fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()
}

fn bytes(floats: &[f32]) -> Vec<u8> {
    floats.iter().flat_map(|value| value.to_le_bytes()).collect()
}

impl Ranks for Thread {
    fn rank(&self) -> usize {
        self.rank
    }

    fn count(&self) -> usize {
        self.count
    }

    fn exchange(&self, values: &[f32], parts: &[usize], given: &[usize]) -> Vec<f32> {
        assert_eq!(values.len(), parts.iter().sum::<usize>());
        let header: Vec<f32> = parts.iter().map(|&part| part as f32).collect();
        let all = self.say(&bytes(&[&header[..], values].concat()));
        let mine = |(rank, said): (usize, &Vec<u8>)| {
            let said = floats(said);
            let (parts, values) = said.split_at(self.count);
            let from: usize = parts[..self.rank].iter().map(|&part| part as usize).sum();
            assert_eq!(parts[self.rank] as usize, given[rank]);
            values[from..from + given[rank]].to_vec()
        };
        all.iter().enumerate().flat_map(mine).collect()
    }

    fn gather(&self, own: &[f32], parts: &[usize], all: &mut [f32]) {
        assert_eq!(own.len(), parts[self.rank]);
        let said: Vec<f32> = self.say(&bytes(own)).iter().flat_map(|said| floats(said)).collect();
        all.copy_from_slice(&said);
    }

    fn gather_numbers(&self, own: &[f64]) -> Vec<f64> {
        let all = self.say(&own.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>()).concat();
        all.as_chunks::<8>().0.iter().map(|bytes| f64::from_le_bytes(*bytes)).collect()
    }

    fn broadcast(&self, text: String) -> String {
        String::from_utf8(self.say(text.as_bytes()).swap_remove(0)).unwrap()
    }

    fn abort(&self, code: i32) -> ! {
        panic!("aborted with {code}")
    }
}

/// The checkpoint's bytes of each of so many ranks.
fn trained(config: &TrainConfig, data: &Dataset, device: &(dyn Device + Sync), count: usize) -> Vec<Vec<u8>> {
    let meeting = Arc::new(Meeting { barrier: Barrier::new(count), said: Mutex::new(vec![Vec::new(); count]) });
    let train = |rank: usize| {
        let ranks = Rc::new(Thread { rank, count, meeting: meeting.clone() });
        let mut trainer = Trainer::among(ranks, config, data, device, Options::default(), None).unwrap();
        trainer.follow(&mut ()).unwrap();
        trainer.checkpoint().unwrap().to_bytes().unwrap()
    };
    std::thread::scope(|scope| {
        let ranks: Vec<_> = (0..count).map(|rank| scope.spawn(move || train(rank))).collect();
        ranks.into_iter().map(|rank| rank.join().unwrap()).collect()
    })
}

/// Options of each model, and of what keeps state or looks at a whole batch.
const OPTIONS: [&str; 13] = [
    "",
    "model = 'ae'\nclip-norm = 0.5",
    "model = 'collapsed'\nloss = 'mse'",
    "model = 'gan'",
    "model = 'iwae'\nsamples = 3",
    "model = 'contractive'",
    "free-bits = 0.1",
    "loss = 'gaussian'\nvariance = 'optimal'",
    "beta = 'auto:3'",
    "prior = 'vamp:5'",
    "binarise = 'bernoulli'\nnoise = 'mask:0.2'",
    "model = 'vae'\nencoder = ['conv 3 k2 p1', 'batch-norm', 'tanh']",
    "model = 'gan'\ndecoder = ['dense 6', 'batch-norm', 'tanh']",
];

fn config(options: &str, shards: usize) -> TrainConfig {
    let sizes = if options.contains("coder =") { "" } else { "hidden = [8]" };
    let rest = format!("latent = 3\nbatch-size = 16\nepochs = 2\nshards = {shards}\nseed = 5");
    TrainConfig::layered([format!("{options}\n{sizes}\n{rest}").parse().unwrap()]).unwrap()
}

/// So many that the last batch of 16 has three shards of four rows, the last of them short, and a fourth without rows.
fn data() -> Dataset {
    Dataset::synthetic(Synthetic::Uniform, 59, 16, 0)
}

fn agree_among_ranks(device: &(dyn Device + Sync)) {
    let data = data();
    for options in OPTIONS {
        let config = config(options, 4);
        let alone = trained(&config, &data, device, 1).swap_remove(0);
        for count in [2, 4] {
            for (rank, other) in trained(&config, &data, device, count).into_iter().enumerate() {
                assert!(other == alone, "{options:?}: rank {rank} of {count} ends in other bytes than one alone");
            }
        }
    }
}

#[test]
fn any_number_of_ranks_ends_in_the_same_bytes_on_the_cpu() {
    agree_among_ranks(&Cpu::<f32>::new());
}

#[test]
fn any_number_of_ranks_ends_in_the_same_bytes_on_a_gpu() {
    let Some(device) = gpu(GpuOptions::default()) else { return };
    agree_among_ranks(&device);
}

#[test]
fn shards_give_what_whole_batches_give() {
    let (data, device) = (data(), Cpu::<f64>::new());
    for options in OPTIONS.into_iter().filter(|options| {
        // Those that have no statistics of a batch.
        !["batch-norm", "free-bits", "optimal", "auto"].iter().any(|word| options.contains(word))
    }) {
        let [whole, shards] = [1, 4].map(|shards| {
            let mut trainer = Trainer::new(&config(options, shards), &data, &device, Options::default(), None).unwrap();
            trainer.trace_steps(100);
            trainer.follow(&mut ()).unwrap();
            let losses = trainer.trace().iter().flat_map(|step| step.losses.values().copied().collect::<Vec<_>>());
            losses.collect::<Vec<f64>>()
        });
        assert_eq!(whole.len(), shards.len());
        Tolerance { relative: 2e-6, absolute: 1e-9 }.check(options, &shards, &whole);
    }
}

#[test]
fn a_run_in_shards_is_resumed_to_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let train = ["train", "--data", "uniform:590x16", "--hidden", "8", "--batch-size", "16", "--shards", "4"];
    let run = |more: &[&str]| vae_gpu(folder.path(), &[&train[..], more].concat()).assert();
    run(&["--out", "whole", "--epochs", "3"]).success();
    run(&["--out", "parts", "--epochs", "1"]).success();
    vae_gpu(folder.path(), &["train", "--resume", "parts", "--epochs", "3"]).assert().success();
    run(&["--out", "streamed", "--epochs", "3", "--resident-limit", "1"]).success();
    let checkpoint = |run: &str| std::fs::read(folder.path().join(run).join("checkpoints/last.safetensors")).unwrap();
    assert!(checkpoint("whole") == checkpoint("parts") && checkpoint("whole") == checkpoint("streamed"));
    let wrong = ["train", "--data", "uniform:590x16", "--out", "wrong", "--batch-size", "16", "--shards", "3"];
    let text = predicates::str::contains("--shards is 3: it must divide --batch-size 16");
    vae_gpu(folder.path(), &wrong).assert().code(2).stderr(text);
    // A process of a job, of a program without MPI.
    if !cfg!(feature = "mpi") {
        let text = predicates::str::contains("built without MPI");
        let env = ("OMPI_COMM_WORLD_SIZE", "4");
        vae_gpu(folder.path(), &["train", "--out", "wrong"]).env(env.0, env.1).assert().code(2).stderr(text);
    }
    vae_gpu(folder.path(), &["train", "--resume", "parts", "--shards", "2"]).assert().code(2);
    assert!(!folder.path().join("wrong").exists());
}
