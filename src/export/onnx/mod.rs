//! A model's graphs as ONNX: the same graph that the back-ends run, node for node, so that what a decoder's file computes is
//! what `vae-gpu decode` computes.
//!
//! One product and its bias become one `Gemm`, a convolution and its bias one `Conv` or `ConvTranspose`, an activation a node of its own, which is how PyTorch's exporter writes
//! `nn.Sequential` and what other tools' optimisers look for. Operators are those of opset 17 (2022), which runtimes of
//! all makes have.

mod distributions;
mod images;

use std::collections::HashMap;

use prost::Message;

use super::model;
use super::proto::{
    Attribute, Dimension, FLOAT, Graph as GraphProto, INT64, Model as ModelProto, Node, OperatorSet, Property,
    Tensor as TensorProto, TensorShape, TensorType, Type, ValueInfo,
};
use crate::error::{Error, Result, graph_error};
use crate::graph::{Graph, NodeId, Source};
use crate::models::{CONDITION, Capability, Deviation};
use crate::ops::{Activate, Activation, AddScaled, BiasActivation, Factor, Matmul, Narrow, Op, Transpose};
use crate::train::Checkpoint;
use crate::train::tensor::Tensor;

const IR_VERSION: i64 = 8;
const OPSET: i64 = 17;
/// Bytes a protocol-buffer message may have.
const LARGEST: usize = i32::MAX as usize;

/// A model's networks, each a file's name and its bytes: `decoder.onnx` (a GAN's generator), and where the model has them
/// `encoder.onnx` and `discriminator.onnx`. The first axis of every input and output is named `batch` and has any size.
///
/// - encoder: `image` `[batch, pixels]` to `code` `[batch, latent]`, or of a model with a posterior to `mean` and `logvar`
///   (`deviation` where the model has a softplus deviation);
/// - decoder: `code` `[batch, latent]` to `image` `[batch, pixels]`, as `vae-gpu decode` gives it;
/// - discriminator: `image` `[batch, pixels]` to `logit` `[batch, 1]`.
///
/// Each has a second input `condition` `[batch, width]` where the model has one: a unit vector of the class, or the standardised
/// number.
///
/// Metadata: `model`, `height`, `width`, `epoch`.
///
/// # Errors
/// Those of [`safetensors`](super::safetensors); [`Error::Usage`] where a network has more bytes than an ONNX file may have, 2^31 - 1.
pub fn onnx(checkpoint: &Checkpoint) -> Result<Vec<(&'static str, Vec<u8>)>> {
    let model = model(checkpoint)?;
    let config = model.config();
    let spread = match config.deviation {
        Deviation::Logvar => "logvar",
        Deviation::Softplus => "deviation",
    };
    let mut networks = Vec::new();
    if model.has(Capability::Encoder) {
        let code = if model.has(Capability::Posterior) { "mean" } else { "code" };
        networks.push(("encoder.onnx", model.encoding(1)?, vec![("x", "image"), ("latent", code), ("logvar", spread)]));
    }
    networks.push(("decoder.onnx", model.decoding(1)?, vec![("z", "code"), ("mean", "image")]));
    if model.has(Capability::Discriminator) {
        networks.push(("discriminator.onnx", model.discrimination(1)?, vec![("x", "image"), ("logit", "logit")]));
    }
    let properties = properties(checkpoint);
    let file = |(file, graph, names): (&'static str, Graph, Vec<(&str, &str)>)| {
        let name = file.trim_end_matches(".onnx");
        let graph = Translator::new(&graph, &checkpoint.parameters, &names).translate(name)?;
        let proto = ModelProto {
            ir_version: Some(IR_VERSION),
            producer_name: Some(env!("CARGO_PKG_NAME").to_owned()),
            producer_version: Some(env!("CARGO_PKG_VERSION").to_owned()),
            graph: Some(graph),
            opset_import: vec![OperatorSet { domain: Some(String::new()), version: Some(OPSET) }],
            metadata_props: properties.clone(),
        };
        match proto.encoded_len() {
            0..=LARGEST => Ok((file, proto.encode_to_vec())),
            bytes => Err(Error::Usage(format!(
                "{file} would have {bytes} bytes: an ONNX file has at most {LARGEST}; safetensors has no such limit"
            ))),
        }
    };
    networks.into_iter().map(file).collect()
}

