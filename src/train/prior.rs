//! A prior that a model learned, as a density of latents: the mean of the posteriors of its pseudo-inputs (Tomczak and Welling 2018).

use super::ModelInput;
use super::generate::Programs;
use crate::backend::{ProgramId, Session};
use crate::config::Binarise;
use crate::data::Images;
use crate::density::Density;
use crate::error::Result;
use crate::models::Model;
use crate::plan::{Options, compile};
use crate::rng::{Draw, Stream};
use crate::step::Step;

/// The program that gives the prior's components.
#[derive(Clone, Copy, Debug)]
pub struct LearnedPrior {
    program: ProgramId,
    latent: usize,
}

impl LearnedPrior {
    /// Loads the program; none where the prior is N(0, I).
    ///
    /// # Errors
    /// Those of [`compile`] and [`Session::load`].
    pub fn load<P: Programs + ?Sized>(
        programs: &mut P,
        model: &Model,
        options: Options,
    ) -> Result<Option<LearnedPrior>> {
        let Some(graph) = model.prior_components()? else { return Ok(None) };
        let (program, latent) = (programs.add(compile(&graph, options)?)?, model.config().latent);
        Ok(Some(LearnedPrior { program, latent }))
    }

    /// The prior, with the parameters that the session holds.
    ///
    /// # Errors
    /// Where the device fails.
    pub fn density(&self, session: &mut dyn Session) -> Result<Density> {
        session.run(&[self.program], &[Step { rows: 1, ..Step::default() }])?;
        let means = session.read_output(self.program, "mean")?; // [K, latent]
        let logvars = session.read_output(self.program, "logvar")?;
        let deviations: Vec<f64> = logvars.iter().map(|logvar| (0.5 * f64::from(*logvar)).exp()).collect();
        Ok(Density::of_components(self.latent, &means, &deviations))
    }
}

/// The prior that a model learned, with the parameters that the session holds; none where it is N(0, I).
///
/// # Errors
/// Those of [`LearnedPrior::load`] and [`LearnedPrior::density`].
pub fn learned(session: &mut dyn Session, model: &Model, options: Options) -> Result<Option<Density>> {
    LearnedPrior::load(session, model, options)?.map(|prior| prior.density(session)).transpose()
}

/// The first `count` draws of the prior N(0, I) by a seed, `[count, latent]`: those that images are drawn from on a device.
pub fn normal(count: usize, latent: usize, seed: u32) -> Vec<f32> {
    let draw = Draw { seed, stream: Stream::Prior, step: 0 };
    let mut all = vec![0.0; count * latent];
    all.chunks_mut(latent).zip(0..).for_each(|(z, i)| draw.normals(i, z));
    all
}

/// Begins the inputs that a prior learns, if it does, in the parameter arena: training images, evenly spaced.
///
/// # Errors
/// [`crate::Error::Io`] where pixels that stay in their file can't be read.
pub(super) fn begin(model: &Model, images: &Images, binarise: Binarise, arena: &mut [f32]) -> Result<()> {
    let Some((parameter, inverse)) = model.pseudo_inputs() else { return Ok(()) };
    let (parameter, features) = (model.layout().get(parameter), images.features());
    let count = parameter.shape.rows();
    for (k, values) in arena[parameter.offset..][..count * features].chunks_mut(features).enumerate() {
        let at = k * images.count() / count;
        let mut image = images.shown(at..at + 1, binarise)?;
        inverse(&mut image);
        values.copy_from_slice(&image);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{ImageSize, Values};
    use crate::models::{ModelConfig, Output, Prior};

    #[test]
    fn pseudo_inputs_begin_as_training_images() {
        let images = Images::new(ImageSize::grey(1, 2), Values::Reals(vec![0.0, 1.0, 0.5, 0.5, 1.0, 0.0, 0.25, 0.75]));
        let begun = |output, loss| {
            let config = ModelConfig { prior: Prior::Vamp(2), output, loss, ..ModelConfig::vae(2) };
            let model = Model::new(config).unwrap();
            let mut arena = model.layout().initial(0);
            begin(&model, &images, Binarise::None, &mut arena).unwrap();
            let parameter = model.layout().get(model.pseudo_inputs().unwrap().0);
            assert_eq!(parameter.name, "prior.inputs");
            arena[parameter.offset..][..4].to_vec()
        };
        // The first and the third; behind a sigmoid as 0.1 and 0.9.
        assert_eq!(begun(Output::Identity, crate::models::Loss::Mse), [0.0, 1.0, 1.0, 0.0]);
        assert_eq!(begun(Output::Sigmoid, crate::models::Loss::Bce), [-2.2, 2.2, 2.2, -2.2]);
    }
}
