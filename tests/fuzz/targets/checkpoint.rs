//! A checkpoint as it is on disk: lengths, the safetensors header, tensors.
#![no_main]

use libfuzzer_sys::fuzz_target;
use vae_gpu_fuzz::{read_checkpoint, write};

fuzz_target!(|input: &[u8]| read_checkpoint(&write("a.safetensors", input)));
