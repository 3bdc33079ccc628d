//! The tests' own power: faults put into shaders and plans, each of which what tests compare must report. Rung 8 of the
//! ladder.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod images;
mod losses;
mod subgroups;

use crate::common::cases::{folded, reference, run};
use crate::common::{Check, Tolerance, gpu, scalars};
use std::panic::{AssertUnwindSafe, catch_unwind};
use vae_gpu::backend::cpu::Cpu;
use vae_gpu::backend::gpu::GpuOptions;
use vae_gpu::backend::{Data, Device, ProgramId, Values};
use vae_gpu::graph::{GRADIENTS, PARAMETERS};
use vae_gpu::models::{Batches, Layer, Model, ModelConfig};
use vae_gpu::ops::{Activation, Algorithm, Case, Fragment, Kernel, Op, TuningTable};
use vae_gpu::optim::Optimiser;
use vae_gpu::plan::{BufferId, Fusion, Options, Plan, compile};
use vae_gpu::rng::Permutation;
use vae_gpu::step::Step;
use vae_gpu::tensor::{DType, Shape};

/// A change to a kernel before it is linked.
pub(crate) type Fault = fn(&mut Kernel);

/// Changes a number of the kernel.
fn shift(kernel: &mut Kernel, name: &str, by: f64) {
    kernel.constants.iter_mut().filter(|(known, _)| *known == name).for_each(|(_, value)| *value += by);
}

/// Changes the text of a fragment, where the kernel links with it.
pub(crate) fn edit(kernel: &mut Kernel, name: &str, from: &str, to: &str) {
    for Fragment { source, .. } in kernel.fragments.iter_mut().filter(|fragment| fragment.name == name) {
        let (before, _) = source.split_once(from).unwrap_or_else(|| panic!("{name} has no {from:?}"));
        assert!(!before.rsplit('\n').next().unwrap().contains("//"), "{name} has {from:?} in a comment");
        *source = source.replacen(from, to, 1).leak();
    }
}

/// Whether a check panics.
pub(crate) fn panics(check: impl FnOnce()) -> bool {
    catch_unwind(AssertUnwindSafe(check)).is_err()
}

/// A fault in what one op computes: what, the op, the loop where it is a product, the change.
type InOp = (&'static str, &'static str, Option<Algorithm>, Fault);

