//! Parameters as other programs name and shape them, and safetensors files of them.

use std::borrow::Cow;
use std::collections::HashMap;

use safetensors::SafeTensorError;
use safetensors::tensor::{Dtype, TensorView};

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
