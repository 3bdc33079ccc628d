//! `vae-gpu report`: what a page about a run holds; how it looks is [`crate::export::page`]'s.

mod samples;

use std::path::PathBuf;

use clap::Args;

use super::source::{Found, Source};
use super::traverse::{code_moments, traversed};
use super::{eval, export, say, square, thousands};
use crate::backend::{Device, Session};
use crate::config::TrainConfig;
use crate::data::{DataSource, Dataset};
use crate::error::{Error, Result};
use crate::export::page::{Page, Row, Section};
use crate::export::web::{Explorer, Weights};
use crate::files::{check_target, write_atomic};
use crate::models::{Capability, Model};
use crate::plan::Options;
use crate::plot::Picture;
use crate::ranks::Alone;
use crate::train::EpochMetrics;
use crate::train::doctor::{self, Finding};
use crate::train::evaluate::{Evaluation, Request};
use crate::train::figures::{Figure, Figures, term_curves};
use crate::train::generate::{Decoder, LatentSource, Sampler};
use crate::train::image_grid;
use crate::train::ranking::by_score;
use crate::train::summary::Run;

/// Latent dimensions that are traversed, images of each, and how many deviations to either side.
const DIMENSIONS: usize = 20;
const STEPS: usize = 11;
const RANGE: f64 = 3.0;
/// Images of latents drawn from the codes' density, as many as of the prior.
const SAMPLES: usize = 100;
/// Bytes of a decoder below which the page has its explorer.
const MOST_EXPLORED: usize = 20_000_000;

/// Write a page about a run: its options, curves, reconstructions, samples, latent, evaluation and times
///
/// One HTML file that holds its pictures and needs no network. The pictures and the evaluation are of the best epoch.
#[derive(Debug, Args)]
#[command(after_help = "Example: vae-gpu report runs/NAME --out report.html")]
pub(super) struct Report {
    #[command(flatten)]
    source: Source,
    /// Posterior samples an image of the log-likelihood, 0 to 1000000; 0 leaves it out
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u32).range(..=1_000_000))]
    samples: u32,
    /// Folder with the four IDX files, or made-up data [default: the data of the run]
    #[arg(long, value_name = "DATA")]
    data: Option<DataSource>,
    /// The page [default: RUN/report.html]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

impl Report {
    pub(super) fn run(self) -> Result<()> {
        let found = self.source.find()?;
        let Some(folder) = &found.run else {
            let path = found.path.display();
            return Err(Error::Usage(format!("--checkpoint {path}: a report is of a run; name its folder")));
        };
        let run = Run::read(folder.path())?;
        let out = self.out.clone().unwrap_or_else(|| folder.path().join("report.html"));
        check_target(&out)?;
        let other = self.data.as_ref().map(|other| found.data(Some(other))).transpose()?;
        let (config, data) = match &other {
            Some(other) => other,
            None => found.own_data()?, // what densities are fitted to as well
        };
        found.checkpoint.check_model(&found.path, &Model::new(config.architecture_for(&data.schema)?)?)?;
        let (selected, mut session) = self.source.session(&found)?;
        found.say(&selected);
        let figures = Figures::load(&mut *session, &found.model, data, Options::default())?;
        let figures = figures.draw(&mut *session, config, data, &run.epochs)?;
        let traversals = traversals(&found, &mut *session, config, data)?;
        let evaluation = match config.model.has(Capability::Encoder) {
            true => Some(self.evaluate(&found, config, data, &*selected.device)?),
            false => None,
        };
        let mut sections = vec![losses(&run), curves(&run, &figures)?];
        let findings = findings(&run, &found, evaluation.as_ref());
        if !findings.is_empty() {
            let rows =
                findings.iter().map(|finding| Row::new(finding.name, format!("{}; {}", finding.seen, finding.remedy)));
            sections.insert(0, Section::table("What ails this run", "And what mends it.", rows.collect()));
        }
        if let Some(evaluation) = &evaluation {
            sections.push(evaluated(evaluation, data, &selected.device.name()));
            sections.extend(dimensions(&evaluation.kl_by_dimension));
        }
        sections.extend(pictures(figures, config));
        if config.model.has(Capability::Prior) && config.model.has(Capability::Encoder) {
            sections.push(of_mixture(&found, &mut *session, config)?);
        }
        sections.extend(samples::fidelity(&found, &mut *session, config, data)?);
        sections.extend(samples::map(&found, &mut *session, config, data)?);
        sections.extend(samples::anomalies(&found, &mut *session, config, data, &*selected.device)?);
        sections.push(traversals);
        sections.push(times(&run));
        sections.push(data_section(data)?);
        sections.push(options(config)?);
        let mut lines = lines(&run, &found, data);
        let widget = match Explorer::decoder_bytes(&found.model)? {
            ..MOST_EXPLORED => Some(export::explorer(&found, config, data, &mut *session, Weights::F32)?.widget()?),
            bytes => {
                lines.push(format!(
                    "The explorer is left out, for the decoder has {} bytes: vae-gpu export --format web has it.",
                    thousands(bytes)
                ));
                None
            }
        };
        let page = Page { title: run.name(), lines, sections, widget };
        write_atomic(&out, page.html()?.as_bytes())?;
        say(format_args!("{}", out.display()));
        Ok(())
    }