/// Faults in ops but for those of [`images`] and [`losses`].
const IN_OPS: [InOp; 45] = [
    ("a row left out of a sum", "sum_rows", None, |kernel| shift(kernel, "ROWS", -1.0)),
    ("a column left out of a loss", "bce_logits", None, |kernel| shift(kernel, "COLS", -1.0)),
    ("an element not written", "scale", None, |kernel| shift(kernel, "COUNT", -1.0)),
    ("an element too many written", "scale", None, |kernel| shift(kernel, "COUNT", 1.0)),
    ("a sample left out of a bound", "importance_bound", None, |kernel| shift(kernel, "SAMPLES", -1.0)),
    ("a floor too low", "free_bits", None, |kernel| shift(kernel, "FLOOR", -0.1)),
    ("another group's rows", "segment_sum", None, |kernel| shift(kernel, "GROUP", -1.0)),
    ("an element left out of a norm", "square_sums", None, |kernel| shift(kernel, "COUNT", -1.0)),
    ("a value left out of a state", "log_sum_exp_update", None, |kernel| shift(kernel, "SAMPLES", -1.0)),
    ("another stream's noise", "reparameterise", None, |kernel| shift(kernel, "STREAM", 1.0)),
    ("a round of Philox left out", "normal", None, |kernel| {
        edit(kernel, "common/rng.wgsl", "round < 10u", "round < 9u")
    }),
    ("another word of a block", "normal", None, |kernel| {
        edit(kernel, "common/rng.wgsl", "block[element % 4u]", "block[0]")
    }),
    ("a round of the order left out", "gather", None, |kernel| {
        edit(kernel, "rng/order_shuffled.wgsl", "FEISTEL_ROUNDS: u32 = 8u", "FEISTEL_ROUNDS: u32 = 7u");
    }),
    ("bytes of a word in the other order", "gather", None, |kernel| {
        edit(kernel, "data/source_u8.wgsl", "8u * (at % 4u)", "8u * (3u - at % 4u)");
    }),
    ("rows that do not count", "batch_mean", None, |kernel| {
        edit(kernel, "reduce/length_batch.wgsl", "min(step.rows, BATCH)", "BATCH");
    }),
    ("a barrier dropped in a tree", "kl", None, |kernel| {
        edit(kernel, "common/tree.wgsl", "        }\n        workgroupBarrier();", "        }");
    }),
    ("a slice read before all of it is there", "matmul", Some(Algorithm::Tiled), |kernel| {
        edit(kernel, "gemm/tiled.wgsl", "workgroupBarrier();\n            for", "for");
    }),
    ("a slice overwritten while it is read", "matmul", Some(Algorithm::Tiled), |kernel| {
        edit(kernel, "gemm/tiled.wgsl", "workgroupBarrier();\n            stage", "stage");
    }),
    ("a slice read before all of it is there", "matmul", Some(Algorithm::Tiled8x4), |kernel| {
        edit(kernel, "gemm/tiled.wgsl", "workgroupBarrier();\n            for", "for");
    }),
    ("a slice overwritten while it is read", "matmul", Some(Algorithm::Tiled8x4), |kernel| {
        edit(kernel, "gemm/tiled.wgsl", "workgroupBarrier();\n            stage", "stage");
    }),
    ("a slice read before all of it is there", "matmul", Some(Algorithm::Tiled8x8), |kernel| {
        edit(kernel, "gemm/tiled.wgsl", "workgroupBarrier();\n            for", "for");
    }),
    ("a slice overwritten while it is read", "matmul", Some(Algorithm::Tiled8x8), |kernel| {
        edit(kernel, "gemm/tiled.wgsl", "workgroupBarrier();\n            stage", "stage");
    }),
    ("a slice read before all of it is there", "matmul", Some(Algorithm::Square8x8), |kernel| {
        edit(kernel, "gemm/tiled.wgsl", "workgroupBarrier();\n            for", "for");
    }),
    ("a slice overwritten while it is read", "matmul", Some(Algorithm::Square8x8), |kernel| {
        edit(kernel, "gemm/tiled.wgsl", "workgroupBarrier();\n            stage", "stage");
    }),
    ("a slice read before all of it is there", "matmul", Some(Algorithm::Split), |kernel| {
        edit(kernel, "gemm/split.wgsl", "workgroupBarrier();\n            for", "for");
    }),
    ("a slice overwritten while it is read", "matmul", Some(Algorithm::Split), |kernel| {
        edit(kernel, "gemm/split.wgsl", "workgroupBarrier();\n            stage", "stage");
    }),
    ("k past the end", "matmul", Some(Algorithm::Tiled), |kernel| {
        edit(kernel, "gemm/quad_a_vec4.wgsl", "k < k_end && ", "");
        edit(kernel, "gemm/quad_b_vec4.wgsl", "k < k_end && ", "");
    }),
    ("k past the end, element by element", "matmul", Some(Algorithm::Tiled8x8), |kernel| {
        edit(kernel, "gemm/quad_a_k_contiguous.wgsl", "ks < vec4<u32>(k_end)", "vec4<bool>(true)");
        edit(kernel, "gemm/quad_b_k_contiguous.wgsl", "ks < vec4<u32>(k_end)", "vec4<bool>(true)");
    }),
    ("a k past the end, where rows are contiguous", "matmul", Some(Algorithm::Split), |kernel| {
        edit(kernel, "gemm/quad_a.wgsl", ", k < k_end", ", true");
        edit(kernel, "gemm/quad_b.wgsl", ", k < k_end", ", true");
    }),
    ("a quad in place of the second one", "matmul", Some(Algorithm::Tiled8x8), |kernel| {
        edit(kernel, "gemm/stage.wgsl", "quads.of_a_1)", "quads.of_a_0)");
    }),
    ("the lower half of a tile at another place", "matmul", Some(Algorithm::Square8x8), |kernel| {
        edit(kernel, "gemm/stage.wgsl", "r / 4u * (TILE_M / 2u)", "r / 4u * (TILE_M / 4u)");
    }),
    ("a band's tiles counted as a whole one's", "matmul", Some(Algorithm::Split), |kernel| {
        edit(kernel, "gemm/tile.wgsl", "min(BAND, tiles_down - band * BAND)", "BAND");
    }),
    ("a quad of its neighbour's columns", "matmul", Some(Algorithm::Tiled), |kernel| {
        edit(kernel, "gemm/quad_b_vec4.wgsl", "line + b_k", "line - line % 8u + b_k");
    }),
    ("a vec4 of its neighbour's columns", "matmul", Some(Algorithm::Subgroups), |kernel| {
        edit(kernel, "gemm/vec4_b_contiguous.wgsl", "cols + b_k", "cols - cols % 8u + b_k");
    }),
    ("a vec4 of its neighbour's rows", "matmul", Some(Algorithm::Subgroups), |kernel| {
        edit(kernel, "gemm/vec4_a_contiguous.wgsl", "rows + a_k", "rows - rows % 8u + a_k");
    }),
    ("rows of a vec4 in another order", "matmul", Some(Algorithm::Tiled), |kernel| {
        edit(
            kernel,
            "gemm/vec4_a.wgsl",
            "load_a(rows.row_2 + at), load_a(rows.row_3 + at)",
            "load_a(rows.row_3 + at), load_a(rows.row_2 + at)",
        );
    }),
    ("four columns stored over their neighbours", "matmul", Some(Algorithm::Tiled), |kernel| {
        edit(kernel, "gemm/store_c_vec4.wgsl", "(row * N + col) / 4u", "(row * N + col) / 8u");
    }),
    ("a transposed index", "matmul", Some(Algorithm::Registers), |kernel| {
        edit(kernel, "gemm/operand_a_transposed.wgsl", "k * M", "k * K");
    }),
    ("a row past the end", "matmul", Some(Algorithm::Registers), |kernel| {
        edit(kernel, "gemm/registers.wgsl", "if (row_0 + r < M)", "if (row_0 + r <= M)");
    }),
    ("a row of its neighbour", "matmul", Some(Algorithm::Subgroups), |kernel| {
        edit(kernel, "gemm/subgroups.wgsl", "subgroupBroadcast(a, 6u)", "subgroupBroadcast(a, 7u)");
    }),
    ("sums that were not kept", "matmul", Some(Algorithm::Subgroups), |kernel| {
        edit(kernel, "gemm/subgroups.wgsl", "keep_eight(&sum, 24u, member)", "keep_eight(&sum, 16u, member)");
    }),
    ("a stale accumulator", "matmul", Some(Algorithm::Naive), |kernel| {
        edit(kernel, "gemm/naive.wgsl", "        var sum = 0.0;\n", "");
        edit(kernel, "gemm/naive.wgsl", "    var sums: vec4<f32>;\n", "    var sums: vec4<f32>;\n    var sum = 0.0;\n");
    }),
    ("a k-group's sums left out", "matmul", Some(Algorithm::Split), |kernel| {
        edit(kernel, "gemm/split.wgsl", "other < K_GROUPS", "other < K_GROUPS - 1u");
    }),
    ("the k of another k-group", "matmul", Some(Algorithm::Split), |kernel| {
        edit(kernel, "gemm/split.wgsl", "k_group * GROUP_K + k", "(3u - k_group) / 2u * GROUP_K + k");
    }),
    ("workgroups past the 65,535th again", "scale", None, |kernel| {
        // common/main.wgsl is no file of the kernel's own.
        edit(kernel, "elementwise/run.wgsl", "group * WORKGROUP", "group % 65535u * WORKGROUP");
    }),
];

