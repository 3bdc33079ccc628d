//! vae-gpu trains variational autoencoders with hand-written WGSL compute kernels on any GPU that speaks Vulkan, Metal or
//! DX12, through wgpu, and on the CPU where there is none. Data set, weights, activations, optimiser state and noise
//! stay on the device while it trains.
//!
//! # Modules
//!
//! Each module with what it is, what it must not know, and the modules that it may name: rows above it only, so
//! dependencies are acyclic.
//!
//! | module | what it is | must not know | may name |
//! |---|---|---|---|
//! | [`tensor`] | shapes and element types | anything | |
//! | `unchecked` | all unsafe code, a few lines each | what it is used for | |
//! | [`error`] | the error type | anything | |
//! | [`step`] | the values that change from step to step | ops | error |
//! | `compute` | CPU numerics: packed GEMM, vector functions, parallel loops, aligned buffers | graphs, plans, sessions | tensor, unchecked |
//! | [`rng`] | Philox, streams, normals, permutations | who draws | compute |
//! | [`files`] | files that are written whole or not at all | what is in them | error |
//! | [`kernel`] | a kernel's WGSL files, numbers and size, before it is linked | ops, devices | |
//! | [`gemm`] | products on a GPU: algorithms, loaders of operands, the device's profile | ops | kernel |
//! | [`ops`] | each op's shape rule, reference, gradient, kernel | graphs, devices, files | compute, error, gemm, kernel, rng, step, tensor |
//! | [`graph`] | values and what they are computed from; differentiation | devices, buffers | error, ops, rng, tensor |
//! | [`plan`] | order, fusion, buffers; lowering to linked kernels | devices | error, graph, ops, step, tensor |
//! | [`backend`] | runs plans: CPU in f32 or f64, GPU | models | compute, error, files, graph, ops, plan, step, tensor, unchecked |
//! | [`optim`] | optimisers: updates of parameters, graphs over named arenas | models, plans | error, graph, ops, step, tensor |
//! | [`models`] | architectures: builder calls on a graph | kernels, plans, devices | error, graph, ops, optim, rng, tensor |
//! | [`data`] | data sets in | models, devices | error, files, rng, tensor |
//! | [`fidelity`] | how near generated examples are to real ones | models, images | compute, error, rng |
//! | [`density`] | Gaussians fitted to codes, to sample from | models | compute, error, files, rng |
//! | [`plot`] | pictures out | models, devices | data, error, files |
//! | [`ranks`] | processes that train one model together, and what they exchange | what they train | |
//! | [`config`] | the options of a run, each declared once | the loop | backend, data, error, models, ops, optim, rng |
//! | [`train`] | the loop, checkpoints, the run folder | kernels, adapters, commands | all above but compute and unchecked |
//! | [`conformance`] | whether a device computes what it must | how it does | backend, data, error, graph, models, ops, optim, plan, rng, step, tensor, train |
//! | [`export`] | trained models in other tools' formats, and as web pages | adapters | backend, config, data, density, error, files, graph, models, ops, plan, plot, train |
//! | [`cli`] | the commands | how anything is computed | backend, config, conformance, data, error, export, fidelity, files, models, ops, plan, plot, ranks, train |
//!
//! # Invariants, kept by `tests/architecture.rs`
//!
//! - No module names another than the table says, be it by a path or by an inherent impl on its type.
//! - Only `backend/gpu` and `unchecked.rs` name wgpu; `unchecked.rs` alone has unsafe code.
//! - `tensor`, `compute`, `graph`, `ops` and `plan` do no input or output and know no device.
//! - `models` names no kernel, and nothing else names a model: the program asks for a [`models::Capability`].
//!
//! # Words
//!
//! | word | meaning |
//! |---|---|
//! | GEMM, A, B, C, m, n, k | general matrix multiply `C [m, n] = A [m, k] B [k, n]`; A and B are its operands, k the reduction dimension |
//! | epilogue | elementwise work on C before it is stored: bias, activation, loss |
//! | secondary output | a smaller second result that an epilogue writes beside C |
//! | micro-kernel, micro-tile, MR x NR | the innermost loop, and the rows and columns of C that it keeps in vector registers |
//! | pack, micro-panel | copying A or B into the order in which the micro-kernel reads it; MR rows of A, or NR columns of B, of one k-block |
//! | MC, NC, KC, k-block | cache blocking: rows and columns of a block of C, and the part of k that is packed at a time |
//! | non-zero k | the indices along k at which a micro-panel is not all zero: the others are skipped |
//! | loader | how a GPU kernel reads an operand: as it is stored, or computed from what is stored |
//! | image, map | what a convolution reads and what it gives, `[batch, height, width, channels]`; of a transposed one the reverse |
//! | patch, tap | the pixels that a kernel covers at one position; one of its elements |
//! | phase | the pixels of one remainder by a transposed convolution's stride, which the same taps reach |
//! | running statistics | batch norm's mean and variance in evaluation: state of the model, moved by training, not trained |
//! | view | a value's elements in another shape |
//! | arena | a named buffer in the layout of the parameters: these themselves, their gradients, an Adam moment |
//! | scalar | a named number that changes by step: a loss term's weight, what an optimiser makes of the learning rate |
//! | dispatch | one run of a kernel, or on the CPU of an op's reference |
//! | buffer view | a buffer, a byte offset, a shape and an element type |
//! | plan, program, session | the dispatches of a graph with their buffers; a plan loaded on a device; what holds a model there |
//! | lowering, recording | choosing and linking kernels for a device; the list of dispatches in bytes that comes of it |
//! | group, share | independent dispatches that may run as one; to run so, each kernel with workgroups of its own |
//! | profile | what lowering knows of a device: limits, features, what was tuned |
//! | step, submission | one batch through the programs; the steps that go to the device together |
//! | fusion | letting one op compute what its neighbours would, so that values stay in registers |
//! | reference | an op on the CPU: in f64 what kernels are tested against, in f32 the CPU path |
//! | stream | the purpose of a random draw, part of the Philox key |
//!
//! # Extension points
//!
//! [`ops::Custom`] takes ops of other crates, [`backend::gpu::Gpu::on`] a device that the host application owns; `examples/`
//! has both, and a model built from graph ops.
//!
//! # Many machines
//!
//! [`ranks`] says what ranks of a job exchange, and at which model size and link speed more of them stop paying.
//!
//! # Numbers
//!
//! Losses are sums over pixels and means over examples, in nats an image. Every draw comes from Philox4x32-10 with key
//! (seed, stream) and counter (element, example, step): it depends on no thread, batch split or device.
//!
//! The same seed, adapter, driver and profile ([`backend::profile`]: none, or the same file) give the same bytes. A
//! profile selects the GEMM algorithm, and so how sums round; nothing is ever timed to choose one while a model trains.

pub mod backend;
pub mod cli;
mod compute;
pub mod config;
pub mod conformance;
pub mod data;
pub mod density;
pub mod error;
pub mod export;
pub mod fidelity;
pub mod files;
pub mod gemm;
pub mod graph;
pub mod kernel;
pub mod models;
pub mod ops;
pub mod optim;
pub mod plan;
pub mod plot;
pub mod ranks;
pub mod rng;
pub mod step;
pub mod tensor;
pub mod train;
mod unchecked;

pub use error::{Error, Result};
