//! Exported models: another reader of the files computes what this crate computes, and finds the weights that are in it.
//!
//! The reader of ONNX here is a few lines with message declarations of its own. Real runtimes are tried beside the suite,
//! because of their size: `tests/interop/onnx` (tract) and `tests/interop/onnx_check.py` (onnx, onnxruntime).
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::HashMap;
use std::path::Path;

use crate::common::exports::{self, COUNT, LATENT, checkpoint, models, networks, values};
use assert_cmd::Command;
use predicates::prelude::*;
use prost::Message;
use vae_gpu::config::TrainConfig;
use vae_gpu::export::{npz, onnx, safetensors};
use vae_gpu::models::{Layer, Model, ModelConfig};
use vae_gpu::ops::Activation;
use vae_gpu::train::RunFolder;

#[derive(Message)]
struct OnnxModel {
    #[prost(message, optional, tag = "7")]
    graph: Option<OnnxGraph>,
}

#[derive(Message)]
struct OnnxGraph {
    #[prost(message, repeated, tag = "1")]
    nodes: Vec<OnnxNode>,
    #[prost(message, repeated, tag = "5")]
    tensors: Vec<OnnxTensor>,
}

#[derive(Message)]
struct OnnxNode {
    #[prost(string, repeated, tag = "1")]
    inputs: Vec<String>,
    #[prost(string, repeated, tag = "2")]
    outputs: Vec<String>,
    #[prost(string, tag = "4")]
    operator: String,
    #[prost(message, repeated, tag = "5")]
    attributes: Vec<OnnxAttribute>,
}

#[derive(Message)]
struct OnnxAttribute {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(float, tag = "2")]
    real: f32,
    #[prost(int64, tag = "3")]
    integer: i64,
    #[prost(int64, repeated, tag = "8")]
    integers: Vec<i64>,
}

#[derive(Message)]
struct OnnxTensor {
    #[prost(int64, repeated, tag = "1")]
    dims: Vec<i64>,
    #[prost(int32, tag = "2")]
    kind: i32,
    #[prost(string, tag = "8")]
    name: String,
    #[prost(bytes = "vec", tag = "9")]
    bytes: Vec<u8>,
}

/// A value: extents, elements.
type Value = (Vec<usize>, Vec<f64>);