/// Every product by this loop.
fn products(case: &Case, variant: Option<Algorithm>) -> TuningTable {
    let shapes: Vec<Shape> = case.inputs.iter().map(|(shape, _)| *shape).collect();
    match (case.op.tuned_as(&shapes), variant) {
        (Some(size), Some(variant)) => TuningTable::from([(size, variant)]),
        _ => TuningTable::new(),
    }
}

#[test]
fn faults_in_an_op_are_reported() {
    let mut missed = Vec::new();
    for (what, op, variant, fault) in IN_OPS.into_iter().chain(images::IN_OPS).chain(losses::IN_OPS) {
        let options = GpuOptions { checks: true, fault: Some(fault), ..GpuOptions::default() };
        let Some(device) = gpu(options) else { return };
        if variant.is_some_and(|algorithm| !algorithm.runs_on(device.profile().unwrap())) {
            eprintln!("SKIPPED: {what}: the adapter does not run that loop");
            continue;
        }
        // The largest cases first: they have every edge.
        let mut cases: Vec<Case> =
            Op::cases().into_iter().chain([folded()]).filter(|case| case.op.name() == op).collect();
        cases.sort_by_key(|case| std::cmp::Reverse(case.inputs.iter().map(|(shape, _)| shape.len()).sum::<usize>()));
        let reported = cases.iter().any(|case| {
            let mut device = device.clone();
            device.set_tuning(products(case, variant));
            match run(case, &device) {
                Ok(got) => {
                    let wanted = reference(case);
                    panics(|| Tolerance::rounding(case.terms).check(what, &got, &wanted))
                }
                Err(error) => error.to_string().contains("past its end"),
            }
        });
        if !reported {
            missed.push(what);
        }
    }
    assert!(missed.is_empty(), "not reported: {missed:?}");
}