    fn evaluate(&self, found: &Found, config: &TrainConfig, data: &Dataset, device: &dyn Device) -> Result<Evaluation> {
        let (model, parameters, images) = (&found.model, found.checkpoint.parameters.as_slice(), &data.test);
        let densities = &found.all_fitted(device, true);
        let request =
            Request { model, parameters, config, images, samples: self.samples as usize, densities, ranks: &Alone };
        let bar = super::progress::bar(images.count() as u64, "log-likelihood");
        let done = request.run(device, Options::default(), |images| bar.set_position(images as u64));
        bar.finish_and_clear();
        done
    }
}

pub(super) fn lines(run: &Run, found: &Found, data: &Dataset) -> Vec<String> {
    let (model, parameters) = (run.config.model.name(), thousands(found.model.layout().count()));
    let counts = [&data.train, &data.test].map(|images| thousands(images.count()));
    vec![
        format!("{model} {}, {parameters} parameters", run.architecture()),
        format!("{}, {} + {} images of {}", data.name, counts[0], counts[1], data.test.size),
        format!(
            "Pictures and evaluation: {}, after epoch {}. vae-gpu {}",
            found.path.file_name().unwrap_or_default().to_string_lossy(),
            found.checkpoint.header.state.epoch,
            env!("CARGO_PKG_VERSION"),
        ),
    ]
}

/// What was read, and what was left out, converted, guessed or clipped.
pub(super) fn data_section(data: &Dataset) -> Result<Section> {
    let said = std::iter::once(crate::data::report(data)?).chain(data.notes.iter().cloned());
    Ok(Section::table("Data", "As it was read for this page.", said.map(|line| Row::new("", line)).collect()))
}

/// The terms after the best and the last epoch.
pub(super) fn losses(run: &Run) -> Section {
    let shown: Vec<_> = run.best().into_iter().chain(run.epochs.last()).collect();
    let row = |name: String, value: &dyn Fn(usize) -> String| Row {
        name,
        values: (0..shown.len()).map(value).collect(),
        marked: false,
    };
    let mut rows = vec![
        row(String::new(), &|at| ["best", "last"][at].to_owned()),
        row("epoch".to_owned(), &|at| shown[at].epoch.to_string()),
    ];
    let held_out = run.epochs.first().map_or("test", EpochMetrics::held_out);
    for set in [held_out, "train"] {
        for term in &run.terms {
            let key = format!("{set}_{term}");
            rows.push(row(format!("{set} {term}"), &|at| {
                shown[at].losses.get(&key).map_or("-".to_owned(), |value| format!("{value:.2}"))
            }));
        }
    }
    let note = match run.config.model.has(Capability::RankingLoss) {
        false => "Means over images; they do not rank epochs, so that the best is the last.",
        true if held_out == "val" => {
            "Means over images, in nats where the likelihood is; the best epoch has the lowest loss on the validation set."
        }
        true => "Means over images, in nats where the likelihood is; the best epoch has the lowest test loss.",
    };
    Section::table("Losses", note, rows)
}

/// The loss over epochs, and each of its terms that is ever other than 0.
pub(super) fn curves(run: &Run, figures: &[Figure]) -> Result<Section> {
    let mut pictures = Vec::new();
    for Figure { name, picture } in figures.iter().filter(|figure| figure.name == "loss") {
        pictures.push(((*name).to_owned(), picture.clone()));
    }
    if run.config.model.has(Capability::RankingLoss) {
        for term in &run.terms[1..] {
            let key = format!("train_{term}");
            if run.epochs.iter().any(|line| line.losses.get(&key).is_some_and(|value| *value != 0.0)) {
                pictures.push(((*term).to_owned(), term_curves(&[term], &run.epochs)?));
            }
        }
    }
    Ok(Section::pictures("Curves", "After each epoch, on the training and the test set.", pictures))
}

fn evaluated(evaluation: &Evaluation, data: &Dataset, device: &str) -> Section {
    let note = format!("On the test set of {}, computed on {device}; nats an image.", data.name);
    let rows = eval::rows(evaluation).into_iter().filter(|(_, value)| value != "-");
    Section::table("Evaluation", note, rows.map(|(name, value)| Row::new(name, value)).collect())
}

/// What the run's losses and the best epoch's codes tell.
fn findings(run: &Run, found: &Found, evaluation: Option<&Evaluation>) -> Vec<Finding> {
    let of_codes = evaluation.and_then(|evaluation| doctor::of_codes(&evaluation.kl_by_dimension));
    let of_variance = doctor::of_variance(&found.model, &found.checkpoint.parameters);
    doctor::of_losses(&run.config, &run.epochs).into_iter().chain(of_codes).chain(of_variance).collect()
}