/// Runs a file as its operators are defined (onnx.ai, opset 17), in f64.
fn run(file: &[u8], input: &str, values: &[f32]) -> HashMap<String, Value> {
    let graph = OnnxModel::decode(file).unwrap().graph.unwrap();
    let mut known: HashMap<String, Value> = HashMap::new();
    for OnnxTensor { dims, kind, name, bytes } in graph.tensors {
        let elements: Vec<f64> = match kind {
            1 => bytes.as_chunks::<4>().0.iter().map(|bytes| f64::from(f32::from_le_bytes(*bytes))).collect(),
            7 => bytes.as_chunks::<8>().0.iter().map(|bytes| i64::from_le_bytes(*bytes) as f64).collect(),
            _ => panic!("{name} is of kind {kind}"),
        };
        assert_eq!(dims.iter().product::<i64>(), elements.len() as i64, "{name}");
        known.insert(name, (dims.iter().map(|&extent| extent as usize).collect(), elements));
    }
    let columns = values.len() / COUNT;
    known.insert(input.to_owned(), (vec![COUNT, columns], values.iter().map(|value| f64::from(*value)).collect()));
    for node in graph.nodes {
        let of: Vec<&Value> = node.inputs.iter().map(|name| &known[name]).collect();
        let attribute = |name: &str| node.attributes.iter().find(|attribute| attribute.name == name);
        let integers =
            |name: &str| attribute(name).unwrap().integers.iter().map(|&value| value as usize).collect::<Vec<_>>();
        let each = |f: &dyn Fn(f64) -> f64| (of[0].0.clone(), of[0].1.iter().map(|&x| f(x)).collect::<Vec<f64>>());
        let value = match node.operator.as_str() {
            "Gemm" => {
                assert_eq!(attribute("transB").map(|attribute| attribute.integer), Some(1));
                let ((a_shape, a), (b_shape, b)) = (of[0], of[1]);
                let terms = &a_shape[1];
                assert_eq!(terms, &b_shape[1]);
                let dot = |a: &[f64], b: &[f64], c: f64| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>() + c;
                let row =
                    |a: &[f64]| -> Vec<f64> { b.chunks(*terms).zip(&of[2].1).map(|(b, &c)| dot(a, b, c)).collect() };
                (vec![COUNT, b_shape[0]], a.chunks(*terms).flat_map(row).collect())
            }
            "Slice" => {
                let [start, end, axis] = [1, 2, 3].map(|input| of[input].1[0] as usize);
                assert_eq!(axis, 1);
                (
                    vec![COUNT, end - start],
                    of[0].1.chunks(of[0].0[1]).flat_map(|row| row[start..end].to_vec()).collect(),
                )
            }
            "Relu" => each(&|x| x.max(0.0)),
            "LeakyRelu" => {
                let alpha = f64::from(attribute("alpha").unwrap().real);
                each(&|x| if x < 0.0 { alpha * x } else { x })
            }
            "Tanh" => each(&f64::tanh),
            "Sigmoid" => each(&|x| 1.0 / (1.0 + (-x).exp())),
            "Softplus" => each(&|x| x.exp().ln_1p()),
            "Erf" => each(&libm::erf),
            "Abs" => each(&f64::abs),
            "Neg" => each(&|x| -x),
            "Exp" => each(&f64::exp),
            "Reciprocal" => each(&f64::recip),
            "Where" => {
                let choose = |((&c, &a), &b): ((&f64, &f64), &f64)| if c != 0.0 { a } else { b };
                (of[0].0.clone(), of[0].1.iter().zip(&of[1].1).zip(&of[2].1).map(choose).collect())
            }
            "Mul" | "Div" | "Add" | "Sub" | "Max" | "Less" | "Greater" => {
                // Of two values of one shape, or of a value and a number.
                let by = |a: f64, b: f64| match node.operator.as_str() {
                    "Mul" => a * b,
                    "Div" => a / b,
                    "Sub" => a - b,
                    "Max" => a.max(b),
                    "Less" => f64::from(u8::from(a < b)),
                    "Greater" => f64::from(u8::from(a > b)),
                    _ => a + b,
                };
                (of[0].0.clone(), of[0].1.iter().zip(of[1].1.iter().cycle()).map(|(&a, &b)| by(a, b)).collect())
            }
            "Reshape" => {
                let shape = of[1].1[1..].iter().map(|&extent| extent as usize);
                assert_eq!(of[1].1[0], -1.0);
                (std::iter::once(COUNT).chain(shape).collect(), of[0].1.clone())
            }
            "Transpose" => transposed(of[0], &integers("perm")),
            operator @ ("Conv" | "ConvTranspose") => convolved(operator, &of, &integers),
            other => panic!("{other} is not expected"),
        };
        known.insert(node.outputs[0].clone(), value);
    }
    known
}

fn index(shape: &[usize], at: &[usize]) -> usize {
    at.iter().zip(shape).fold(0, |index, (at, extent)| index * extent + at)
}

/// All positions of a shape with four extents, in order.
fn positions(shape: &[usize]) -> impl Iterator<Item = [usize; 4]> + use<> {
    let [_, b, c, d] = *shape else { panic!("{shape:?}") };
    (0..shape.iter().product()).map(move |i| [i / d / c / b, i / d / c % b, i / d % c, i % d])
}

fn transposed((shape, values): &Value, order: &[usize]) -> Value {
    let new: Vec<usize> = order.iter().map(|&axis| shape[axis]).collect();
    let mut result = vec![0.0; values.len()];
    for (at, value) in positions(shape).zip(values) {
        result[index(&new, &order.iter().map(|&axis| at[axis]).collect::<Vec<_>>())] = *value;
    }
    (new, result)
}

