//! `vae-gpu score`.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;

use super::examples::write_examples;
use super::job::Job;
use super::json::Json;
use super::source::{Asked, Found, Source};
use super::{device, say};
use crate::backend::Device;
use crate::config::TrainConfig;
use crate::data::{Examples, class_numbers};
use crate::error::{Error, Result};
use crate::files::check_target;
use crate::plan::Options;
use crate::train::evaluate::Request;
use crate::train::maps::Maps;
use crate::train::ranking::{auroc, average_precision, by_score, median, nth_highest};
use crate::train::score::{Measure, Scores};

/// Maps where nothing says which examples are anomalies.
const MAPS: usize = 16;

/// Score how anomalous images are
///
/// FILE.csv gets a line an example: its score, higher where the model knows less of its like, and the two terms of the bound.
/// Draws follow from the run's seed and the example's number. A run that was trained with --classes is scored on all classes.
#[derive(Debug, Args)]
#[command(
    after_help = "Example: vae-gpu train --classes 1 && vae-gpu score --normal 1 --contamination 0.05 --maps maps"
)]
pub(super) struct Score {
    #[command(flatten)]
    source: Source,
    #[command(flatten)]
    asked: Asked,
    /// What the score is; nats, or for mse's reconstruction a sum of squares [default: elbo where the loss is a bound, else
    /// reconstruction]
    #[arg(long, value_enum, value_name = "SCORE")]
    by: Option<Measure>,
    /// Draws of the posterior an example behind elbo and likelihood, 1 to 1000000; counts with a divisor near 50 are quickest
    /// [default: 10 for elbo, 100 for likelihood as eval has]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    samples: Option<u32>,
    /// Examples of this score or a higher one count as anomalies
    #[arg(long, value_name = "X", value_parser = threshold, allow_negative_numbers = true, conflicts_with = "contamination")]
    threshold: Option<f64>,
    /// Share of the examples, between 0 and 1, those with the highest scores, that counts as anomalies
    #[arg(long, value_name = "SHARE", value_parser = share, allow_negative_numbers = true)]
    contamination: Option<f64>,
    /// Classes that are normal, by name or number as a list; all others are anomalous. Measures how well scores tell them apart
    #[arg(long, value_name = "CLASSES", value_delimiter = ',')]
    normal: Vec<String>,
    /// The table of scores
    #[arg(long, value_name = "FILE.csv", default_value = "scores.csv")]
    out: PathBuf,
    /// Draw image, reconstruction and squared error a pixel of each anomaly, or of the 16 highest scores, into this folder
    #[arg(long, value_name = "FOLDER")]
    maps: Option<PathBuf>,
    /// Write the summary as a JSON object too; - prints it in place of the table
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// What is printed.
#[derive(Debug, Serialize)]
struct Summary {
    model: &'static str,
    by: Measure,
    unit: &'static str,
    /// Draws of the posterior an example.
    samples: Option<usize>,
    examples: usize,
    mean: f64,
    median: f64,
    max: f64,
    /// The least score of an anomaly.
    threshold: Option<f64>,
    anomalies: Option<usize>,
    /// Labelled examples of the classes of --normal, and of others.
    normal: Option<usize>,
    anomalous: Option<usize>,
    auroc: Option<f64>,
    average_precision: Option<f64>,
    /// The squared error a pixel that is white in maps.
    map_white: Option<f32>,
}

impl Score {
    pub(super) fn run(self) -> Result<()> {
        Job::run(|job| self.among(job))
    }

