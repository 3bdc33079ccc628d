//! The density of a model's training codes, kept beside its checkpoint: `best.gaussian.safetensors` and so on.
//!
//! A model without a prior is sampled from it (Ghosh et al. 2020). It is fitted when training ends, and again by whoever
//! needs it where the file is missing or belongs to another state of the model.

use std::path::{Path, PathBuf};

use super::generate::{Encoder, Programs};
use super::{Checkpoint, RunFolder};
use crate::backend::Session;
use crate::config::TrainConfig;
use crate::data::Images;
use crate::density::{Density, DensityKind};
use crate::error::Result;
use crate::graph::PARAMETERS;
use crate::models::Model;
use crate::plan::Options;

/// Images that are encoded at a time.
const ROWS: usize = 500;

/// The file beside a checkpoint.
pub fn path(checkpoint: &Path, kind: DensityKind) -> PathBuf {
    checkpoint.with_extension(match kind {
        DensityKind::Gaussian => "gaussian.safetensors",
        DensityKind::Mixture => "mixture.safetensors",
    })
}

/// The codes of all images, `[count, latent]`, with the parameters that the session holds.
///
/// # Errors
/// Where the device fails, or the model has no encoder.
pub fn codes(
    session: &mut dyn Session,
    model: &Model,
    config: &TrainConfig,
    images: &Images,
    options: Options,
) -> Result<Vec<f32>> {
    let encoder = load(session, model, images, options)?;
    Ok(encoder.apply_to(session, images, config.binarise)?.means)
}

/// Loads the program that [`codes`] runs.
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
        let codes = codes(session, model, config, images, options)?;
        for kind in [DensityKind::Gaussian, DensityKind::Mixture] {
            let density = Density::fit(kind, &codes, model.config().latent, config.seed)?;
            density.save(&path(&path_of, kind), &identity)?;
        }
    }
    Ok(())
}
