//! The density of a model's training codes, kept beside its checkpoint: `best.gaussian.safetensors` and so on.
//!
//! Any model that has an encoder can be sampled from it, one without a prior must be (Ghosh et al. 2020): its density is fitted when
//! training ends. Others are fitted by whoever needs them where the file is missing or belongs to another state of the model.
//!
//! Where codes have noise the density is that of draws from the posteriors, one an image, not of their means: decoders know the
//! draws, which together are the aggregate posterior that the prior stands for (Tomczak and Welling 2018, section 2).

use super::fitted::{CodeSet, Fitted};
use super::generate::{Codes, Encoder, LatentSource, Programs};
use super::{Checkpoint, RunFolder};
use crate::backend::Session;
use crate::config::TrainConfig;
use crate::data::Images;
use crate::error::Result;
use crate::graph::PARAMETERS;
use crate::models::Model;
use crate::plan::Options;
use crate::rng::{Draw, Stream};

/// Images that are encoded at a time.
const ROWS: usize = 500;
/// The step of the draws: one that no evaluation has.
const DRAWN: u64 = u64::MAX;

/// The posteriors of all images, or their codes, with the parameters that the session holds.
///
/// # Errors
/// Where the device fails, or the model has no encoder.
pub fn posteriors(
    session: &mut dyn Session,
    model: &Model,
    config: &TrainConfig,
    images: &Images,
    options: Options,
) -> Result<Codes> {
    load(session, model, images, options)?.apply_to(session, images, config.binarise)
}

/// A draw from the posterior of each image, or its code where that has no noise: `[count, latent]`. The draw of image `i` depends
/// on the configuration's seed and `i` alone.
///
/// # Errors
/// As [`posteriors`].
pub fn draws(
    session: &mut dyn Session,
    model: &Model,
    config: &TrainConfig,
    images: &Images,
    options: Options,
) -> Result<Vec<f32>> {
    let Codes { mut means, deviations } = posteriors(session, model, config, images, options)?;
    let Some(deviations) = deviations else { return Ok(means) };
    let draw = Draw { seed: config.seed, stream: Stream::EvaluationPosterior, step: DRAWN };
    let latent = model.config().latent;
    let mut eps = vec![0.0; latent];
    for (i, (code, deviations)) in means.chunks_mut(latent).zip(deviations.chunks(latent)).enumerate() {
        draw.normals(i as u32, &mut eps);
        code.iter_mut().zip(deviations).zip(&eps).for_each(|((z, deviation), eps)| *z += deviation * eps);
    }
    Ok(means)
}

/// Loads the program that [`posteriors`] runs.
pub(super) fn load<P: Programs + ?Sized>(
    programs: &mut P,
    model: &Model,
    images: &Images,
    options: Options,
) -> Result<Encoder> {
    Encoder::load(programs, model, ROWS.min(images.count()), options)
}

/// Fits and keeps both densities for both checkpoints of a run; the last one's parameters are those the session has in
/// the end.
///
/// # Errors
/// Where a checkpoint can't be read, a density not be fitted or written, or the device fails.
pub(super) fn fit_all(
    session: &mut dyn Session,
    folder: &RunFolder,
    model: &Model,
    config: &TrainConfig,
    images: &Images,
    options: Options,
) -> Result<()> {
    for name in ["best", "last"] {
        let path_of = folder.checkpoint(name);
        let checkpoint = Checkpoint::load(&path_of)?;
        let identity = checkpoint.identity();
        session.write_arena(PARAMETERS, &checkpoint.parameters)?;
        let (codes, conditions) =
            (draws(session, model, config, images, options)?, images.conditions(0..images.count()));
        let codes = CodeSet { codes: &codes, latent: model.config().latent, conditions: &conditions };
        for source in [LatentSource::Gaussian, LatentSource::Mixture] {
            let fitted = Fitted::fit(source, &codes, config.seed, &identity, &mut ())?;
            fitted.save(&Fitted::path(&path_of, source), &identity)?;
        }
    }
    Ok(())
}
