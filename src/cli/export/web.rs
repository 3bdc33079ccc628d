//! Pages for a browser: what they hold besides the part that runs.

use std::path::{Path, PathBuf};

use super::{Export, export_folder};
use crate::backend::{Precision, Session};
use crate::cli::source::Found;
use crate::cli::{report, say, thousands};
use crate::config::{TrainConfig, preset};
use crate::data::Dataset;
use crate::error::{Error, Result};
use crate::export::page::Page;
use crate::export::web::{Explorer, Weights, trainer};
use crate::files::write_atomic;
use crate::models::{Capability, Model};
use crate::plan::Options;
use crate::train::figures::Figures;
use crate::train::generate::LatentSource;
use crate::train::prior;
use crate::train::summary::Run;

impl Export {
    /// Writes a page that explores the model.
    pub(super) fn explorer(&self, found: &Found) -> Result<()> {
        let Some(folder) = &found.run else {
            let path = found.path.display();
            return Err(Error::Usage(format!("--checkpoint {path}: a page is of a run; name its folder")));
        };
        let run = Run::read(folder.path())?;
        let (config, data) = found.own_data()?;
        found.checkpoint.check_model(&found.path, &Model::new(config.architecture_for(&data.schema)?)?)?;
        let (selected, mut session) = self.source.session(found)?;
        found.say(&selected);
        data.notes.iter().for_each(|note| say(format_args!("data: {note}")));
        let weights = self.weights.unwrap_or_default();
        let explorer = explorer(found, config, data, &mut *session, weights)?;
        let figures = Figures::load(&mut *session, &found.model, data, Options::default())?;
        let figures = figures.draw(&mut *session, config, data, &run.epochs)?;
        let mut sections = vec![report::losses(&run), report::curves(&run, &figures)?];
        sections.extend(report::pictures(figures, config));
        sections.extend([report::data_section(data)?, report::options(config)?]);
        let mut lines = report::lines(&run, found, data);
        if weights == Weights::F16 {
            lines.push("Weights in half precision: pictures differ from the model's by what that rounds.".to_owned());
        }
        let page = Page { title: run.name(), lines, sections, widget: Some(explorer.widget()?) };
        let out = match &self.out {
            Some(out) => out.clone(),
            None => export_folder(folder)?.join("explorer.html"),
        };
        write(&page, &out)
    }

    /// Writes a page that trains.
    pub(super) fn trainer(&self) -> Result<()> {
        let run = self.source.named()?;
        let config = match (&run, &self.preset) {
            (Some(run), _) => run.config()?,
            (None, Some(name)) => TrainConfig::layered([preset(name)?])?,
            (None, None) => TrainConfig::default(),
        };
        config.validate()?;
        let data = config.reading(None).read(config.data.as_ref())?;
        say(format_args!("data: {}, {}", data.name, crate::data::report(&data)?));
        data.notes.iter().for_each(|note| say(format_args!("data: {note}")));
        let mut lines = vec![
            format!("{} {}", config.model.name(), config.architecture_for(&data.schema)?.sizes()),
            format!("{}. vae-gpu {}", data.name, env!("CARGO_PKG_VERSION")),
        ];
        if config.precision == Precision::F16 {
            lines.push("The run computes in half precision where it can, the page in single precision.".to_owned());
        }
        let title = format!("train {}", config.model.name());
        let sections = vec![report::data_section(&data)?, report::options(&config)?];
        let page = Page { title, lines, sections, widget: Some(trainer(&config, &data)?) };
        let out = match (&self.out, &run) {
            (Some(out), _) => out.clone(),
            (None, Some(run)) => export_folder(run)?.join("trainer.html"),
            (None, None) => PathBuf::from("trainer.html"),
        };
        write(&page, &out)
    }
}

fn write(page: &Page, out: &Path) -> Result<()> {
    let html = page.html()?;
    write_atomic(out, html.as_bytes())?;
    say(format_args!("{}, {} bytes", out.display(), thousands(html.len())));
    Ok(())
}

/// The model for a page, with the sources of latents that need no training of their own.
pub(in crate::cli) fn explorer(
    found: &Found,
    config: &TrainConfig,
    data: &Dataset,
    session: &mut dyn Session,
    weights: Weights,
) -> Result<Explorer> {
    let mut sources = Vec::new();
    if found.model.has(Capability::Prior) {
        sources.push((LatentSource::Prior, prior::learned(session, &found.model, Options::default())?));
    }
    if found.model.has(Capability::Encoder) {
        let fitted = found.fitted(session, LatentSource::Mixture, true)?;
        sources.push((LatentSource::Mixture, fitted.density().cloned()));
    }
    Explorer::new(&found.checkpoint, &found.model, (config, data), session, &sources, weights)
}
