//! Parameters as other programs name and shape them, and safetensors files of them.

use std::borrow::Cow;
use std::collections::HashMap;

use safetensors::tensor::{Dtype, TensorView};
use safetensors::{SafeTensorError, SafeTensors};

use crate::graph::{Parameter, ParameterLayout};

/// A parameter's values under PyTorch's name and in its shape.
#[derive(Clone, Debug)]
pub(crate) struct Tensor<'a> {
    pub(crate) name: String,
    pub(crate) shape: Vec<usize>,
    pub(crate) values: Cow<'a, [f32]>,
}

impl Tensor<'_> {
    /// The parameters of an arena of this layout, in its order, each name with `prefix` before it; an optimiser's arena, whose
    /// names have one, keeps nothing for what is not trained.
    pub(crate) fn all<'a>(layout: &ParameterLayout, prefix: &str, arena: &'a [f32]) -> Vec<Tensor<'a>> {
        let tensor = |parameter: &Parameter| Tensor {
            name: format!("{prefix}{}", parameter.name),
            shape: parameter.file_shape.clone(),
            values: parameter.to_file(&arena[parameter.offset..][..parameter.shape.len()]),
        };
        layout.parameters().iter().filter(|parameter| prefix.is_empty() || parameter.trained).map(tensor).collect()
    }

    /// The values, little-endian.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.values.iter().flat_map(|value| value.to_le_bytes()).collect()
    }
}

/// A safetensors file of these tensors and one key of metadata: several have no fixed order in the file.
pub(crate) fn safetensors(tensors: &[Tensor<'_>], (key, value): (&str, String)) -> Result<Vec<u8>, SafeTensorError> {
    let bytes: Vec<Vec<u8>> = tensors.iter().map(Tensor::bytes).collect();
    let views = tensors
        .iter()
        .zip(&bytes)
        .map(|(tensor, bytes)| Ok((&tensor.name, TensorView::new(Dtype::F32, tensor.shape.clone(), bytes)?)))
        .collect::<Result<Vec<_>, SafeTensorError>>()?;
    safetensors::serialize(views, Some(HashMap::from([(key.to_owned(), value)])))
}

/// The tensors of a file, and its metadata of this key; `what` is a file that has them.
pub(crate) fn described<'b>(bytes: &'b [u8], key: &str, what: &str) -> Result<(SafeTensors<'b>, String), String> {
    let broken = |error: SafeTensorError| format!("it is no whole safetensors file: {error}");
    let (_, metadata) = SafeTensors::read_metadata(bytes).map_err(broken)?;
    let tensors = SafeTensors::deserialize(bytes).map_err(broken)?;
    match metadata.metadata().as_ref().and_then(|metadata| metadata.get(key)) {
        Some(text) => Ok((tensors, text.clone())),
        None => Err(format!("it has no metadata `{key}`: it must be {what}")),
    }
}

/// An arena of this layout out of a file's tensors, each name with `prefix` before it.
pub(crate) fn read_arena(
    tensors: &SafeTensors<'_>,
    layout: &ParameterLayout,
    prefix: &str,
) -> Result<Vec<f32>, String> {
    let mut arena = vec![0.0; layout.len()];
    for parameter in layout.parameters().iter().filter(|parameter| prefix.is_empty() || parameter.trained) {
        let name = format!("{prefix}{}", parameter.name);
        let tensor = tensors.tensor(&name).map_err(|_| format!("tensor {name} is missing"))?;
        let shape = &parameter.file_shape;
        if tensor.dtype() != Dtype::F32 {
            return Err(format!("tensor {name} is {:?}, it must be F32", tensor.dtype()));
        }
        if tensor.shape() != shape {
            return Err(format!("tensor {name} is {:?}, its architecture has {shape:?}", tensor.shape()));
        }
        let values = &mut arena[parameter.offset..][..parameter.shape.len()];
        for (value, bytes) in values.iter_mut().zip(tensor.data().as_chunks::<4>().0) {
            *value = f32::from_le_bytes(*bytes);
        }
        parameter.from_file(values);
    }
    Ok(arena)
}
