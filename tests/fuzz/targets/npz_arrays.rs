//! The arrays in a `.npz`, in an archive that is whole: examples and labels that need not fit together.
#![no_main]

use std::fs::File;
use std::io::Write;

use libfuzzer_sys::fuzz_target;
use vae_gpu::data::Reading;
use vae_gpu_fuzz::{folder, read_data, split};
use zip::write::FileOptions;
use zip::{CompressionMethod, ZipWriter};

fuzz_target!(|input: &[u8]| {
    let (labels, examples) = split(input);
    let [method, names] = match labels.len() % 4 {
        0 => [0, 0],
        1 => [1, 0],
        2 => [0, 1],
        _ => [1, 1],
    };
    let method = [CompressionMethod::Stored, CompressionMethod::Deflated][method];
    let names = [&["x", "labels"][..], &["x_train", "y_train", "x_test", "y_test"]][names];
    let path = folder().join("a.npz");
    let mut archive = ZipWriter::new(File::create(&path).unwrap());
    for (at, name) in names.iter().enumerate() {
        archive.start_file(format!("{name}.npy"), FileOptions::default().compression_method(method)).unwrap();
        archive.write_all([examples, labels][at % 2]).unwrap();
    }
    archive.finish().unwrap();
    drop(archive);
    read_data(&path, Reading::default());
});
