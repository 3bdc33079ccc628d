//! The four IDX files, compressed: damaged gzip data is an error, and unpacking stops where the header's promise ends.
#![no_main]

use libfuzzer_sys::fuzz_target;
use vae_gpu::data::Reading;
use vae_gpu_fuzz::{folder, read_data, split, write};

fuzz_target!(|input: &[u8]| {
    let (labels, images) = split(input);
    for set in ["train", "t10k"] {
        write(&format!("{set}-labels-idx1-ubyte.gz"), labels);
        write(&format!("{set}-images-idx3-ubyte.gz"), images);
    }
    read_data(folder(), Reading::default());
});
