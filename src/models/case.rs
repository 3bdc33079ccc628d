//! Small models to test devices and gradients by.

use super::{Condition, Deviation, Initial, Layer, Loss, ModelConfig, ModelKind, Output, Prior, Variance};
use crate::ops::Activation;

/// Features of the models of [`ModelConfig::cases`].
pub const CASE_FEATURES: usize = 6;

impl ModelConfig {
    /// Small models, each option at least once; smooth activations, so that a finite difference meets no corner.
    pub fn cases() -> Vec<(&'static str, ModelConfig)> {
        let base = ModelConfig {
            encoder: Layer::dense(&[5], Activation::Tanh),
            decoder: Layer::dense(&[4], Activation::Tanh),
            latent: 3,
            ..ModelConfig::vae(CASE_FEATURES)
        };
        let of = |model| ModelConfig { model, ..base.clone() };
        let penalty = |text: &str| Some(text.parse().expect("a penalty"));
        let (ae, iwae, gan) = (of(ModelKind::Ae), of(ModelKind::Iwae), of(ModelKind::Gan));
        let layers = |text: &str| text.split(", ").map(|layer| layer.parse().expect("a layer")).collect::<Vec<Layer>>();
        let convolutional = |model, encoder: &str| ModelConfig {
            image: [3, 2, 1],
            encoder: layers(encoder),
            decoder: layers("dense 8, tanh, unflatten 4 2x1, silu, conv-transpose 2 k3 s2 p1 3x2, gelu, conv 1"),
            ..of(model)
        };
        let normed = |model| ModelConfig {
            decoder: layers("dense 8, tanh, unflatten 4 2x1, batch-norm, tanh, upsample bilinear 3x2, conv 1 k3"),
            ..convolutional(
                model,
                "conv 3 k2 p1, batch-norm, tanh, res 4 tanh group-norm 2, avg-pool 2 s1, flatten, dense 4, tanh",
            )
        };
        let contractive = of(ModelKind::Contractive);
        vec![
            ("vae bce", base.clone()),
            (
                "vae continuous bernoulli",
                ModelConfig { loss: Loss::ContinuousBernoulli, init: Initial::Glorot, ..base.clone() },
            ),
            (
                "iwae continuous bernoulli",
                ModelConfig { loss: Loss::ContinuousBernoulli, samples: 3, ..of(ModelKind::Iwae) },
            ),
            (
                "vae discretised logistic",
                ModelConfig { loss: Loss::DiscretisedLogistic, output: Output::Identity, ..base.clone() },
            ),
            (
                "iwae discretised logistic",
                ModelConfig { loss: Loss::DiscretisedLogistic, samples: 3, ..of(ModelKind::Iwae) },
            ),
            ("vae mse softplus", ModelConfig { loss: Loss::Mse, deviation: Deviation::Softplus, ..base.clone() }),
            ("vae gaussian", ModelConfig { loss: Loss::Gaussian, output: Output::Identity, ..base.clone() }),
            (
                "vae gaussian optimal",
                ModelConfig {
                    loss: Loss::Gaussian,
                    variance: Variance::Optimal,
                    output: Output::Identity,
                    ..base.clone()
                },
            ),
            (
                "vae beta auto",
                ModelConfig { target: Some(1.5), loss: Loss::Mse, output: Output::Identity, ..base.clone() },
            ),
            ("vae free bits", ModelConfig { free_bits: 0.02, init: Initial::Glorot, ..base.clone() }),
            ("iwae 1", iwae.clone()),
            ("iwae 5", ModelConfig { samples: 5, ..iwae }),
            ("ae", ae.clone()),
            (
                "ae l1 sigmoid",
                ModelConfig { penalty: penalty("l1:0.3"), code_activation: Activation::Sigmoid, ..ae.clone() },
            ),
            (
                "ae l2 mse no hidden",
                ModelConfig { penalty: penalty("l2:0.3"), loss: Loss::Mse, encoder: vec![], decoder: vec![], ..ae },
            ),
            ("collapsed", ModelConfig { loss: Loss::Mse, ..of(ModelKind::Collapsed) }),
            ("collapsed bce", of(ModelKind::Collapsed)),
            (
                "contractive deep",
                ModelConfig { encoder: Layer::dense(&[5, 4], Activation::Tanh), ..contractive.clone() },
            ),
            (
                "contractive sigmoid",
                ModelConfig { encoder: vec![], code_activation: Activation::Sigmoid, contraction: 2.0, ..contractive },
            ),
            ("vae conv", convolutional(ModelKind::Vae, "conv 3 k2 p1, tanh, res 4 silu, flatten, dense 4, tanh")),
            (
                "iwae gaussian optimal",
                ModelConfig { loss: Loss::Gaussian, variance: Variance::Optimal, samples: 3, ..of(ModelKind::Iwae) },
            ),
            ("iwae conv", ModelConfig { samples: 3, ..convolutional(ModelKind::Iwae, "conv 3 s2, layer-norm, tanh") }),
            (
                "contractive conv",
                convolutional(ModelKind::Contractive, "conv 3 k2 p1, tanh, avg-pool 2, flatten, dense 4, tanh"),
            ),
            (
                "collapsed conv",
                convolutional(ModelKind::Collapsed, "conv 3 d2 p2, gelu, upsample nearest 2, conv 2, silu"),
            ),
            ("gan conv", convolutional(ModelKind::Gan, "conv 3 k2 p1, tanh")),
            ("vae norm", normed(ModelKind::Vae)),
            ("ae norm", normed(ModelKind::Ae)),
            ("iwae norm", ModelConfig { samples: 3, ..normed(ModelKind::Iwae) }),
            ("gan norm", normed(ModelKind::Gan)),
            ("vae vamp", ModelConfig { prior: Prior::Vamp(5), ..base.clone() }),
            (
                "iwae vamp gaussian",
                ModelConfig {
                    prior: Prior::Vamp(3),
                    samples: 4,
                    loss: Loss::Gaussian,
                    output: Output::Identity,
                    ..of(ModelKind::Iwae)
                },
            ),
            ("vae condition", ModelConfig { condition: Some(Condition::Class(3)), ..base.clone() }),
            (
                "vae conv condition",
                ModelConfig {
                    condition: Some(Condition::Number),
                    ..convolutional(ModelKind::Vae, "conv 3 k2 p1, tanh, flatten, dense 4, tanh")
                },
            ),
            ("iwae condition", ModelConfig { condition: Some(Condition::Class(2)), samples: 5, ..of(ModelKind::Iwae) }),
            (
                "contractive condition",
                ModelConfig {
                    encoder: vec![],
                    code_activation: Activation::Tanh,
                    condition: Some(Condition::Class(3)),
                    ..of(ModelKind::Contractive)
                },
            ),
            (
                "contractive conv condition",
                ModelConfig {
                    condition: Some(Condition::Class(2)),
                    ..convolutional(ModelKind::Contractive, "conv 3 k2 p1, tanh, flatten, dense 4, tanh")
                },
            ),
            ("gan condition", ModelConfig { condition: Some(Condition::Class(3)), ..gan.clone() }),
            ("gan", gan.clone()),
            ("gan l2", ModelConfig { penalty: penalty("l2:0.1"), output: Output::Identity, ..gan }),
        ]
    }
}
