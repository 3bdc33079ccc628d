//! `vae-gpu train`.

use std::path::{Path, PathBuf};

use clap::Args;

use super::progress::Progress;
use super::{RUNS, device, device_line, say, thousands};
use crate::config::{Binarise, TrainConfig};
use crate::error::{Error, Result};
use crate::files::write_atomic;
use crate::models::Loss;
use crate::ops::Activation;
use crate::plan::Options;
use crate::train::{Checkpoint, RunFolder, Trainer};

/// Train a VAE, on MNIST unless --data names other images
///
/// Defaults give way to the file of --config, and that to flags.
#[derive(Debug, Args)]
#[command(after_help = "Example: vae-gpu train --hidden 512,256 --latent 2 --epochs 20 --seed 1")]
pub(super) struct Train {
    /// Sizes of the encoder's hidden layers, as 400 or 512,256; the decoder has them in reverse [default: 400]
    #[arg(long, value_name = "SIZES", value_parser = parse_sizes)]
    hidden: Option<Sizes>,
    /// Dimensions of the latent [default: 20]
    #[arg(long, value_name = "N")]
    latent: Option<usize>,
    /// After each hidden layer: identity, relu, leaky-relu, tanh, sigmoid or softplus [default: relu]
    #[arg(long, value_name = "NAME", value_parser = parse_activation)]
    activation: Option<Activation>,
    /// What a reconstruction is scored by, summed over pixels [default: bce]
    #[arg(long, value_enum)]
    loss: Option<Loss>,
    /// Weight of the KL term [default: 1]
    #[arg(long, value_name = "X", allow_negative_numbers = true)]
    beta: Option<f64>,
    /// Images a step [default: 128]
    #[arg(long, value_name = "N")]
    batch_size: Option<usize>,
    /// Passes over the training set, counted from the run's beginning [default: 10]
    #[arg(long, value_name = "N")]
    epochs: Option<u64>,
    /// Adam's learning rate [default: 0.001]
    #[arg(long, value_name = "X", allow_negative_numbers = true)]
    lr: Option<f64>,
    /// Seed of all randomness, below 2^32: the same seed gives the same run [default: 0]
    #[arg(long, value_name = "N")]
    seed: Option<u32>,
    /// What becomes of grey pixels [default: none]
    #[arg(long, value_enum)]
    binarise: Option<Binarise>,
    /// auto, cpu, gpu, or an adapter's index or name as `vae-gpu devices` lists them [default: auto]
    #[arg(long, value_name = "DEVICE")]
    device: Option<String>,
    /// Folder with the four IDX files of MNIST's layout, plain or .gz, of any image size [default: the embedded MNIST]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Folder for the run [default: runs/vae-DATE-TIME]
    #[arg(long, value_name = "DIR", conflicts_with = "resume")]
    out: Option<PathBuf>,
    /// Continue the run in this folder up to --epochs, with its config.toml
    #[arg(long, value_name = "RUN", conflicts_with = "config")]
    resume: Option<PathBuf>,
    /// TOML file with values for these flags (batch-size = 64); every run folder holds one
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print errors only
    #[arg(long)]
    quiet: bool,
    /// Run each op by itself instead of fused ones
    #[arg(long)]
    no_fuse: bool,
    /// Write the losses of the run's first N steps to steps.jsonl
    #[arg(long, value_name = "N", default_value_t = 0)]
    trace_steps: u64,
}

#[derive(Clone, Debug)]
struct Sizes(Vec<usize>);

fn parse_sizes(text: &str) -> Result<Sizes, String> {
    let size =
        |word: &str| word.trim().parse().map_err(|_| format!("{word:?} is no size: give 400, or a list as 512,256"));
    text.split(',').map(size).collect::<Result<_, _>>().map(Sizes)
}

fn parse_activation(text: &str) -> Result<Activation, String> {
    serde_json::from_value(serde_json::Value::String(text.to_owned()))
        .map_err(|_| "it must be identity, relu, leaky-relu, tanh, sigmoid or softplus".to_owned())
}

