//! `vae-gpu completions`.

use clap::{Args, CommandFactory};
use clap_complete::{Shell, generate};

use super::{Cli, output};
use crate::error::Result;

/// Print the completion script of a shell
#[derive(Debug, Args)]
#[command(after_help = "Example: vae-gpu completions bash > ~/.local/share/bash-completion/completions/vae-gpu")]
pub(super) struct Completions {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

impl Completions {
    pub(super) fn run(self) -> Result<()> {
        let mut script = Vec::new();
        generate(self.shell, &mut Cli::command(), env!("CARGO_PKG_NAME"), &mut script);
        output::print(&script);
        Ok(())
    }
}
