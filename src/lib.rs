//! vae-gpu trains variational autoencoders with hand-written WGSL compute kernels on any GPU that speaks Vulkan, Metal or
//! DX12, through wgpu, and on the CPU where there is none. Data set, weights, activations, optimiser state and noise
//! stay on the device while it trains.
//!
//! # Layers, in the order data flows
//!
//! | module | what it is | what it deliberately does not know |
//! |---|---|---|
//! | [`cli`] | the commands | how anything is computed |
//! | [`train`] | the loop, checkpoints, the run folder | kernels, adapters |
//! | [`models`] | architectures: builder calls on a graph | kernels |
//! | [`graph`] | values and what they are computed from; differentiation | devices, buffers |
//! | [`ops`] | each op's shape rule, reference, gradient, kernel | devices, files |
//! | [`plan`] | order, fusion, buffers | devices |
//! | [`backend`] | runs plans: CPU in f32 or f64, GPU | models |
//! | [`export`] | trained models in other tools' formats | devices |
//! | [`density`] | Gaussians fitted to codes, to sample from | models |
//! | [`data`], [`plot`] | data sets in, pictures out | everything above |
//!
//! # Invariants, kept by `tests/architecture.rs`
//!
//! - Only `backend/gpu` names wgpu, and `unchecked.rs`, which alone has unsafe code.
//! - `graph`, `ops` and `plan` do no input or output and know no device.
//! - `models` names no kernel.
//!
//! # Doors
//!
//! [`ops::Custom`] takes ops of other crates, [`backend::gpu::Gpu::on`] a device that the host application owns; `examples/`
//! has both, and a model built from graph ops.
//!
//! # Numbers
//!
//! Losses are sums over pixels and means over examples, in nats an image. Every draw comes from Philox4x32-10 with key
//! (seed, stream) and counter (element, example, step): it depends on no thread, batch split or device.
//!
//! The same seed, adapter, driver and profile ([`backend::profile`]: none, or the same file) give the same bytes. A profile
//! changes which loop computes a product, and so how its sums round; nothing is ever timed to choose one while a model trains.

pub mod backend;
pub mod cli;
mod compute;
pub mod config;
pub mod data;
pub mod density;
pub mod error;
pub mod export;
pub mod files;
pub mod graph;
pub mod models;
pub mod ops;
pub mod plan;
pub mod plot;
pub mod rng;
pub mod step;
pub mod tensor;
pub mod train;
mod unchecked;

pub use error::{Error, Result};