/// `Conv` of x, w and a bias, or `ConvTranspose`, whose elements go where those of a convolution would come from.
fn convolved(operator: &str, of: &[&Value], integers: &dyn Fn(&str) -> Vec<usize>) -> Value {
    let ((x_shape, x), (w_shape, w)) = (of[0], of[1]);
    let [kernel, stride, padding, dilation] =
        ["kernel_shape", "strides", "pads", "dilations"].map(|name| integers(name)[0]);
    let reach = dilation * (kernel - 1) + 1;
    assert_eq!(w_shape[2..], [kernel; 2]);
    let transposed = operator == "ConvTranspose";
    let extent = |axis: usize| match transposed {
        true => (x_shape[axis] - 1) * stride + reach + integers("output_padding")[axis - 2] - 2 * padding,
        false => (x_shape[axis] + 2 * padding - reach) / stride + 1,
    };
    let out = vec![COUNT, if transposed { w_shape[1] } else { w_shape[0] }, extent(2), extent(3)];
    let mut result: Vec<f64> =
        positions(&out).map(|[_, channel, ..]| of.get(2).map_or(0.0, |(_, bias)| bias[channel])).collect();
    let (image, map) = if transposed { (&out, x_shape) } else { (x_shape, &out) };
    for [map_channel, image_channel, a, b] in positions(w_shape) {
        for n in 0..COUNT {
            for (i, j) in (0..map[2] * map[3]).map(|at| (at / map[3], at % map[3])) {
                let from = |at: usize, tap: usize| (at * stride + tap * dilation).checked_sub(padding);
                let (Some(p), Some(q)) = (from(i, a), from(j, b)) else { continue };
                if p >= image[2] || q >= image[3] {
                    continue;
                }
                let weight = w[index(w_shape, &[map_channel, image_channel, a, b])];
                let at_map = index(map, &[n, map_channel, i, j]);
                let at_image = index(image, &[n, image_channel, p, q]);
                match transposed {
                    true => result[at_image] += weight * x[at_map],
                    false => result[at_map] += weight * x[at_image],
                }
            }
        }
    }
    (out, result)
}

#[test]
fn onnx_files_compute_what_the_model_computes() {
    for (name, model) in models() {
        let checkpoint = checkpoint(&model);
        let files: HashMap<_, _> = onnx(&checkpoint).unwrap().into_iter().collect();
        let networks = networks(&checkpoint);
        assert_eq!(files.len(), networks.len(), "{name}");
        for network in networks {
            let known = run(&files[network.file], network.input, &values(network.cols));
            for (output, wanted) in network.outputs {
                let (_, got) = known.get(output).unwrap_or_else(|| panic!("{name}, {}: no {output}", network.file));
                assert_eq!(got.len(), wanted.len(), "{name}, {}: {output}", network.file);
                let off = got.iter().zip(&wanted).map(|(a, b)| (a - f64::from(*b)).abs()).fold(0.0, f64::max);
                assert!(off < 1e-5, "{name}, {}: {output} is off by {off:.1e}", network.file);
            }
        }
    }
}

#[test]
fn weights_have_torchs_names_and_shapes_and_nothing_else_is_there() {
    let (_, config) = models().into_iter().find(|(name, _)| name == "vae, gaussian").unwrap(); // with a learned variance
    let checkpoint = checkpoint(&config);
    let model = Model::new(config).unwrap();
    let of = |name: &str| -> Vec<f32> {
        let parameter = model.layout().parameters().iter().find(|parameter| parameter.name == name).unwrap();
        checkpoint.parameters[parameter.offset..][..parameter.shape.len()].to_vec()
    };
    let wanted: [(&str, &[usize]); 11] = [
        ("decoder.0.bias", &[8]),
        ("decoder.0.weight", &[8, LATENT]),
        ("decoder.2.bias", &[12]),
        ("decoder.2.weight", &[12, 8]),
        ("decoder.logvar", &[1, 1]),
        ("encoder.0.bias", &[9]),
        ("encoder.0.weight", &[9, 12]),
        ("encoder.2.bias", &[7]),
        ("encoder.2.weight", &[7, 9]),
        ("encoder.4.bias", &[2 * LATENT]),
        ("encoder.4.weight", &[2 * LATENT, 7]),
    ];

    let bytes = safetensors(&checkpoint).unwrap();
    let file = ::safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let mut names = file.names();
    names.sort_unstable();
    assert_eq!(names, wanted.map(|(name, _)| name));
    for (name, shape) in wanted {
        let tensor = file.tensor(name).unwrap();
        let found: Vec<f32> = tensor.data().as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
        assert_eq!((tensor.shape(), found), (shape, of(name)), "{name}");
    }

    let bytes = npz(&checkpoint).unwrap();
    let mut archive = npyz::npz::NpzArchive::new(std::io::Cursor::new(&bytes)).unwrap();
    let mut names: Vec<String> = archive.array_names().map(str::to_owned).collect();
    names.sort_unstable();
    assert_eq!(names, wanted.map(|(name, _)| name));
    assert_eq!(archive.zip_archive().by_index(0).unwrap().last_modified().year(), 1980, "there is a time of day in it");
    for (name, shape) in wanted {
        let array = archive.by_name(name).unwrap().unwrap();
        let dims: Vec<usize> = array.shape().iter().map(|&size| size as usize).collect();
        assert_eq!((dims.as_slice(), array.into_vec::<f32>().unwrap()), (shape, of(name)), "{name}");
    }
}

