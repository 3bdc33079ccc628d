//! `vae-gpu eval`.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use super::job::Job;
use super::json::Json;
use super::source::{Asked, Found, Source};
use super::{device, generations, say};
use crate::backend::Device;
use crate::config::TrainConfig;
use crate::data::Images;
use crate::error::Result;
use crate::models::Capability;
use crate::plan::Options;
use crate::ranks::Ranks;
use crate::train::aggregate::SourceFit;
use crate::train::doctor;
use crate::train::evaluate::{Evaluation, Request};
use crate::train::fitted::Fitted;
use crate::train::generate::LatentSource;
use crate::train::generations::Generations;

/// Evaluate a trained model on the test set or on other data, in nats an image
///
/// The bound, its two terms, the importance-sampled log-likelihood (Burda et al. 2016), active units, squared error; and the mean
/// log-density of a draw from each image's posterior by what latents can be drawn from: the nearer to the codes that lies, the more the
/// samples look like reconstructions.
#[derive(Debug, Args)]
#[command(after_help = "Example: vae-gpu eval --samples 5000 --json eval.json")]
pub(super) struct Eval {
    #[command(flatten)]
    source: Source,
    /// Posterior samples an image of the log-likelihood, 0 to 1000000; 0 leaves it out. Counts with a divisor near 50 are quickest
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(..=1_000_000))]
    samples: u32,
    /// Evaluate the first N images only
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    images: Option<u32>,
    #[command(flatten)]
    asked: Asked,
    #[command(flatten)]
    generated: generations::Asked,
    /// Write the result as a JSON object too; - prints it in place of the table
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

impl Eval {
    pub(super) fn run(self) -> Result<()> {
        Job::run(|job| self.among(job))
    }

    /// Evaluates as a rank of a job: the first one speaks for all.
    fn among(&self, job: &Job) -> Result<()> {
        let found = self.source.find()?;
        let json = Json::new(self.json.as_deref())?;
        let to_stdout = json.is_stdout();
        self.generated.check(&found)?;
        let (config, mut examples) = found.examples(&self.asked)?;
        if let Some(count) = self.images {
            examples.images = examples.images.take_first(count as usize);
        }
        let images = &examples.images;
        let selected = device(&job.device(self.source.device()))?;
        job.agree(|| found.same_everywhere(images, format!("{} samples", self.samples)))?;
        if !job.is_first() {
            if found.model.has(Capability::Encoder) || !self.generated.any() {
                let request = self.request(&found, &config, images, &[], &*job.ranks);
                request.run(&*selected.device, Options::default(), |_| {})?;
            }
            return Ok(());
        }
        if !to_stdout {
            found.say(&selected);
        }
        found.say_examples(&examples, !to_stdout)?;
        // Samples of a model without codes or a bound can still be measured.
        let evaluation = match found.model.has(Capability::Encoder) || !self.generated.any() {
            true => Some(self.evaluate(&found, &config, images, (&*selected.device, &*job.ranks), !to_stdout)?),
            false => None,
        };
        let generations = self.generated.measure(&found, &*selected.device, &config, images, !to_stdout)?;
        let result = Evaluated { evaluation: evaluation.as_ref(), generations: generations.as_ref() };
        if to_stdout {
            return json.write(&result);
        }
        let of_codes = evaluation.as_ref().and_then(|evaluation| doctor::of_codes(&evaluation.kl_by_dimension));
        let of_variance = doctor::of_variance(&found.model, &found.checkpoint.parameters);
        of_codes.iter().chain(&of_variance).for_each(|finding| say(format_args!("doctor: {finding}")));
        let of_model = evaluation.iter().flat_map(rows);
        for (name, value) in of_model.chain(generations.iter().flat_map(generations::rows)) {
            say(format_args!("{name:<20} {value}"));
        }
        json.write(&result)
    }

    fn request<'a>(
        &self,
        found: &'a Found,
        config: &'a TrainConfig,
        images: &'a Images,
        densities: &'a [(LatentSource, Fitted)],
        ranks: &'a dyn Ranks,
    ) -> Request<'a> {
        let parameters = &found.checkpoint.parameters;
        Request { model: &found.model, parameters, config, images, samples: self.samples as usize, densities, ranks }
    }

    fn evaluate(
        &self,
        found: &Found,
        config: &TrainConfig,
        images: &Images,
        (device, ranks): (&dyn Device, &dyn Ranks),
        to_stdout: bool,
    ) -> Result<Evaluation> {
        let densities = found.all_fitted(device, to_stdout);
        let request = self.request(found, config, images, &densities, ranks);
        let bar = super::progress::bar(images.count() as u64, "log-likelihood");
        let done = request.run(device, Options::default(), |images| bar.set_position(images as u64));
        bar.finish_and_clear();
        done
    }
}

/// What `--json` has: the evaluation's fields, and those of samples under a name of their own.
#[derive(Serialize)]
struct Evaluated<'a> {
    #[serde(flatten)]
    evaluation: Option<&'a Evaluation>,
    #[serde(skip_serializing_if = "Option::is_none")]
    generations: Option<&'a Generations>,
}

/// Names and values for people.
pub(super) fn rows(evaluation: &Evaluation) -> Vec<(String, String)> {
    let Evaluation { images, samples, active_units, latent, mse, .. } = evaluation;
    let number = |value: Option<f64>| value.map_or("-".to_owned(), |value| format!("{value:.3}"));
    let likelihood = match (evaluation.log_likelihood, evaluation.log_likelihood_error, samples) {
        (Some(mean), Some(error), Some(samples)) => format!("{mean:.3} ± {error:.3}  ({samples} samples an image)"),
        _ => "-".to_owned(),
    };
    let bits = evaluation.bits_per_dimension.map(|bits| ("bits/dimension", format!("{bits:.4}")));
    let figures = [
        ("images", images.to_string()),
        ("loss", number(Some(evaluation.loss))),
        ("ELBO", number(evaluation.elbo)),
        ("reconstruction", number(Some(evaluation.reconstruction))),
        ("KL", number(evaluation.kl)),
        ("log-likelihood", likelihood),
    ];
    let of_codes =
        [("active units", format!("{active_units} of {latent}")), ("squared error", format!("{mse:.6} a pixel"))];
    let nearest = evaluation.sample_from;
    let sources = evaluation.sources.iter().map(|SourceFit { from, log_density, error }| {
        let which = if nearest == Some(*from) { ", the nearest: sample --from " } else { "" };
        let name = if which.is_empty() { "" } else { from.name() };
        (format!("codes by {}", from.name()), format!("{log_density:.3} ± {error:.3} nats{which}{name}"))
    });
    let figures = figures.into_iter().chain(bits).chain(of_codes);
    figures.map(|(name, value)| (name.to_owned(), value)).chain(sources).collect()
}
