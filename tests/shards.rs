//! Batches in shards: near what whole batches give, and the same bytes whatever ranks compute them. The ranks here are threads; those of
//! an MPI job are tested by `tests/ranks.sh`.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use crate::common::ranks::among;
use crate::common::{Check, Tolerance, gpu, vae_gpu};
use vae_gpu::backend::Device;
use vae_gpu::backend::cpu::Cpu;
use vae_gpu::backend::gpu::GpuOptions;
use vae_gpu::config::TrainConfig;
use vae_gpu::data::{Dataset, Synthetic};
use vae_gpu::models::Model;
use vae_gpu::plan::Options;
use vae_gpu::ranks::Alone;
use vae_gpu::train::evaluate::Request;
use vae_gpu::train::score::Measure;
use vae_gpu::train::{Checkpoint, Trainer};

/// The checkpoint's bytes of each of so many ranks.
fn trained(config: &TrainConfig, data: &Dataset, device: &(dyn Device + Sync), count: usize) -> Vec<Vec<u8>> {
    among(count, |ranks| {
        let mut trainer = Trainer::among(ranks, config, data, device, Options::default(), None).unwrap();
        trainer.follow(&mut ()).unwrap();
        trainer.checkpoint().unwrap().to_bytes().unwrap()
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
    // With 16 shards of one row some ranks have no parameters to update.
    for (options, shards, counts) in
        OPTIONS.map(|options| (options, 4, [2, 4])).into_iter().chain([("clip-norm = 0.1", 16, [8, 16])])
    {
        let config = config(options, shards);
        let alone = trained(&config, &data, device, 1).swap_remove(0);
        for count in counts {
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
fn ranks_share_evaluations_and_scores() {
    // Three batches of losses, and thirteen of likelihoods.
    let (data, device) = (Dataset::synthetic(Synthetic::Uniform, 250, 16, 0), Cpu::<f32>::new());
    for options in ["", "model = 'ae'", "prior = 'vamp:5'"] {
        let config = config(options, 1);
        let mut trainer = Trainer::new(&config, &data, &device, Options::default(), None).unwrap();
        trainer.follow(&mut ()).unwrap();
        let Checkpoint { header, parameters, .. } = trainer.checkpoint().unwrap();
        let model = Model::new(header.model).unwrap();
        let images = &data.train;
        let request = Request {
            model: &model,
            parameters: &parameters,
            config: &config,
            images,
            samples: 6,
            densities: &[],
            ranks: &Alone,
        };
        let by = if options.contains("ae") { Measure::Reconstruction } else { Measure::Likelihood };
        let all = |request: &Request<'_>| {
            let evaluation = request.run(&device, Options::default(), |_| {}).unwrap();
            let scores = request.scores(by, &device, Options::default(), |_| {}).unwrap();
            (evaluation, scores)
        };
        let alone = all(&request);
        for count in [2, 3, 5] {
            let ranks = among(count, |ranks| all(&Request { ranks: &*ranks, ..request }));
            assert!(ranks.iter().all(|found| *found == alone), "{options:?}: {count} ranks find other numbers");
        }
    }
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
    // Fewer examples than a batch.
    let small =
        ["train", "--data", "uniform:59x16", "--hidden", "8", "--epochs", "1", "--out", "small", "--shards", "4"];
    let text = predicates::str::contains("a batch is 56 of the 59 training examples, fewer than --batch-size 128");
    vae_gpu(folder.path(), &small).assert().success().stdout(text);
    let few = ["train", "--data", "uniform:3x16", "--out", "wrong", "--shards", "4"];
    let text = predicates::str::contains("--shards is 4: there are but 3 training examples");
    vae_gpu(folder.path(), &few).assert().code(2).stderr(text);
    // A process of a job, of a program without MPI.
    if !cfg!(feature = "mpi") {
        let text = predicates::str::contains("built without MPI");
        let env = ("OMPI_COMM_WORLD_SIZE", "4");
        vae_gpu(folder.path(), &["train", "--out", "wrong"]).env(env.0, env.1).assert().code(2).stderr(text);
    }
    vae_gpu(folder.path(), &["train", "--resume", "parts", "--shards", "2"]).assert().code(2);
    assert!(!folder.path().join("wrong").exists());
}