const EXAMPLES: usize = 40;
const ROWS: usize = 17;

/// A small VAE, and the terms of its longest sum.
#[derive(Clone, Copy)]
struct Small {
    config: fn() -> ModelConfig,
    terms: usize,
}

const DENSE: Small = Small {
    config: || {
        let [encoder, decoder] = [9, 7].map(|size| Layer::dense(&[size], Activation::Relu));
        ModelConfig { encoder, decoder, latent: 3, ..ModelConfig::vae(37) }
    },
    terms: 37 + ROWS,
};

/// A convolution to 4x3 pixels, with batch norm.
const NORMED: Small = Small {
    config: || {
        let encoder = ["conv 3 s2", "batch-norm", "relu"].map(|layer| layer.parse().unwrap()).into();
        let dense = (DENSE.config)();
        ModelConfig { image: [7, 5, 1], encoder, ..dense }
    },
    terms: 4 * 3 * ROWS,
};

/// What two steps of a VAE leave, of plans that were changed: its arenas, and what was recorded.
fn two_steps(device: &dyn Device, small: Small, fuse: Fusion, change: Change) -> Vec<Vec<f64>> {
    let model = Model::new((small.config)()).unwrap();
    let features = model.config().image.iter().product();
    let batches = Batches::new(0, EXAMPLES, DType::U8, ROWS);
    let optimiser = Optimiser { clip: Some(0.5), ..Optimiser::default() };
    let graphs = model.training(&batches, &optimiser).unwrap();
    let bytes: Vec<u8> = (0..EXAMPLES * features).map(|i| (i * 37 % 256) as u8).collect();
    let data = Data { shape: Shape::new(EXAMPLES, features), values: Values::Bytes(&bytes) };
    let mut session = device.session(model.layout(), &[data]).unwrap();
    session.write_arena(PARAMETERS, &model.layout().initial(1)).unwrap();
    let load = |graph| {
        let mut plan = compile(graph, Options::new(fuse)).unwrap();
        change(&mut plan);
        session.load(plan).unwrap()
    };
    let programs: Vec<ProgramId> = graphs.iter().map(load).collect();
    let order = Permutation::new(3, 0, EXAMPLES as u32).keys();
    let steps = [(0, ROWS), (ROWS, ROWS - 4)].map(|(first, rows)| {
        let index = 5 + first as u64;
        let (first, rows) = (first as u32, rows as u32);
        Step { index, first, rows, seed: 3, order, scalars: scalars(1e-3, 1000), ..Step::default() }
    });
    let recorded = session.run(&programs, &steps).unwrap().values().to_vec();
    let arena = |arena| session.read_arena(arena).unwrap().into_iter().map(f64::from).collect();
    [PARAMETERS, GRADIENTS, "adam.first", "adam.second"].into_iter().map(arena).chain([recorded]).collect()
}

/// Whether such steps differ from those of the reference.
fn differ(small: Small, got: &[Vec<f64>]) -> bool {
    let wanted = two_steps(&Cpu::<f64>::new(), small, Fusion::None, |_| {});
    got.iter()
        .zip(&wanted)
        .any(|(got, wanted)| panics(|| Tolerance::rounding(small.terms).check("two steps", got, wanted)))
}

/// Faults in what a step leaves, in kernels that no op's case has.
const IN_STEPS: [(&str, Small, Fusion, Fault); 8] = [
    ("the moments' decays exchanged", DENSE, Fusion::None, |kernel| {
        edit(kernel, "optim/adam.wgsl", "BETA2 * second[i]", "BETA1 * second[i]");
    }),
    ("the last parameter not updated", DENSE, Fusion::None, |kernel| {
        if kernel.fragments[0].name == "optim/adam.wgsl" {
            // Its 37 values are padded to 64.
            shift(kernel, "COUNT", -28.0);
        }
    }),
    ("a scalar recorded in another's place", DENSE, Fusion::None, |kernel| {
        if kernel.fragments[0].name == "reduce/record.wgsl" {
            shift(kernel, "FIRST", 1.0);
        }
    }),
    ("a gradient that is not clipped", DENSE, Fusion::None, |kernel| {
        edit(kernel, "optim/clip_factor.wgsl", "min(1.0, MAX_NORM / (sqrt(total) + 1e-6))", "1.0");
    }),
    ("a row that does not count, in a fused loss", DENSE, Fusion::All, |kernel| {
        edit(kernel, "gemm/epilogue_likelihood.wgsl", "row < step.rows", "row <= step.rows");
    }),
    ("a bias's gradient in its neighbour's place", DENSE, Fusion::All, |kernel| {
        edit(kernel, "reduce/sum_rows.wgsl", "COLS + col] =", "COLS + (col ^ 1u)] =");
    }),
    ("a running mean that keeps the share of what is new", NORMED, Fusion::None, |kernel| {
        edit(kernel, "norm/update_running.wgsl", "KEPT * mean + MOMENTUM *", "MOMENTUM * mean + KEPT *");
    }),
    ("a running variance that is biased", NORMED, Fusion::None, |kernel| {
        edit(kernel, "norm/update_running.wgsl", "(unbiased * statistic(", "(statistic(");
    }),
];

