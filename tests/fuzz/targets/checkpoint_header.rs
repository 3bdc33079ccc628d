//! The crate's own header in a checkpoint whose tensors are whole: an architecture is not believed, but compared with them.
#![no_main]

use std::collections::HashMap;
use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;
use safetensors::SafeTensors;
use vae_gpu_fuzz::{checkpoint, read_checkpoint, write};

fuzz_target!(|header: &str| {
    static GOOD: OnceLock<Vec<u8>> = OnceLock::new();
    let good = SafeTensors::deserialize(GOOD.get_or_init(|| checkpoint().to_bytes().unwrap())).unwrap();
    let metadata = HashMap::from([("vae-gpu".to_owned(), header.to_owned())]);
    let bytes = safetensors::serialize(good.tensors(), Some(metadata)).unwrap();
    read_checkpoint(&write("a.safetensors", &bytes));
});
