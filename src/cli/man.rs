//! `vae-gpu man`.

use std::path::PathBuf;

use clap::{Args, Command, CommandFactory};
use clap_mangen::Man as Page;

use super::{Cli, output, say};
use crate::error::{Error, Result};
use crate::files::write_atomic;

/// Print the manual page, or write one for each command
#[derive(Debug, Args)]
#[command(after_help = "Example: vae-gpu man --out ~/.local/share/man/man1 && man vae-gpu-train")]
pub(super) struct Man {
    /// The folder for all pages, vae-gpu.1, vae-gpu-train.1 and so on; made where it is missing
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
}

impl Man {
    pub(super) fn run(self) -> Result<()> {
        let mut root = Cli::command().disable_help_subcommand(true);
        root.build();
        let Some(folder) = &self.out else {
            let (_, text) = page(&root)?;
            output::print(&text);
            return Ok(());
        };
        let commands = root.get_subcommands().filter(|command| !command.is_hide_set());
        let pages = std::iter::once(&root).chain(commands).map(page).collect::<Result<Vec<_>>>()?;
        std::fs::create_dir_all(folder).map_err(Error::io("making folder", folder))?;
        for (name, text) in pages {
            let path = folder.join(name);
            write_atomic(&path, &text)?;
            say(format_args!("{}", path.display()));
        }
        Ok(())
    }
}

/// A command's page: its file's name, and its text.
fn page(command: &Command) -> Result<(String, Vec<u8>)> {
    let page = Page::new(command.clone());
    let (name, mut text) = (page.get_filename(), Vec::new());
    page.render(&mut text).map_err(Error::io("rendering", name.as_ref()))?;
    Ok((name, text))
}
