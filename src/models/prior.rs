//! The prior of a VAE's latents, where it is learned: the VampPrior of Tomczak and Welling 2018, `p(z) = 1/K sum_k q(z | u_k)`, the
//! mean of the posteriors of K pseudo-inputs `u_k` (equation 9), which are learned with the weights.
//!
//! Pseudo-inputs have the range of the decoder's output: where that is (0, 1) they are parameters behind a sigmoid. A mixture of so
//! many Gaussians has no divergence in closed form; see [`MixturePrior`] for how one draw of the posterior stands for it.

use super::{ModelConfig, Prior};
use crate::error::Result;
use crate::graph::{Graph, Init, NodeId, ParameterId, ParameterLayout};
use crate::ops::{Activation, ImportanceBound, MixturePrior};
use crate::tensor::Shape;

/// How far from 0 the parameters of pixels 0 and 1 begin: pixels of sigmoid(+-2.2), 0.1 and 0.9, where gradients still move them.
const REACH: f32 = 2.2;

/// The learned inputs `prior.inputs` `[K, features]`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PseudoInputs {
    inputs: ParameterId,
    activation: Activation,
}

impl PseudoInputs {
    /// Declares them, where the prior is made of them.
    pub(super) fn declare(config: &ModelConfig, layout: &mut ParameterLayout) -> Option<PseudoInputs> {
        let Prior::Vamp(count) = config.prior else { return None };
        let shape = Shape::new(count, config.features());
        let inputs = layout.declare("prior.inputs", shape, Init::linear(1));
        Some(PseudoInputs { inputs, activation: config.output.activation() })
    }

    /// The parameter.
    pub(super) fn parameter(self) -> ParameterId {
        self.inputs
    }

    /// Them as an encoder takes them, `[K, features]`.
    pub(super) fn images(self, g: &mut Graph) -> Result<NodeId> {
        let inputs = g.parameter(self.inputs);
        g.activation(inputs, self.activation)
    }

    /// The parameters that give these images, as far as they may begin.
    pub(super) fn inverse(self, images: &mut [f32]) {
        if self.activation == Activation::Sigmoid {
            images.iter_mut().for_each(|pixel| *pixel = REACH * (2.0 * *pixel - 1.0));
        }
    }
}

/// `log N(z; 0, I) - log p(z)` of draws z `[rows, latent]`, for the mixture of components `[mean | logvar]` `[K, 2 latent]`, in
/// nats: `[rows, 1]`. With the divergence from N(0, I) it is that from the mixture.
pub(super) fn beyond_normal(g: &mut Graph, z: NodeId, components: NodeId) -> Result<NodeId> {
    let (rows, samples) = (g.shape(z).rows(), g.shape(components).rows());
    let ratios = g.apply(MixturePrior.into(), &[z, components])?; // [rows, K]
    let column = g.reshape(ratios, Shape::new(rows * samples, 1))?;
    g.apply(ImportanceBound { samples }.into(), &[column])
}
