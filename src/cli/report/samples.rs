//! What a report says of samples beside real images, of where latents are drawn from, and of the test images that score highest.

use crate::backend::{Device, Session};
use crate::cli::generations::{self, Samples};
use crate::cli::source::Found;
use crate::config::TrainConfig;
use crate::data::Dataset;
use crate::error::Result;
use crate::export::page::{Row, Section};
use crate::models::Capability;
use crate::plan::Options;
use crate::plot::{reconstructions, source_map};
use crate::ranks::Alone;
use crate::train::ModelInput;
use crate::train::density::draws;
use crate::train::evaluate::Request;
use crate::train::generate::{LatentSource, Reconstructor};
use crate::train::prior;
use crate::train::ranking::{by_score, median};
use crate::train::score::Measure;

/// Samples that are measured, and real images that they are measured by, at most.
const MEASURED: usize = 2000;
/// Samples above their nearest training images, and test images that score highest.
const SHOWN: usize = 16;
/// Latents of each source in the map of them.
const MAPPED: usize = 2000;

/// The sources that samples are shown of: the default one, and the mixture.
fn sources(found: &Found) -> Vec<LatentSource> {
    let mixture = found.model.has(Capability::Encoder).then_some(LatentSource::Mixture);
    let default = LatentSource::of(&found.model);
    std::iter::once(default).chain(mixture.filter(|source| *source != default)).collect()
}

/// The figures of `vae-gpu eval --generations` of each source, and samples above the training images that are nearest to them.
pub(super) fn fidelity(
    found: &Found,
    session: &mut dyn Session,
    config: &TrainConfig,
    data: &Dataset,
) -> Result<Vec<Section>> {
    let (test, seed) = (&data.test, config.seed);
    let count = MEASURED.min(test.count());
    if count < 2 {
        return Ok(Vec::new());
    }
    let (mut rows, mut pictures) = (Vec::new(), Vec::new());
    for from in sources(found) {
        let samples = Samples { from, count, seed };
        let (images, measured) = samples.measure(found, session, config, [test, &data.train], None, true)?;
        rows.extend(generations::rows(&measured).into_iter().map(|(name, value)| Row::new(name, value)));
        let (shown, values) = (SHOWN.min(count), SHOWN.min(count) * test.features());
        let picture = reconstructions(&images[..values], &measured.nearest[..values], test.size, shown)?;
        pictures.push((format!("from the {}", from.name()), picture));
    }
    let note =
        "Samples beside as many test images: distances and shares by the principal components of pixels, and by codes.";
    let nearest = "Samples above the training images that are nearest to them, by source.";
    Ok(vec![
        Section::table("Scores of samples", note, rows),
        Section::pictures("Samples and what they may copy", nearest, pictures),
    ])
}

/// Of a latent of two dimensions: draws from the posteriors of test images, and from each source, in one map.
pub(super) fn map(
    found: &Found,
    session: &mut dyn Session,
    config: &TrainConfig,
    data: &Dataset,
) -> Result<Option<Section>> {
    if config.latent != 2 || !found.model.has(Capability::Encoder) {
        return Ok(None);
    }
    let some = data.test.clone().take_first(MAPPED);
    let mut all = vec![("codes", draws(session, &found.model, config, &some, Options::default())?)];
    let conditions = found.conditions()?.in_turn(MAPPED);
    for from in sources(found) {
        let latents = match from {
            LatentSource::Prior => match prior::learned(session, &found.model, Options::default())? {
                Some(prior) => prior.draw(MAPPED, config.seed),
                None => prior::normal(MAPPED, config.latent, config.seed),
            },
            from => found.fitted(session, from, true)?.draw(MAPPED, &conditions, config.seed)?,
        };
        all.push((from.name(), latents));
    }
    // One of each in turn, so that none hides another.
    let of_turn = |turn: usize| {
        let sources = all.iter().zip(0..);
        sources.filter_map(move |((_, latents), source)| Some((*latents.as_chunks::<2>().0.get(turn)?, Some(source))))
    };
    let (points, labels): (Vec<[f32; 2]>, Vec<Option<u32>>) = (0..MAPPED).flat_map(of_turn).unzip();
    let names: Vec<String> = all.iter().map(|(name, _)| (*name).to_owned()).collect();
    let picture = source_map(&points, &labels, &names)?;
    let note = "Draws from the posteriors of test images, and the latents that samples are drawn from.";
    Ok(Some(Section::pictures("Codes and sources of latents", note, vec![("sources".to_owned(), picture)])))
}

/// The test images that `vae-gpu score` would put first, above what the model makes of them.
pub(super) fn anomalies(
    found: &Found,
    session: &mut dyn Session,
    config: &TrainConfig,
    data: &Dataset,
    device: &dyn Device,
) -> Result<Option<Section>> {
    if !found.model.has(Capability::Encoder) {
        return Ok(None);
    }
    let (model, parameters, images) = (&found.model, &found.checkpoint.parameters[..], &data.test);
    let by = Measure::of_model(model.config());
    let samples = by.default_samples().unwrap_or(0);
    let request = Request { model, parameters, config, images, samples, densities: &[], ranks: &Alone };
    let scores = request.scores(by, device, Options::default(), |_| ())?.scores;
    let order = by_score(&scores);
    let first = &order[..SHOWN.min(order.len())];
    let shown = images.select(first);
    let originals = shown.shown(0..first.len(), config.binarise)?;
    let reconstructor = Reconstructor::load(session, model, first.len(), Options::default())?;
    let means = reconstructor.apply(session, &originals, &shown.conditions(0..first.len()))?;
    let picture = reconstructions(&originals, &means, images.size, first.len())?;
    let note = format!(
        "The test images with the highest {} score, in {}, above what the model makes of them: {:.2} to {:.2}, where the median of \
         all is {:.2}. Examples {}, from 0.",
        by.name(),
        by.unit(model.config()),
        scores[first[0]],
        scores[first[first.len() - 1]],
        median(&scores),
        first.iter().map(usize::to_string).collect::<Vec<_>>().join(", "),
    );
    Ok(Some(Section::pictures("Anomalies", note, vec![("anomalies".to_owned(), picture)])))
}