    /// Scores as a rank of a job: the first one speaks and writes for all.
    fn among(&self, job: &Job) -> Result<()> {
        let found = self.source.find()?;
        let by = self.by.unwrap_or_else(|| Measure::of_model(found.model.config()));
        let samples = self.check(by, &found)?;
        let json = Json::new(self.json.as_deref())?;
        let (config, examples) = found.examples_of_all_classes(&self.asked)?;
        if self.maps.is_some() && examples.table {
            return Err(Error::Usage(format!(
                "--maps draws images: {} is a table, whose columns are no pixels",
                examples.name
            )));
        }
        let kinds = self.kinds(&examples)?;
        let to_stdout = json.is_stdout();
        let selected = device(&job.device(self.source.device()))?;
        let options = format!("{} by {} samples", by.name(), samples.unwrap_or(0));
        job.agree(|| found.same_everywhere(&examples.images, options))?;
        let request = Request {
            model: &found.model,
            parameters: &found.checkpoint.parameters,
            config: &config,
            images: &examples.images,
            samples: samples.unwrap_or(0),
            densities: &[],
            ranks: &*job.ranks,
        };
        if !job.is_first() {
            return request.scores(by, &*selected.device, Options::default(), |_| {}).map(drop);
        }
        if !to_stdout {
            found.say(&selected);
        }
        found.say_examples(&examples, !to_stdout)?;
        let bar = super::progress::bar(examples.images.count() as u64, "scores");
        let scores = request.scores(by, &*selected.device, Options::default(), |done| bar.set_position(done as u64));
        bar.finish_and_clear();
        let scores = scores?;
        let mut summary = summary(&found, by, samples, &scores.scores);
        self.mark(&mut summary, &scores.scores, kinds.as_deref());
        self.write(&examples, &scores, summary.threshold)?;
        let mut written = vec![self.out.display().to_string()];
        if let Some(folder) = &self.maps {
            let positions = drawn(&scores.scores, summary.threshold);
            let white = draw(&found, &config, &examples, &*selected.device, &positions, folder)?;
            let (count, folder) = (positions.len(), folder.display());
            written.push(format!(
                "{folder}: {count} of image, reconstruction, squared error a pixel, where white is {white}"
            ));
            summary.map_white = Some(white);
        }
        if to_stdout {
            return json.write(&summary);
        }
        for (name, value) in rows(&summary) {
            say(format_args!("{name:<17} {value}"));
        }
        written.iter().for_each(|line| say(format_args!("{line}")));
        json.write(&summary)
    }

    /// Checks, before the work, what does not depend on the data; how often the posterior is drawn from.
    fn check(&self, by: Measure, found: &Found) -> Result<Option<usize>> {
        check_target(&self.out)?;
        if let Some(folder) = self.maps.as_deref().filter(|folder| folder.exists() && !folder.is_dir()) {
            return Err(Error::io("making folder", folder)(ErrorKind::NotADirectory.into()));
        }
        by.check(found.model.config())?;
        let default = by.default_samples();
        match (self.samples, default) {
            (Some(_), None) => Err(Error::Usage(format!(
                "--samples is for --by elbo or likelihood: the {} score draws nothing",
                by.name()
            ))),
            (samples, default) => Ok(samples.map(|samples| samples as usize).or(default)),
        }
    }

    /// Whether each example is anomalous by --normal; none where it has no label.
    fn kinds(&self, examples: &Examples) -> Result<Option<Vec<Option<bool>>>> {
        if self.normal.is_empty() {
            return Ok(None);
        }
        let labels = &examples.images.labels;
        if labels.iter().all(Option::is_none) {
            return Err(Error::Usage(format!("--normal needs labels: no example of {} has one", examples.name)));
        }
        let normal = class_numbers("--normal", &self.normal, &examples.classes)?;
        Ok(Some(labels.iter().map(|label| label.map(|label| !normal.contains(&label))).collect()))
    }

    /// Anomalies by the threshold or the share asked for, and how well scores find those that are known.
    fn mark(&self, summary: &mut Summary, scores: &[f64], kinds: Option<&[Option<bool>]>) {
        let of_share = |share: f64| nth_highest(scores, ((share * scores.len() as f64).round() as usize).max(1));
        summary.threshold = self.threshold.or(self.contamination.map(of_share));
        summary.anomalies = summary.threshold.map(|least| scores.iter().filter(|&&score| score >= least).count());
        let Some(kinds) = kinds else { return };
        let labelled = scores.iter().zip(kinds).filter_map(|(&score, kind)| Some((score, (*kind)?)));
        let (scores, anomalous): (Vec<f64>, Vec<bool>) = labelled.unzip();
        let count = anomalous.iter().filter(|&&anomalous| anomalous).count();
        (summary.normal, summary.anomalous) = (Some(anomalous.len() - count), Some(count));
        summary.auroc = auroc(&scores, &anomalous);
        summary.average_precision = average_precision(&scores, &anomalous);
    }

