//! The contractive autoencoder of Rifai et al. 2011: reconstruction plus `contraction * ||J||_F^2`, where J `[latent,
//! features]` is the Jacobian of the encoder at each example (equation 4), a mean over the batch.
//!
//! Two ways to J. An encoder of one layer, `h = s(W x + b)`, has it in closed form: `||J||_F^2 = sum_j s'(h_j)^2 ||W_j||^2`
//! (section 3). For deeper ones the graph is differentiated: the batch is repeated once for each latent, row j of a group
//! is seeded with the j-th unit vector, and [`differentiate`] gives all rows of J in one backward pass, which the training
//! gradient then differentiates again. `tests/models.rs` checks one against the other where both apply.
//!
//! Corrected against the teaching text, whose title promises this model and whose listing trains a plain autoencoder.

use super::ae::Ae;
use super::autoencoder::mean;
use super::pass::Pass;
use super::{Batch, Capability, Code, Family, ModelConfig};
use crate::error::Result;
use crate::graph::{Graph, NodeId, ParameterId, ParameterLayout, differentiate};
use crate::ops::{
    Activation, ActivationGradient, Constant, Factor, Narrow, Norm, OneHotRows, RepeatInterleave, PowerSum, SegmentSum,
    Transpose,
};
use crate::tensor::Shape;

/// The autoencoder's networks, and the weight of the penalty.
#[derive(Clone, Debug)]
pub(super) struct Contractive {
    ae: Ae,
    code_activation: Activation,
    latent: usize,
    features: usize,
    contraction: f64,
}

impl Contractive {
    pub(super) const CAPABILITIES: &[Capability] =
        &[Capability::Encoder, Capability::PointCode, Capability::RankingLoss, Capability::JacobianPenalty];

    pub(super) fn declare(config: &ModelConfig, layout: &mut ParameterLayout) -> Contractive {
        let ModelConfig { code_activation, latent, contraction, .. } = *config;
        let features = config.features();
        Contractive { ae: Ae::declare(config, layout), code_activation, latent, features, contraction }
    }

    /// `||J||_F^2` of each example, `[rows, 1]`, where the encoder is one layer with this weight and these codes.
    fn closed_form(&self, g: &mut Graph, weight: ParameterId, code: NodeId) -> Result<NodeId> {
        let ones = g.apply(Constant::new(1.0, g.shape(code)).into(), &[])?; // [rows, latent]
        let slope = ActivationGradient { activation: self.code_activation };
        let slopes = g.apply(slope.into(), &[code, ones])?; // [rows, latent]
        let squares = g.apply(slope.into(), &[code, slopes])?; // [rows, latent]
        let weight = g.parameter(weight);
        let of_image = Narrow { start: 0, count: self.features }; // columns behind them are the condition's
        let weight = if g.shape(weight).cols() > self.features { g.apply(of_image.into(), &[weight])? } else { weight };
        let norms = g.apply(PowerSum { norm: Norm::L2 }.into(), &[weight])?; // [latent, 1]
        g.matmul(squares, norms, Transpose::Neither)
    }

    /// `||J||_F^2` of each example, `[rows, 1]`, for any encoder.
    fn by_differentiation(&self, g: &mut Graph, input: NodeId, pass: &mut Pass) -> Result<NodeId> {
        let (rows, latent) = (g.shape(input).rows(), self.latent);
        let repeated = g.apply(RepeatInterleave { count: latent }.into(), &[input])?; // [rows latent, features]
        let codes = self.ae.code(g, repeated, pass)?; // [rows latent, latent]
        let seed = g.apply(OneHotRows { count: latent, groups: rows }.into(), &[])?; // [rows latent, latent]
        let jacobians = differentiate(g, codes, seed, &[repeated])?[0]; // [rows latent, features]
        let squares = g.apply(PowerSum { norm: Norm::L2 }.into(), &[jacobians])?; // [rows latent, 1]
        g.apply(SegmentSum { count: latent }.into(), &[squares])
    }
}

impl Family for Contractive {
    fn terms(&self) -> &'static [&'static str] {
        &["loss", "recon", "jacobian"]
    }

    fn evaluation(&self, g: &mut Graph, batch: &Batch, pass: &mut Pass) -> Result<Vec<NodeId>> {
        let code = self.ae.code(g, batch.input, pass)?; // [rows, latent]
        let scores = self.ae.networks.reconstruction_loss(g, code, batch.target, pass)?; // [rows, 1]
        let recon = mean(g, scores)?;
        if self.contraction == 0.0 {
            let none = g.apply(Constant::new(0.0, Shape::SCALAR).into(), &[])?;
            return Ok(vec![recon, recon, none]);
        }
        let squares = match self.ae.networks.encoder().only_weight() {
            // The closed form tells slopes from codes.
            Some(weight) if !self.code_activation.keeps_argument() => self.closed_form(g, weight, code)?,
            _ => self.by_differentiation(g, batch.input, pass)?,
        };
        let jacobian = mean(g, squares)?;
        Ok(vec![g.add_scaled(recon, jacobian, Factor::Constant(self.contraction))?, recon, jacobian])
    }

    fn encode(&self, g: &mut Graph, x: NodeId, pass: &mut Pass) -> Result<Option<Code>> {
        self.ae.encode(g, x, pass)
    }

    fn decode(&self, g: &mut Graph, z: NodeId, pass: &mut Pass) -> Result<NodeId> {
        self.ae.decode(g, z, pass)
    }

    fn reconstruction(&self, g: &mut Graph, z: NodeId, x: NodeId, pass: &mut Pass) -> Result<Option<NodeId>> {
        self.ae.networks.reconstruction(g, z, x, pass)
    }

    fn output_bias(&self) -> ParameterId {
        self.ae.output_bias()
    }
}
