//! What pictures of a model are: what both kinds of page know of them.

use maud::{Markup, html};
use serde::Serialize;

use crate::config::{Binarise, TrainConfig};
use crate::data::Images;
use crate::error::Result;
use crate::models::{ModelConfig, Output};
use crate::train::ModelInput;

/// Examples that are looked at, at most.
pub(super) const LOOKED_AT: usize = 1000;

/// The form of a model's pictures and latents.
#[derive(Debug, Serialize)]
pub(super) struct Form {
    pub(super) size: [usize; 3],
    pub(super) latent: usize,
    /// The values that are drawn black and white.
    range: [f32; 2],
    /// Whether the model is shown pixels of 0 and 1 alone.
    threshold: bool,
    /// The colour behind pictures, as CSS writes it.
    pub(super) background: String,
}

impl Form {
    /// That of a model whose pictures are of these examples' kind, and the first of them as it is shown them, `[count, features]`.
    ///
    /// # Errors
    /// [`crate::Error::Io`] where pixels that stay in their file can't be read.
    pub(super) fn of(model: &ModelConfig, config: &TrainConfig, examples: &Images) -> Result<(Form, Vec<f32>)> {
        let shown = examples.shown(0..LOOKED_AT.min(examples.count()), config.binarise)?;
        let range = match model.output {
            Output::Sigmoid => [0.0, 1.0],
            Output::Identity => {
                [shown.iter().copied().fold(f32::MAX, f32::min), shown.iter().copied().fold(f32::MIN, f32::max)]
            }
        };
        let form = Form {
            size: examples.size.extents(),
            latent: model.latent,
            range,
            threshold: config.binarise == Binarise::Threshold,
            background: config.background.to_string(),
        };
        Ok((form, shown))
    }

    /// A line about how values that are no pixels are drawn.
    pub(super) fn drawn(&self, output: Output) -> Markup {
        let [least, most] = self.range;
        html! {
            @if output == Output::Identity {
                p {
                    "Pictures are drawn from " (least) ", black, to " (most) ", white: the range of test examples; what is beyond is cut off."
                }
            }
        }
    }
}
