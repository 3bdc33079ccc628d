//! A density kept beside a checkpoint: one that is read can be drawn from.
#![no_main]

use libfuzzer_sys::fuzz_target;
use vae_gpu::density::Density;
use vae_gpu_fuzz::write;

fuzz_target!(|input: &[u8]| {
    match Density::load(&write("a.safetensors", input), "x") {
        Ok(Some(density)) => assert_eq!(density.draw(3, 0).len(), 3 * density.latent()),
        Ok(None) => {}
        Err(error) => assert!(!error.to_string().is_empty()),
    }
});