/// The divergence of each latent dimension, the largest first.
fn dimensions(kl: &[f64]) -> Option<Section> {
    let rows: Vec<Row> = by_score(kl).iter().map(|&at| Row::new(at.to_string(), format!("{:.3}", kl[at]))).collect();
    let note = "Nats an image by latent dimension, from 0: how much of an image each holds.";
    (!rows.is_empty()).then(|| Section::table("KL by dimension", note, rows))
}

/// Images that the model makes: a section for each figure but the loss.
pub(super) fn pictures(figures: Vec<Figure>, config: &TrainConfig) -> Vec<Section> {
    let section = |Figure { name, picture }| {
        let (title, note) = match name {
            "reconstructions" => ("Reconstructions", "Test images above what the model makes of them."),
            "samples" if config.model.has(Capability::Prior) => ("Samples", "Images of latents drawn from the prior."),
            "samples" => ("Samples", "Images of latents drawn from a Gaussian that was fitted to training codes."),
            "latent" => ("Latent map", "The codes of the test images, coloured by their class."),
            _ => return None,
        };
        Some(Section::pictures(title, note, vec![(title.to_owned(), picture)]))
    };
    figures.into_iter().filter_map(section).collect()
}

/// Images of latents that are drawn from where the codes lie.
fn of_mixture(found: &Found, session: &mut dyn Session, config: &TrainConfig) -> Result<Section> {
    let sampler = Sampler::load(session, &found.model, SAMPLES, LatentSource::Mixture, Options::default())?;
    let fitted = |session: &mut dyn Session, from| found.fitted(session, from, true);
    let all = found.conditions()?;
    let images = sampler.draw(session, SAMPLES, &all.in_turn(SAMPLES), config.seed, fitted)?; // [SAMPLES, features]
    let header = &found.checkpoint.header;
    let picture = image_grid(header.model.output, &images, header.size(), all.columns(square(SAMPLES)))?;
    let note =
        "Images of latents drawn from ten Gaussians that were fitted to draws from the posteriors of training images.";
    Ok(Section::pictures("Samples of the codes' density", note, vec![("samples of a mixture".to_owned(), picture)]))
}

fn traversals(found: &Found, session: &mut dyn Session, config: &TrainConfig, data: &Dataset) -> Result<Section> {
    let header = &found.checkpoint.header;
    let latent = header.model.latent;
    let (middle, unit) = match found.model.has(Capability::Prior) {
        true => (vec![0.0; latent], vec![1.0; latent]),
        false => code_moments(session, &found.model, config, &data.test)?,
    };
    let dimensions = latent.min(DIMENSIONS);
    let latents = traversed(&middle, &middle, &unit, dimensions, STEPS, RANGE);
    let decoder = Decoder::load(session, &found.model, STEPS, Options::default())?;
    let first = found.conditions()?.in_turn(1);
    let images = decoder.apply(session, &latents, &first.repeat(dimensions * STEPS))?; // [dimensions * STEPS, features]
    let picture: Picture = image_grid(header.model.output, &images, header.size(), STEPS)?;
    let of = if dimensions < latent { format!("the first {dimensions} of {latent}") } else { "all".to_owned() };
    let note = format!(
        "A latent dimension a row ({of}), from -{RANGE} to {RANGE} deviations; the others stay in their middle."
    );
    Ok(Section::pictures("Traversals", note, vec![("traversals".to_owned(), picture)]))
}

/// Where it was trained, and how long that took.
fn times(run: &Run) -> Section {
    let last = run.epochs.last();
    let mut rows = vec![
        Row::new("device", run.devices().join(", ")),
        Row::new("epochs", last.map_or(0, |line| line.epoch).to_string()),
        Row::new("seconds of training", format!("{:.1}", run.seconds())),
    ];
    rows.extend(run.images_per_s().map(|speed| Row::new("images/s, median of epochs", thousands(speed.round()))));
    if let Some(line) = last {
        rows.push(Row::new("dispatches a step", line.dispatches_per_step.to_string()));
        rows.push(Row::new("submissions, last epoch", thousands(line.submissions)));
        rows.push(Row::new("bytes to the device, last epoch", thousands(line.bytes_to_device)));
        rows.push(Row::new("bytes from the device, last epoch", thousands(line.bytes_from_device)));
    }
    Section::table("Device and times", "Of training alone, without evaluation and figures.", rows)
}

/// Every option; those that are not defaults are marked.
pub(super) fn options(config: &TrainConfig) -> Result<Section> {
    let (table, defaults) = (config.to_table()?, TrainConfig::default().to_table()?);
    let row = |(key, value): (&String, &toml::Value)| Row {
        marked: defaults.get(key) != Some(value),
        ..Row::new(key, value.as_str().map_or_else(|| value.to_string(), str::to_owned))
    };
    let note = "As config.toml has them; what differs from the defaults is marked.";
    Ok(Section::table("Options", note, table.iter().map(row).collect()))
}