/// What a reader may want to know. Values in a network are the model's own: where the data's were scaled, `scaling` says
/// how, `scaled = (value - offset) * factor`, for all values or for each.
fn properties(checkpoint: &Checkpoint) -> Vec<Property> {
    let header = &checkpoint.header;
    let mut pairs = vec![
        ("model", header.model.model.name().to_owned()),
        ("height", header.size().height.to_string()),
        ("width", header.size().width.to_string()),
        ("channels", header.size().channels.to_string()),
        ("epoch", header.state.epoch.to_string()),
    ];
    if let Some(scaling) = header.schema.scaling.as_ref().and_then(|scaling| serde_json::to_string(scaling).ok()) {
        pairs.push(("scaling", scaling));
    }
    pairs.into_iter().map(|(key, value)| Property { key: Some(key.to_owned()), value: Some(value) }).collect()
}

/// A graph on its way to ONNX.
struct Translator<'a> {
    graph: &'a Graph,
    parameters: Vec<Tensor<'a>>,
    /// What inputs and outputs are called outside, by their names in the graph.
    outside: &'a [(&'a str, &'a str)],
    names: HashMap<NodeId, String>,
    nodes: Vec<Node>,
    initializers: Vec<TensorProto>,
}

impl<'a> Translator<'a> {
    fn new(graph: &'a Graph, arena: &'a [f32], outside: &'a [(&'a str, &'a str)]) -> Translator<'a> {
        let parameters = Tensor::all(graph.layout(), "", arena);
        let (names, nodes, initializers) = (HashMap::new(), Vec::new(), Vec::new());
        Translator { graph, parameters, outside, names, nodes, initializers }
    }

    fn translate(mut self, name: &str) -> Result<GraphProto> {
        let mut inputs = Vec::new();
        for id in self.graph.ids() {
            if let Source::Input(inside) = &self.graph.node(id).source {
                let name = self.outside(inside)?;
                inputs.push(self.value_info(id, &name));
                self.names.insert(id, name);
            }
        }
        let mut outputs = Vec::new();
        for (inside, id) in self.graph.outputs() {
            let name = self.outside(inside)?;
            self.compute(*id, Some(name.clone()))?;
            outputs.push(self.value_info(*id, &name));
        }
        Ok(GraphProto {
            node: self.nodes,
            name: Some(name.to_owned()),
            initializer: self.initializers,
            input: inputs,
            output: outputs,
        })
    }

    fn outside(&self, inside: &str) -> Result<String> {
        match self.outside.iter().chain(&[(CONDITION, CONDITION)]).find(|(known, _)| *known == inside) {
            Some((_, outside)) => Ok((*outside).to_owned()),
            None => graph_error(format!("{inside} has no name in ONNX")),
        }
    }

    fn value_info(&self, id: NodeId, name: &str) -> ValueInfo {
        let batch = Dimension { value: None, name: Some("batch".to_owned()) };
        let columns = Dimension { value: Some(self.graph.shape(id).cols() as i64), name: None };
        let shape = Some(TensorShape { dim: vec![batch, columns] });
        let tensor = Some(TensorType { element: Some(FLOAT), shape });
        ValueInfo { name: Some(name.to_owned()), kind: Some(Type { tensor }) }
    }

    /// The name of a value, which is computed if it was not yet.
    fn value(&mut self, id: NodeId) -> Result<String> {
        match self.names.get(&id) {
            Some(name) => Ok(name.clone()),
            None => self.compute(id, None),
        }
    }

    fn compute(&mut self, id: NodeId, name: Option<String>) -> Result<String> {
        let node = self.graph.node(id);
        let name = match &node.source {
            Source::Parameter(parameter) => self.parameter(parameter.0),
            Source::Op(op) => self.op(op, &node.inputs, name)?,
            Source::View => self.view(id, node.inputs[0], name)?,
            other => return graph_error(format!("{other:?} can't be in an ONNX file")),
        };
        self.names.insert(id, name.clone());
        Ok(name)
    }

    fn parameter(&mut self, index: usize) -> String {
        let Tensor { name, shape, .. } = &self.parameters[index];
        let (name, dims) = (name.clone(), shape.iter().map(|&size| size as i64).collect());
        let bytes = self.parameters[index].bytes();
        self.initializer(name, dims, FLOAT, bytes)
    }

    /// Adds a value that is in the file, and returns its name.
    fn initializer(&mut self, name: String, dims: Vec<i64>, data_type: i32, bytes: Vec<u8>) -> String {
        let (data_type, raw_data) = (Some(data_type), Some(bytes));
        self.initializers.push(TensorProto { dims, data_type, name: Some(name.clone()), raw_data });
        name
    }

    fn op(&mut self, op: &Op, inputs: &[NodeId], name: Option<String>) -> Result<String> {
        match op {
            Op::Matmul(product) if *product == Matmul::new(product.transpose) => {
                self.gemm(product.transpose, inputs, name)
            }
            Op::BiasActivation(BiasActivation { activation }) => {
                let name_of_sum = if *activation == Activation::Identity { name.clone() } else { None };
                let sum = match self.op_of(inputs[0]) {
                    Some((Op::Matmul(product), of)) if product == Matmul::new(product.transpose) => {
                        self.gemm(product.transpose, &[of[0], of[1], inputs[1]], name_of_sum)?
                    }
                    Some((op @ (Op::Conv2d(_) | Op::ConvTranspose2d(_)), of)) => {
                        self.convolution(&op, &[of[0], of[1], inputs[1]], name_of_sum)?
                    }
                    _ => {
                        let terms = [self.value(inputs[0])?, self.value(inputs[1])?];
                        self.emit("Add", &terms, Vec::new(), name_of_sum)
                    }
                };
                Ok(self.activation(*activation, sum, name))
            }
            Op::Activate(Activate { activation }) => {
                let x = self.value(inputs[0])?;
                Ok(self.activation(*activation, x, name))
            }
            Op::ContinuousBernoulliMean(_) => {
                let logit = self.value(inputs[0])?;
                Ok(self.continuous_bernoulli_mean(&logit, name))
            }
            Op::Conv2d(_) | Op::ConvTranspose2d(_) => self.convolution(op, inputs, name),
            Op::Normalise(normalise) => self.normalise(*normalise, inputs, name),
            Op::Pool(pool) => self.pool(*pool, inputs[0], name),
            Op::Resize(resize) => self.resize(*resize, inputs[0], name),
            Op::AddScaled(AddScaled { factor: Factor::Constant(1.0) }) => {
                let terms = [self.value(inputs[0])?, self.value(inputs[1])?];
                Ok(self.emit("Add", &terms, Vec::new(), name))
            }
            Op::Concat(_) => self.concat(inputs, name),
            Op::Narrow(slice) => match self.op_of(inputs[0]) {
                // A deviation rather than its logarithm: ONNX has an operator for it.
                Some((Op::SoftplusPosterior(_), of)) if slice.start > 0 => {
                    let raw = self.slice(*slice, of[0], None)?;
                    Ok(self.emit("Softplus", &[raw], Vec::new(), name))
                }
                Some((Op::SoftplusPosterior(_), of)) => self.slice(*slice, of[0], name),
                _ => self.slice(*slice, inputs[0], name),
            },
            other => graph_error(format!("{} has no translation to ONNX", other.name())),
        }
    }

    fn op_of(&self, id: NodeId) -> Option<(Op, Vec<NodeId>)> {
        match &self.graph.node(id).source {
            Source::Op(op) => Some((op.clone(), self.graph.node(id).inputs.clone())),
            _ => None,
        }
    }

    /// `op(a) op(b) + c`, where there is a third input.
    fn gemm(&mut self, transpose: Transpose, inputs: &[NodeId], name: Option<String>) -> Result<String> {
        let inputs = inputs.iter().map(|&input| self.value(input)).collect::<Result<Vec<_>>>()?;
        let attributes = match transpose {
            Transpose::Neither => Vec::new(),
            Transpose::A => vec![Attribute::integer("transA", 1)],
            Transpose::B => vec![Attribute::integer("transB", 1)],
        };
        Ok(self.emit("Gemm", &inputs, attributes, name))
    }

    /// Integers that a node reads.
    fn constant(&mut self, name: String, values: &[i64]) -> String {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.initializer(name, vec![values.len() as i64], INT64, bytes)
    }

    /// The activation of a value; that value itself where it is the identity.
    fn activation(&mut self, activation: Activation, x: String, name: Option<String>) -> String {
        let (operator, attributes) = match activation {
            Activation::Identity => return x,
            Activation::Silu => {
                let sigmoid = self.emit("Sigmoid", std::slice::from_ref(&x), Vec::new(), None);
                return self.emit("Mul", &[x, sigmoid], Vec::new(), name);
            }
            // `x (1 + erf(x / sqrt 2)) / 2`: an operator of its own only from opset 20 on.
            Activation::Gelu => {
                let [root, one, half] = [std::f32::consts::SQRT_2, 1.0, 0.5].map(|value| self.reals(&[], &[value]));
                let scaled = self.emit("Div", &[x.clone(), root], Vec::new(), None);
                let erf = self.emit("Erf", &[scaled], Vec::new(), None);
                let sum = self.emit("Add", &[erf, one], Vec::new(), None);
                let twice = self.emit("Mul", &[x, sum], Vec::new(), None);
                return self.emit("Mul", &[twice, half], Vec::new(), name);
            }
            Activation::Relu => ("Relu", Vec::new()),
            Activation::LeakyRelu => {
                ("LeakyRelu", vec![Attribute::real("alpha", Activation::LeakyRelu.slope(-1.0_f32))])
            }
            Activation::Tanh => ("Tanh", Vec::new()),
            Activation::Sigmoid => ("Sigmoid", Vec::new()),
            Activation::Softplus => ("Softplus", Vec::new()),
        };
        self.emit(operator, &[x], attributes, name)
    }

    /// Real numbers that a node reads; without extents there is one.
    fn reals(&mut self, dims: &[usize], values: &[f32]) -> String {
        let name = format!("constant_{}", self.initializers.len());
        let dims = dims.iter().map(|&extent| extent as i64).collect();
        self.initializer(name, dims, FLOAT, values.iter().flat_map(|value| value.to_le_bytes()).collect())
    }

    fn slice(&mut self, slice: Narrow, x: NodeId, name: Option<String>) -> Result<String> {
        let Narrow { start, count } = slice;
        let mut inputs = vec![self.value(x)?];
        for (what, value) in [("start", start), ("end", start + count), ("axis", 1)] {
            inputs.push(self.constant(format!("slice_{}.{what}", self.nodes.len()), &[value as i64]));
        }
        Ok(self.emit("Slice", &inputs, Vec::new(), name))
    }

    /// Adds a node and returns the name of its value.
    fn emit(&mut self, operator: &str, inputs: &[String], attribute: Vec<Attribute>, name: Option<String>) -> String {
        let own = format!("{}_{}", operator.to_lowercase(), self.nodes.len());
        let value = name.unwrap_or_else(|| own.clone());
        self.nodes.push(Node {
            input: inputs.to_vec(),
            output: vec![value.clone()],
            name: Some(own),
            op_type: Some(operator.to_owned()),
            attribute,
        });
        value
    }
}