    fn write(&self, examples: &Examples, all: &Scores, threshold: Option<f64>) -> Result<()> {
        let Scores { scores, reconstruction, kl } = all;
        write_examples(&self.out, examples, ["score", "reconstruction", "kl", "anomaly"], |at| {
            let kl = kl.as_ref().map_or(String::new(), |kl| kl[at].to_string());
            let anomaly = threshold.map_or(String::new(), |least| u8::from(scores[at] >= least).to_string());
            [scores[at].to_string(), reconstruction[at].to_string(), kl, anomaly]
        })
    }
}

fn summary(found: &Found, by: Measure, samples: Option<usize>, scores: &[f64]) -> Summary {
    let model = found.model.config();
    Summary {
        model: model.model.name(),
        by,
        unit: by.unit(model),
        samples,
        examples: scores.len(),
        mean: scores.iter().sum::<f64>() / scores.len() as f64,
        median: median(scores),
        max: scores.iter().copied().fold(f64::NEG_INFINITY, f64::max),
        threshold: None,
        anomalies: None,
        normal: None,
        anomalous: None,
        auroc: None,
        average_precision: None,
        map_white: None,
    }
}

/// Positions of the anomalies, or of the highest scores where nothing says which they are; the highest first.
fn drawn(scores: &[f64], threshold: Option<f64>) -> Vec<usize> {
    let mut positions = by_score(scores);
    match threshold {
        Some(least) => positions.retain(|&at| scores[at] >= least),
        None => positions.truncate(MAPS),
    }
    positions
}

/// Writes the maps of these examples, named by rank and number; the squared error that is white in them.
fn draw(
    found: &Found,
    config: &TrainConfig,
    examples: &Examples,
    device: &dyn Device,
    positions: &[usize],
    folder: &Path,
) -> Result<f32> {
    std::fs::create_dir_all(folder).map_err(Error::io("making folder", folder))?;
    let mut session = found.checkpoint.session(device, &found.model)?;
    let maps = Maps::load(&mut *session, &found.model, config, &examples.images, Options::default())?;
    let (mut rank, digits) = (0, positions.len().to_string().len());
    maps.draw(&mut *session, positions, |example, picture| {
        rank += 1;
        picture.save(&folder.join(format!("{rank:0digits$}-example-{example}.png")))
    })
}

/// Names and values for people.
fn rows(summary: &Summary) -> [(&'static str, String); 9] {
    let Summary { by, unit, samples, examples, threshold, anomalies, .. } = summary;
    let draws = samples.map_or(String::new(), |samples| format!(", {samples} draws an example"));
    let apart = |value: Option<f64>| match (value, summary.normal, summary.anomalous) {
        (Some(value), Some(normal), Some(anomalous)) => {
            format!("{value:.4}  ({normal} normal, {anomalous} anomalous)")
        }
        (None, Some(0), _) => "-  (no example is normal)".to_owned(),
        (None, Some(_), _) => "-  (no example is anomalous)".to_owned(),
        _ => "-  (--normal names the normal classes)".to_owned(),
    };
    [
        ("score", format!("{}, {unit}{draws}", by.name())),
        ("examples", examples.to_string()),
        ("mean", format!("{:.3}", summary.mean)),
        ("median", format!("{:.3}", summary.median)),
        ("maximum", format!("{:.3}", summary.max)),
        ("threshold", threshold.map_or("-".to_owned(), |threshold| threshold.to_string())),
        ("anomalies", anomalies.map_or("-".to_owned(), |count| format!("{count} of {examples}"))),
        ("AUROC", apart(summary.auroc)),
        ("average precision", apart(summary.average_precision)),
    ]
}

fn threshold(text: &str) -> Result<f64, String> {
    let value: f64 = text.parse().map_err(|_| "it must be a number".to_owned())?;
    if value.is_finite() { Ok(value) } else { Err("it must be a finite number".to_owned()) }
}

fn share(text: &str) -> Result<f64, String> {
    let value: f64 = text.parse().map_err(|_| "it must be a number".to_owned())?;
    if value > 0.0 && value < 1.0 { Ok(value) } else { Err("it must be above 0 and below 1".to_owned()) }
}
