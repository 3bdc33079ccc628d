//! All integration tests in one binary: linking the library once takes a minute, and one stripped file travels to a machine
//! with a GPU. `cargo test --release --test main NAME` runs those of a file or of a name.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod architecture;
mod cli;
mod common;
mod condition;
mod conformance;
mod convolution;
mod crash;
mod data;
mod determinism;
mod device;
mod doctor;
mod export;
mod faults;
mod fusion;
mod gemm;
mod generations;
mod half;
mod hostile;
mod images;
mod kernels;
mod library;
mod licences;
mod losses;
mod models;
mod norm;
mod output;
mod presets;
mod prior;
mod profiles;
mod random_graphs;
mod random_models;
mod recordings;
mod references;
mod rng;
mod score;
mod second_derivative;
mod sessions;
mod shapes;
mod shell;
mod storage;
mod streaming;
mod training;
mod updates;
mod watching;
