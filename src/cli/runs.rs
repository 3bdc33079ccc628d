//! `vae-gpu runs`.

use std::io::Write;
use std::path::PathBuf;

use clap::Args;

use super::{RUNS, say, table, told};
use crate::error::{Error, Result};
use crate::train::summary::{Summary, runs};

/// List runs with their best figures
///
/// The best epoch is the one with the lowest test loss, in nats an image where the model's likelihood is; of a model
/// whose losses rank no epochs, as a GAN's, it is the last. Seconds are those of training. A damaged run is named and left out.
#[derive(Debug, Args)]
#[command(after_help = "Example: vae-gpu runs --json | jq -s 'min_by(.best_test_loss)'")]
pub(super) struct Runs {
    /// The folder that holds them
    #[arg(value_name = "FOLDER", default_value = RUNS)]
    folder: PathBuf,
    /// Print a JSON object a run
    #[arg(long)]
    json: bool,
}

impl Runs {
    pub(super) fn run(self) -> Result<()> {
        let mut summaries = Vec::new();
        for (path, read) in runs(&self.folder)? {
            match read {
                Ok(run) => summaries.push(run.summary()),
                Err(error) => {
                    let (path, reason) = (path.display(), told(&error));
                    let _ = writeln!(std::io::stderr(), "warning: {path} is left out: {}", reason.trim_end());
                }
            }
        }
        if self.json {
            for summary in &summaries {
                let bad = |error: serde_json::Error| Error::format(&summary.path, error.to_string());
                say(format_args!("{}", serde_json::to_string(summary).map_err(bad)?));
            }
        } else if summaries.is_empty() {
            say(format_args!("no run in {}; train one with: vae-gpu train", self.folder.display()));
        } else {
            print(&summaries);
        }
        Ok(())
    }
}

/// A line for each.
pub(super) fn print(summaries: &[Summary]) {
    let names = ["run", "model", "architecture", "epochs", "best test loss", "at epoch", "seconds", "device"];
    let row = |summary: &Summary| {
        vec![
            summary.name.clone(),
            summary.model.to_owned(),
            summary.architecture.clone(),
            summary.epochs.to_string(),
            summary.best_test_loss.map_or("-".to_owned(), |loss| format!("{loss:.2}")),
            summary.best_epoch.map_or("-".to_owned(), |epoch| epoch.to_string()),
            format!("{:.1}", summary.seconds),
            summary.devices.join(", "),
        ]
    };
    let rows: Vec<Vec<String>> =
        std::iter::once(names.map(str::to_owned).to_vec()).chain(summaries.iter().map(row)).collect();
    table::print(&rows, &[3, 4, 5, 6]);
}
