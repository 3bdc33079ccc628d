//! `.npz` as it is on disk: the zip archive's directory, names and compressed data.
#![no_main]

use libfuzzer_sys::fuzz_target;
use vae_gpu::data::Reading;
use vae_gpu_fuzz::{read_data, write};

fuzz_target!(|input: &[u8]| {
    let path = write("a.npz", input);
    read_data(&path, Reading::default());
    read_data(&path.with_file_name("a.npz:x"), Reading::default());
});
