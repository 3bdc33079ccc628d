//! The four IDX files, uncompressed: headers are claims, and images and labels fit together or are refused.
#![no_main]

use libfuzzer_sys::fuzz_target;
use vae_gpu::data::Reading;
use vae_gpu_fuzz::{folder, read_data, split, write};

fuzz_target!(|input: &[u8]| {
    let (labels, images) = split(input);
    for set in ["train", "t10k"] {
        write(&format!("{set}-labels-idx1-ubyte"), labels);
        write(&format!("{set}-images-idx3-ubyte"), images);
    }
    read_data(folder(), Reading::default());
});
