//! A configuration: what is read and allowed has a model, and is written so that it is read back as it was.
#![no_main]

use libfuzzer_sys::fuzz_target;
use vae_gpu::config::TrainConfig;
use vae_gpu::models::Model;
use vae_gpu_fuzz::write;

fuzz_target!(|input: &[u8]| {
    match TrainConfig::load(&write("config.toml", input)) {
        Ok(config) if config.validate().is_ok() => {
            // A validated network may not fit images of this size: an error, no panic.
            if let Ok(model) = config.architecture([5, 6, 1]) {
                drop(Model::new(model));
            }
            let again = write("again.toml", config.to_toml().unwrap().as_bytes());
            assert_eq!(TrainConfig::load(&again).unwrap(), config);
            config.check_resumable(&config).unwrap();
        }
        Ok(_) => {}
        Err(error) => assert!(!error.to_string().is_empty()),
    }
});
