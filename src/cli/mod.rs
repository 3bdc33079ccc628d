//! The command line: one file a command, each of which parses, calls the library and tells what came of it.

mod bench;
mod check;
mod compare;
mod completions;
mod decode;
mod devices;
mod encode;
mod eval;
mod examples;
mod export;
mod flags;
mod generations;
mod interpolate;
mod interrupt;
mod job;
mod json;
mod label;
mod man;
mod output;
mod progress;
mod reconstruct;
mod report;
mod runs;
mod sample;
mod score;
mod source;
mod sweep;
mod table;
mod train;
mod traverse;

use std::error::Error as _;
use std::fmt::Display;
use std::io::{IsTerminal, Write, stderr};
use std::process::ExitCode;
use std::time::Instant;

use clap::{Parser, Subcommand};

use crate::backend::gpu::GpuOptions;
use crate::backend::{Device, DeviceChoice, Selected, TuningCache, select_with};
use crate::error::{Error, Result};
use crate::plan::{Fusion, Options};
use output::say;

/// Where runs lie unless said otherwise.
const RUNS: &str = "runs";

/// Trains autoencoders, variational and others, on any GPU or on the CPU, and samples from them.
#[derive(Debug, Parser)]
#[command(name = "vae-gpu", version, about, after_help = "Example: vae-gpu train && vae-gpu sample")]
struct Cli {
    /// Tell on stderr what is done and how long it takes; -vv tells more
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    verbose: u8,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Train(Box<train::Train>),
    Sample(sample::Sample),
    Reconstruct(reconstruct::Reconstruct),
    Eval(eval::Eval),
    Score(score::Score),
    Encode(encode::Encode),
    Decode(decode::Decode),
    Interpolate(interpolate::Interpolate),
    Traverse(traverse::Traverse),
    Sweep(sweep::Sweep),
    Runs(runs::Runs),
    Compare(compare::Compare),
    Report(report::Report),
    Export(export::Export),
    Bench(bench::Bench),
    Check(check::Check),
    Devices(devices::Devices),
    Completions(completions::Completions),
    Man(man::Man),
}

/// Parses the process's arguments, runs the command, prints an error with its causes; 0, [`Error::exit_code`], or 1 where
/// only standard output failed. The process has run since `started`.
pub fn main(started: Instant) -> ExitCode {
    crate::backend::gpu::without_device_select();
    let code = match Cli::try_parse() {
        Ok(cli) => run(cli, started),
        // A wrong command line, or the help or version that was asked for.
        Err(text) => {
            let printed = text.print();
            if !text.use_stderr() {
                output::keep(printed);
            }
            u8::try_from(text.exit_code()).unwrap_or(2)
        }
    };
    let code = match output::finish() {
        Ok(()) => code,
        Err(error) => {
            let _ = writeln!(stderr(), "error: writing standard output: {error}"); // there is nowhere left to report to
            if code == 0 { 1 } else { code }
        }
    };
    ExitCode::from(code)
}

/// Runs the command; the exit code.
fn run(cli: Cli, started: Instant) -> u8 {
    listen(cli.verbose);
    let done = match cli.command {
        Command::Train(command) => command.run(),
        Command::Sample(command) => command.run(),
        Command::Reconstruct(command) => command.run(),
        Command::Eval(command) => command.run(),
        Command::Score(command) => command.run(),
        Command::Encode(command) => command.run(),
        Command::Decode(command) => command.run(),
        Command::Interpolate(command) => command.run(),
        Command::Traverse(command) => command.run(),
        Command::Sweep(command) => command.run(),
        Command::Runs(command) => command.run(),
        Command::Compare(command) => command.run(),
        Command::Report(command) => command.run(),
        Command::Export(command) => command.run(),
        Command::Bench(command) => command.run(started),
        Command::Check(command) => command.run(),
        Command::Devices(command) => command.run(),
        Command::Completions(command) => command.run(),
        Command::Man(command) => command.run(),
    };
    match done {
        Ok(()) => 0,
        Err(error) => {
            let kind = if matches!(error, Error::Interrupted { .. }) { "stopped" } else { "error" };
            let _ = writeln!(stderr(), "{kind}: {}", told(&error)); // as above
            error.exit_code()
        }
    }
}

/// Lets what the library tells through `tracing` be seen.
fn listen(verbose: u8) {
    let level = match verbose {
        0 => return,
        1 => tracing::Level::INFO,
        _ => tracing::Level::DEBUG,
    };
    let colour = stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let subscriber = tracing_subscriber::fmt().with_max_level(level).with_writer(stderr).with_ansi(colour);
    subscriber.with_target(false).with_timer(tracing_subscriber::fmt::time::uptime()).init();
}

/// An error and its causes.
fn told(error: &Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text += &format!("\n  caused by: {error}");
        cause = error.source();
    }
    text
}

/// How plans that run many times are compiled for a device.
fn options(device: &dyn Device, no_fuse: bool) -> Options {
    let options = device.options();
    Options { fuse: if no_fuse { Fusion::None } else { options.fuse }, ..options }
}

/// The device behind `--device`, with what is kept of it.
fn device(choice: &str) -> Result<Selected> {
    device_with(choice, &TuningCache::of_user(), GpuOptions::default())
}

/// The device behind `--device`, with what is kept of it there; a GPU compiles kernels so.
fn device_with(choice: &str, kept: &TuningCache, options: GpuOptions) -> Result<Selected> {
    let choice = choice.parse::<DeviceChoice>().unwrap_or_else(|_| DeviceChoice::Name(choice.to_owned()));
    let selected = select_with(&choice, kept, options)?;
    for note in &selected.notes {
        let _ = writeln!(stderr(), "note: {note}"); // whoever does not read it misses nothing else
    }
    Ok(selected)
}

/// `device: NAME: WHY`.
fn device_line(selected: &Selected) -> String {
    match selected.why.as_str() {
        "" => format!("device: {}", selected.device.name()),
        why => format!("device: {}: {why}", selected.device.name()),
    }
}

/// 652824 as `652,824`.
fn thousands(number: impl Display) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Columns of the squarest grid of `count` images.
fn square(count: usize) -> usize {
    (1..).find(|columns| columns * columns >= count).unwrap_or(count)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn thousands_are_grouped_from_the_right() {
        assert_eq!(
            ["1", "999", "1000", "652824", "1234567"].map(thousands),
            ["1", "999", "1,000", "652,824", "1,234,567"]
        );
    }
}
