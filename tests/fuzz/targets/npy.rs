//! `.npy` as data and as codes to decode: a header may claim any shape, type and length.
#![no_main]

use libfuzzer_sys::fuzz_target;
use vae_gpu::data::{Reading, npy};
use vae_gpu_fuzz::{read_data, write};

fuzz_target!(|input: &[u8]| {
    let path = write("a.npy", input);
    read_data(&path, Reading::default());
    read_data(&path, Reading { in_memory: Some(16), ..Reading::default() }); // what is larger stays in the file
    if let Ok((rows, cols, values)) = npy::read_f32(&path) {
        assert_eq!(rows * cols, values.len());
    }
});
