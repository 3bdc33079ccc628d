//! `vae-gpu completions`.

use std::io::Write;

use clap::{Args, CommandFactory};
use clap_complete::{Shell, generate};

use super::Cli;
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
        let mut script = Vec::new(); // a reader who goes away early is no reason to stop
        generate(self.shell, &mut Cli::command(), env!("CARGO_PKG_NAME"), &mut script);
        let _ = std::io::stdout().write_all(&script);
        Ok(())
    }
}