fn vae_gpu(folder: &Path) -> Command {
    let mut command = Command::cargo_bin("vae-gpu").expect("the binary is built with the tests");
    command.current_dir(folder);
    command
}

#[test]
fn the_command_writes_the_files_and_the_same_ones_again() {
    let folder = tempfile::tempdir().unwrap();
    let small = ModelConfig {
        encoder: Layer::dense(&[5], Activation::Relu),
        decoder: Layer::dense(&[5], Activation::Relu),
        latent: LATENT,
        ..ModelConfig::vae(exports::FEATURES)
    };
    let run = RunFolder::create(&folder.path().join("runs/a"), &TrainConfig::default()).unwrap();
    run.save(&checkpoint(&small), true).unwrap();

    for (format, files) in [
        ("onnx", &["encoder.onnx", "decoder.onnx"][..]),
        ("safetensors", &["weights.safetensors"]),
        ("npz", &["weights.npz"]),
    ] {
        let mut command = vae_gpu(folder.path());
        let assert = command.args(["export", "runs/a", "--format", format, "--checkpoint", "last"]).assert().success();
        let read = || files.iter().map(|file| std::fs::read(run.path().join("export").join(file)).unwrap());
        let first: Vec<Vec<u8>> = read().collect();
        let mut assert = assert.stdout(predicate::str::contains("epoch 1"));
        for file in files {
            assert = assert.stdout(predicate::str::contains(*file));
        }
        // Without a name it is the newest run, here the same one.
        vae_gpu(folder.path()).args(["export", "--format", format]).assert().success();
        assert_eq!(first, read().collect::<Vec<_>>(), "{format}");
    }

    vae_gpu(folder.path()).args(["export", "runs/a", "--format", "npz", "--out", "w.npz"]).assert().success();
    assert!(folder.path().join("w.npz").is_file());
}

#[test]
fn what_cannot_be_exported_is_named_and_nothing_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let none = |command: &mut Command, code: i32, named: &str| {
        command
            .assert()
            .code(code)
            .stderr(predicate::str::contains(named).and(predicate::str::contains("panicked").not()));
    };
    none(vae_gpu(folder.path()).args(["export", "nowhere", "--format", "onnx"]), 2, "nowhere");
    none(vae_gpu(folder.path()).args(["export", "--format", "onnx"]), 2, "no run");
    none(vae_gpu(folder.path()).args(["export", "nowhere", "--format", "hdf5"]), 2, "safetensors");

    let run = RunFolder::create(&folder.path().join("run"), &TrainConfig::default()).unwrap();
    none(vae_gpu(folder.path()).args(["export", "run", "--format", "onnx"]), 1, "best.safetensors");
    std::fs::write(run.checkpoint("best"), b"no checkpoint").unwrap();
    none(vae_gpu(folder.path()).args(["export", "run", "--format", "onnx"]), 1, "safetensors");
    run.save(&checkpoint(&models()[0].1), true).unwrap();
    none(
        vae_gpu(folder.path()).args(["export", "run", "--format", "npz", "--out", "missing/w.npz"]),
        1,
        "missing/w.npz",
    );
    std::fs::write(folder.path().join("file"), b"").unwrap();
    none(vae_gpu(folder.path()).args(["export", "run", "--format", "onnx", "--out", "file"]), 1, "file");
    assert!(!folder.path().join("run/export").exists(), "something was written");
}