impl Train {
    pub(super) fn run(self) -> Result<()> {
        let resumed = self.resume.as_deref().map(RunFolder::open).transpose()?;
        let config = self.config(resumed.as_ref())?;
        config.validate()?;
        let from = resumed.as_ref().map(|run| load(run, &config)).transpose()?;
        let data = config.dataset()?;
        config.validate_data(&data)?;
        let selected = device(&config.device)?;
        let mut trainer =
            Trainer::new(&config, &data, &*selected.device, Options { fuse: !self.no_fuse }, from.as_ref())?;
        trainer.trace_steps(self.trace_steps);
        let folder = match (resumed, &self.out) {
            (Some(run), _) => {
                let path = run.path().join("config.toml");
                write_atomic(&path, config.to_toml()?.as_bytes())?;
                run
            }
            (None, Some(out)) => RunFolder::create(out, &config)?,
            (None, None) => RunFolder::create_named(Path::new(RUNS), &config)?,
        };
        if self.quiet {
            return trainer.run(&folder, &mut ());
        }

        let (train, test) = (&data.train, &data.test);
        let counts = [train, test].map(|images| thousands(images.count()));
        say(format_args!("{}", device_line(&selected)));
        say(format_args!(
            "data: {}, {} + {} images of {}x{}",
            data.name, counts[0], counts[1], train.height, train.width
        ));
        say(format_args!("{}", model_line(&config, &trainer)));
        let (dispatches, levels) = trainer.plan_size();
        say(format_args!("plan: {dispatches} dispatches a step in {levels} levels"));
        say(format_args!("run: {}", folder.path().display()));
        if trainer.epoch() > 0 {
            say(format_args!("resumed after epoch {}", trainer.epoch()));
        }
        trainer.run(&folder, &mut Progress::new(config.epochs))?;
        let path = folder.path().display();
        say(format_args!("the run is in {path}; look at samples with: vae-gpu sample {path}"));
        Ok(())
    }

    /// Defaults < file < flags; for a resumed run its own file stands, and flags may only change what may change.
    fn config(&self, resumed: Option<&RunFolder>) -> Result<TrainConfig> {
        let file = match (resumed, &self.config) {
            (Some(run), _) => run.config()?,
            (None, Some(path)) => TrainConfig::load(path)?,
            (None, None) => TrainConfig::default(),
        };
        let config = self.overlay(file.clone());
        if resumed.is_some() {
            file.check_resumable(&config)?;
        }
        Ok(config)
    }

    fn overlay(&self, mut config: TrainConfig) -> TrainConfig {
        fn set<T: Clone>(value: &mut T, flag: &Option<T>) {
            if let Some(flag) = flag {
                *value = flag.clone();
            }
        }
        set(&mut config.hidden, &self.hidden.clone().map(|sizes| sizes.0));
        set(&mut config.latent, &self.latent);
        set(&mut config.activation, &self.activation);
        set(&mut config.loss, &self.loss);
        set(&mut config.beta, &self.beta);
        set(&mut config.batch_size, &self.batch_size);
        set(&mut config.epochs, &self.epochs);
        set(&mut config.lr, &self.lr);
        set(&mut config.seed, &self.seed);
        set(&mut config.binarise, &self.binarise);
        set(&mut config.device, &self.device);
        if let Some(data) = &self.data {
            // The run must find it again from any folder; one that can't be resolved is reported when it is read.
            config.data = Some(std::fs::canonicalize(data).unwrap_or_else(|_| data.clone()));
        }
        config
    }
}

fn load(run: &RunFolder, config: &TrainConfig) -> Result<Checkpoint> {
    let path = run.checkpoint("last");
    let checkpoint = Checkpoint::load(&path)?;
    let vae = crate::models::Vae::new(config.model(checkpoint.header.model.features))?;
    checkpoint.check_model(&path, &vae)?;
    let done = checkpoint.header.epoch;
    if done >= config.epochs {
        return Err(Error::Usage(format!(
            "--epochs is {}: {} has {done} epochs already, it must be more to resume",
            config.epochs,
            run.path().display()
        )));
    }
    Ok(checkpoint)
}

fn model_line(config: &TrainConfig, trainer: &Trainer<'_>) -> String {
    let model = trainer.vae().config();
    let half = std::iter::once(model.features).chain(model.hidden.iter().copied());
    let sizes = half.clone().chain([model.latent]).chain(half.collect::<Vec<_>>().into_iter().rev());
    let sizes = sizes.map(|size| size.to_string()).collect::<Vec<_>>().join("-");
    let words = format!("{:?}, {:?} + {} KL", model.activation, model.loss, config.beta).replace("Bce", "BCE");
    format!("model: {sizes}, {words}, {} parameters", thousands(trainer.vae().layout().count()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_sizes_are_read_or_refused() {
        assert_eq!(parse_sizes("512, 256").unwrap().0, [512, 256]);
        for text in [",", "", "400,", "a", "-1"] {
            assert!(parse_sizes(text).unwrap_err().contains("no size"), "{text}");
        }
        assert_eq!(parse_activation("leaky-relu").unwrap(), Activation::LeakyRelu);
        assert!(parse_activation("Relu").is_err());
    }
}
