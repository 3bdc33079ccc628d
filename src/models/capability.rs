//! What the rest of the program asks of a model in place of its name. Each model's file lists what it has.

use std::fmt;

use super::{Model, ModelConfig, ModelKind};
use crate::error::{Error, Result};

/// A property that some models have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Capability {
    /// An encoder: images have codes, and the loss scores their reconstruction.
    Encoder,
    /// A Gaussian posterior over codes, and with it an ELBO; comes with [`Capability::Encoder`].
    Posterior,
    /// A code without noise; comes with [`Capability::Encoder`].
    PointCode,
    /// The prior N(0, I) to draw latents from; without it they are drawn from a density fitted to training codes.
    Prior,
    /// A discriminator of real and generated images.
    Discriminator,
    /// A loss that ranks epochs: the best one has the lowest. Without it the last counts as the best.
    RankingLoss,
    /// A KL term that beta weighs and that free bits hold up.
    WeightedKl,
    /// Several posterior samples an image in the loss.
    ImportanceSamples,
    /// An optional L1 or L2 penalty on the code or on the generator's output.
    Penalty,
    /// A penalty on the encoder's squared Jacobian.
    JacobianPenalty,
}

impl Capability {
    /// The names of the models that have it: `vae, iwae`.
    pub fn models(self) -> String {
        let names: Vec<&str> = ModelKind::ALL.iter().filter(|kind| kind.has(self)).map(|kind| kind.name()).collect();
        names.join(", ")
    }
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Capability::Encoder => "encoder",
            Capability::Posterior => "posterior",
            Capability::PointCode => "code without noise",
            Capability::Prior => "prior",
            Capability::Discriminator => "discriminator",
            Capability::RankingLoss => "loss that ranks epochs",
            Capability::WeightedKl => "KL term that beta weighs",
            Capability::ImportanceSamples => "importance samples",
            Capability::Penalty => "L1 or L2 penalty",
            Capability::JacobianPenalty => "Jacobian penalty",
        })
    }
}

impl ModelKind {
    /// Whether the model has a capability.
    pub fn has(self, capability: Capability) -> bool {
        self.capabilities().contains(&capability)
    }

    /// Names of what the model records; the first is what training minimises.
    pub fn terms(self) -> &'static [&'static str] {
        let small = ModelConfig { model: self, ..ModelConfig::vae(1) };
        Model::new(small).expect("every model has the default options").terms()
    }

    /// Checks that an option of models with a capability is an option of this one.
    ///
    /// # Errors
    /// [`Error::Usage`] that names the option, the models that have it, and what this one lacks.
    pub(crate) fn check_option(self, key: &str, capability: Capability) -> Result<()> {
        if self.has(capability) {
            return Ok(());
        }
        let (name, others) = (self.name(), capability.models());
        Err(Error::Usage(format!(
            "--{key} does not belong to --model {name}: it is for {others}; {name} has no {capability}"
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_have_what_they_list() {
        for &kind in ModelKind::ALL {
            let model = Model::new(ModelConfig { model: kind, ..ModelConfig::vae(4) }).unwrap();
            let encoding = model.encoding(1);
            assert_eq!(encoding.is_ok(), kind.has(Capability::Encoder), "{}", kind.name());
            let outputs = encoding.map_or(0, |graph| graph.outputs().len());
            assert_eq!(outputs == 1, kind.has(Capability::PointCode), "{}", kind.name());
            assert_eq!(outputs == 2, kind.has(Capability::Posterior), "{}", kind.name());
            assert_eq!(model.sampling(1).is_ok(), kind.has(Capability::Prior), "{}", kind.name());
            assert_eq!(model.discrimination(1).is_ok(), kind.has(Capability::Discriminator), "{}", kind.name());
        }
        assert_eq!(Capability::Posterior.models(), "vae, iwae");
        let error = ModelKind::Gan.check_option("noise", Capability::Encoder).unwrap_err().to_string();
        assert!(error.ends_with("it is for ae, vae, collapsed, iwae, contractive; gan has no encoder"), "{error}");
    }
}