#[test]
fn faults_in_a_step_are_reported() {
    for (small, fuse) in [(DENSE, Fusion::None), (DENSE, Fusion::All), (NORMED, Fusion::None)] {
        let Some(device) = gpu(GpuOptions { checks: true, ..GpuOptions::default() }) else { return };
        assert!(!differ(small, &two_steps(&device, small, fuse, |_| {})), "{fuse:?}: reported without a fault");
    }
    for (what, small, fuse, fault) in IN_STEPS {
        let options = GpuOptions { checks: true, fault: Some(fault), ..GpuOptions::default() };
        let Some(device) = gpu(options) else { return };
        assert!(differ(small, &two_steps(&device, small, fuse, |_| {})), "not reported: {what}");
    }
}

/// The first dispatch of an op, of the plan that has it.
fn first(plan: &Plan, name: &str) -> Option<usize> {
    plan.dispatches.iter().position(|dispatch| dispatch.op.name() == name)
}

/// A change to a plan before it is loaded.
type Change = fn(&mut Plan);

/// Faults in plans.
const IN_PLANS: [(&str, Change); 8] = [
    ("a dispatch left out", |plan| {
        let Some(at) = first(plan, "kl") else { return };
        plan.dispatches.remove(at);
    }),
    ("two dispatches in the other order", |plan| {
        let Some(at) = first(plan, "reparameterise") else { return };
        plan.dispatches.swap(at, at + 1);
    }),
    ("a step's first gradient kept", |plan| {
        let sums = |dispatch: &vae_gpu::plan::Dispatch| dispatch.op.name() == "sum_rows";
        let Some(at) = plan.dispatches.iter().rposition(sums) else { return };
        plan.dispatches.remove(at);
    }),
    ("two values in one slot", |plan| {
        // What the encoder's second layer makes goes where its first one's value is.
        let Some(at) = first(plan, "reparameterise") else { return };
        let (kept, moved) =
            (plan.dispatches[first(plan, "bias_activation").unwrap()].outputs[0], plan.dispatches[at].outputs[0]);
        for dispatch in &mut plan.dispatches[at..] {
            for slice in
                dispatch.inputs.iter_mut().chain(&mut dispatch.outputs).filter(|slice| slice.buffer == moved.buffer)
            {
                slice.buffer = kept.buffer;
            }
        }
    }),
    ("inputs exchanged", |plan| {
        let Some(at) = first(plan, "add_scaled") else { return };
        plan.dispatches[at].inputs.swap(0, 1);
    }),
    ("a weight read one element on", |plan| {
        let weight = |slice: &&mut vae_gpu::plan::BufferView| slice.buffer == BufferId::Arena(PARAMETERS);
        let slices = plan.dispatches.iter_mut().flat_map(|dispatch| &mut dispatch.inputs);
        if let Some(view) = slices.filter(weight).nth(2) {
            view.offset += 4;
        }
    }),
    ("a gradient one element on", |plan| {
        let gradient = |slice: &&mut vae_gpu::plan::BufferView| slice.buffer == BufferId::Arena(GRADIENTS);
        let slices = plan.dispatches.iter_mut().flat_map(|dispatch| &mut dispatch.outputs);
        if let Some(view) = slices.filter(gradient).nth(1) {
            view.offset += 4;
        }
    }),
    ("a moment kept in the parameters' place", |plan| {
        let Some(at) = first(plan, "adam") else { return };
        plan.dispatches[at].outputs.swap(1, 2);
    }),
];

#[test]
fn faults_in_a_plan_are_reported() {
    let steps = |change| two_steps(&Cpu::<f64>::new(), DENSE, Fusion::None, change);
    assert!(!differ(DENSE, &steps(|_| {})), "reported without a fault");
    for (what, change) in IN_PLANS {
        assert!(differ(DENSE, &steps(change)), "not reported: {what}");
    }
}
