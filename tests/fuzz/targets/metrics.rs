//! A run's `metrics.jsonl` as `runs`, `compare` and a resumed run read it: what is read is listed, drawn and written again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use vae_gpu::config::TrainConfig;
use vae_gpu::train::figures::term_curves;
use vae_gpu::train::summary::{Run, runs};
use vae_gpu_fuzz::{folder, one_of};

fuzz_target!(|input: &[u8]| {
    let path = folder().join("run");
    if !path.exists() {
        std::fs::create_dir(&path).unwrap();
        std::fs::write(path.join("config.toml"), TrainConfig::default().to_toml().unwrap()).unwrap();
    }
    std::fs::write(path.join("metrics.jsonl"), input).unwrap();
    let run = match Run::read(&path) {
        Ok(run) => run,
        Err(error) => return assert!(!error.to_string().is_empty()),
    };
    assert_eq!(runs(folder()).unwrap().len(), 1);
    assert_eq!(run.summary().best_epoch.is_some(), !run.epochs.is_empty());
    let _ = run.images_per_s();
    if one_of(64, input) {
        term_curves(&run.terms, &run.epochs).unwrap();
    }
    if let Some(last) = run.epochs.last() {
        run.folder.append(last).unwrap();
        assert_eq!(run.folder.metrics().unwrap().last(), Some(last));
    }
});
