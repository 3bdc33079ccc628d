//! The build script: says whether MNIST's four files are here to be put into the binary. They are in a checkout; a package
//! of the crate leaves them out, since registries take 10 MB, and what is built from it asks for `--data`.

use std::path::Path;

const FILES: [&str; 4] = [
    "train-images-idx3-ubyte.gz",
    "train-labels-idx1-ubyte.gz",
    "t10k-images-idx3-ubyte.gz",
    "t10k-labels-idx1-ubyte.gz",
];

fn main() {
    println!("cargo::rerun-if-changed=assets/mnist");
    println!("cargo::rustc-check-cfg=cfg(mnist_embedded)");
    let here = FILES.iter().all(|name| Path::new("assets/mnist").join(name).is_file());
    if here && std::env::var_os("CARGO_FEATURE_EMBED_MNIST").is_some() {
        println!("cargo::rustc-cfg=mnist_embedded");
    }
}
