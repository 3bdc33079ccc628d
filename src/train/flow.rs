//! A masked autoregressive flow of codes ([`Flow`]), trained on the CPU when it is first asked for and kept beside the checkpoint whose
//! codes they are.
//!
//! Codes are scaled to a mean of 0 and a variance of 1 a dimension. A hair of noise is added to what it is trained on, as
//! [`Density::fit`](crate::density::Density::fit) adds one to variances: where a dimension has equal values, there would be no end to
//! its density. Of its epochs the one counts that knows best the codes held out.

use std::ops::ControlFlow;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::Observer;
use super::fitted::split;
use super::metrics::{Losses, Mean};
use super::queue::Queue;
use super::schedule::training_steps;
use super::tensor::{Tensor, described, read_arena, safetensors};
use crate::backend::cpu::Cpu;
use crate::backend::{Data, Device, ProgramId, Session, Values};
use crate::config::TrainConfig;
use crate::error::{Error, Result, shown_reason};
use crate::files::write_atomic;
use crate::graph::{Graph, PARAMETERS};
use crate::models::{Batches, Flow, FlowConfig};
use crate::ops::Pixels;
use crate::plan::{Options, compile};
use crate::rng::{Draw, Stream};
use crate::step::Step;
use crate::tensor::{DType, Shape};

/// Layers, and the sizes of each one's hidden layers.
const LAYERS: usize = 5;
const HIDDEN: [usize; 2] = [128; 2];
/// Epochs, and the norm that gradients are clipped to.
const EPOCHS: u64 = 30;
const CLIP: f64 = 5.0;
/// The variance of the noise, as a part of the codes' mean variance.
const HAIR: f64 = 1e-6;
/// Codes that are looked at or drawn at a time.
const ROWS: usize = 500;

const FORMAT: &str = "vae-gpu-flow/1";
const KEY: &str = "vae-gpu-flow";
const TERMS: &[&str] = &["loss"];

/// A file's metadata.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Header {
    format: String,
    of: String,
    flow: FlowConfig,
}

/// A trained flow.
#[derive(Clone, Debug, PartialEq)]
pub struct CodeFlow {
    flow: Flow,
    parameters: Vec<f32>,
}

impl CodeFlow {
    /// Trains one on `codes` `[n, latent]`.
    ///
    /// # Errors
    /// [`Error::Usage`] for fewer than two codes, [`Error::NonFinite`] where a code or a loss is not finite.
    pub fn train(codes: &[f32], latent: usize, seed: u32, observer: &mut dyn Observer) -> Result<CodeFlow> {
        let [held_out, codes] = split("a flow", codes, latent)?;
        let count = codes.len() / latent;
        let flow = Flow::new(FlowConfig { features: latent, hidden: HIDDEN.to_vec(), layers: LAYERS })?;
        let mut trained = CodeFlow { parameters: flow.layout().initial(seed), flow };
        let noise = trained.scale_by(codes, latent);
        let scaled = trained.scaled(&with_noise(codes, latent, noise, seed));
        let config = TrainConfig {
            lr_schedule: "cosine".parse().map_err(Error::Usage)?,
            clip_norm: Some(CLIP),
            batch_size: TrainConfig::default().batch_size.min(count),
            epochs: EPOCHS,
            seed,
            ..TrainConfig::default()
        };
        let batches = Batches {
            data: 0,
            condition: None,
            examples: count,
            dtype: DType::F32,
            rows: config.batch_size,
            streamed: false,
            pixels: Pixels::Grey,
            augment: None,
            noise: None,
        };
        let data = Data { shape: Shape::new(count, latent), values: Values::Reals(&scaled) };
        let mut session = Cpu::<f32>::new().session(trained.flow.layout(), &[data])?;
        session.write_arena(PARAMETERS, &trained.parameters)?;
        let mut load = |graph: &Graph| session.load(compile(graph, Options::default())?);
        let programs = trained.flow.training(&batches, &config.optimiser())?;
        let programs: Vec<ProgramId> = programs.iter().map(&mut load).collect::<Result<_>>()?;
        let (mut queue, mut step, mut best) = (Queue::default(), 0, (f64::NEG_INFINITY, Vec::new()));
        for epoch in 0..EPOCHS {
            observer.epoch_started(epoch + 1, count as u64);
            let steps = training_steps(&config, count as u32, epoch, step);
            step += steps.len() as u64;
            let mut done = 0;
            queue.run(&mut *session, None, &programs, &steps, |steps, recorded| {
                let mut recent = Mean::default();
                for (step, row) in steps.iter().zip(recorded.rows()) {
                    let losses = Losses { terms: TERMS, values: row.to_vec() };
                    losses.check_finite(|| format!("step {} of a flow of codes", step.index))?;
                    recent.add(&losses, step.rows);
                    done += u64::from(step.rows);
                }
                observer.progress(done, recent.losses(TERMS));
                Ok(ControlFlow::Continue(()))
            })?;
            trained.parameters = session.read_arena(PARAMETERS)?;
            let known: f64 = trained.log_likelihood(held_out)?.iter().sum();
            if known > best.0 {
                best = (known, trained.parameters.clone());
            }
        }
        trained.parameters = best.1;
        Ok(trained)
    }

    /// Keeps the mean and the deviation of each dimension of the codes; returns the deviation of the noise that counts as theirs.
    fn scale_by(&mut self, codes: &[f32], latent: usize) -> f64 {
        let count = (codes.len() / latent) as f64;
        let sum_by_dimension = |of: &dyn Fn(usize, f64) -> f64| {
            let mut sums = vec![0.0; latent];
            for code in codes.chunks(latent) {
                sums.iter_mut().zip(code).enumerate().for_each(|(e, (sum, &z))| *sum += of(e, f64::from(z)));
            }
            sums.into_iter().map(|sum| sum / count).collect::<Vec<f64>>()
        };
        let means = sum_by_dimension(&|_, z| z);
        let variances = sum_by_dimension(&|e, z| (z - means[e]).powi(2));
        let mean_variance = variances.iter().sum::<f64>() / latent as f64;
        // Codes that are all alike have a deviation too.
        let noise = if mean_variance > 0.0 { HAIR * mean_variance } else { HAIR };
        let deviations: Vec<f64> = variances.iter().map(|variance| (variance + noise).sqrt()).collect();
        for (id, values) in self.flow.scaling().into_iter().zip([means, deviations]) {
            let parameters = self.parameters[self.flow.layout().get(id).offset..].iter_mut();
            parameters.zip(values).for_each(|(parameter, value)| *parameter = value as f32);
        }
        noise.sqrt()
    }

    /// Mean and deviation of each dimension.
    fn scaling(&self) -> [&[f32]; 2] {
        let latent = self.latent();
        self.flow.scaling().map(|id| &self.parameters[self.flow.layout().get(id).offset..][..latent])
    }

    fn scaled(&self, codes: &[f32]) -> Vec<f32> {
        let [means, deviations] = self.scaling();
        let scaled = |code: &[f32]| {
            let each = code.iter().zip(means).zip(deviations);
            each.map(|((z, mean), deviation)| (z - mean) / deviation).collect::<Vec<f32>>()
        };
        codes.chunks(self.latent()).flat_map(scaled).collect()
    }

    fn session(&self) -> Result<Box<dyn Session>> {
        let mut session = Cpu::<f32>::new().session(self.flow.layout(), &[])?;
        session.write_arena(PARAMETERS, &self.parameters)?;
        Ok(session)
    }

    /// Dimensions of a code.
    pub fn latent(&self) -> usize {
        self.flow.config().features
    }

    /// The log-density of each of `codes` `[n, latent]`, in nats.
    ///
    /// # Errors
    /// [`Error::NonFinite`] where one is not finite.
    pub fn log_likelihood(&self, codes: &[f32]) -> Result<Vec<f64>> {
        let (latent, scaled) = (self.latent(), self.scaled(codes));
        let mut session = self.session()?;
        let rows = ROWS.min(codes.len() / latent).max(1);
        let program = session.load(compile(&self.flow.density(rows)?, Options::default())?)?;
        let volume: f64 = self.scaling()[1].iter().map(|deviation| f64::from(*deviation).ln()).sum();
        let mut all = Vec::with_capacity(codes.len() / latent);
        for some in scaled.chunks(rows * latent) {
            let losses = run(&mut *session, program, some, [rows, latent], "loss")?;
            all.extend(losses[..some.len() / latent].iter().map(|loss| -f64::from(*loss) - volume));
        }
        match all.iter().position(|log_density| !log_density.is_finite()) {
            Some(at) => Err(Error::NonFinite(format!("code {at}: its log-density by a flow is {}", all[at]))),
            None => Ok(all),
        }
    }

    /// The first `count` codes of a seed, `[count, latent]`: code `i` depends on the seed and `i` alone.
    ///
    /// # Errors
    /// [`Error::NonFinite`] where one is not finite.
    pub fn draw(&self, count: usize, seed: u32) -> Result<Vec<f32>> {
        let latent = self.latent();
        let mut session = self.session()?;
        let rows = ROWS.min(count).max(1);
        let layers = (0..self.flow.config().layers)
            .map(|layer| session.load(compile(&self.flow.conditionals(layer, rows)?, Options::default())?))
            .collect::<Result<Vec<ProgramId>>>()?;
        let draw = Draw { seed, stream: Stream::Prior, step: 0 };
        let [means, deviations] = self.scaling();
        let mut codes = Vec::with_capacity(count * latent);
        for first in (0..count).step_by(rows) {
            let mut x = vec![0.0; rows.min(count - first) * latent];
            x.chunks_mut(latent).zip(first as u32..).for_each(|(code, i)| draw.normals(i, code));
            for (layer, &program) in layers.iter().enumerate().rev() {
                // Each variable, once those before it are known.
                let blank = vec![0.0; x.len()];
                let u = std::mem::replace(&mut x, blank);
                for e in self.flow.order(layer) {
                    let gaussian = run(&mut *session, program, &x, [rows, latent], "gaussian")?;
                    let each = x.chunks_mut(latent).zip(u.chunks(latent)).zip(gaussian.chunks(2 * latent));
                    each.for_each(|((x, u), of)| x[e] = of[e] + (0.5 * of[latent + e]).exp() * u[e]);
                }
            }
            for code in x.chunks_mut(latent) {
                let each = code.iter_mut().zip(means).zip(deviations);
                each.for_each(|((z, mean), deviation)| *z = mean + deviation * *z);
            }
            codes.append(&mut x);
        }
        match codes.iter().position(|z| !z.is_finite()) {
            Some(at) => Err(Error::NonFinite(format!("draw {} of a flow holds {}", at / latent, codes[at]))),
            None => Ok(codes),
        }
    }

    /// Writes the file in one step: the flow's parameters under their names, and in the metadata whose codes they are of.
    ///
    /// # Errors
    /// [`Error::Io`] where it can't be written.
    pub fn save(&self, path: &Path, of: &str) -> Result<()> {
        let bad = |reason: String| Error::format(path, format!("it can't be made: {reason}"));
        let header = Header { format: FORMAT.to_owned(), of: of.to_owned(), flow: self.flow.config().clone() };
        let header = serde_json::to_string(&header).map_err(|error| bad(error.to_string()))?;
        let tensors = Tensor::all(self.flow.layout(), "", &self.parameters);
        write_atomic(path, &safetensors(&tensors, (KEY, header)).map_err(|error| bad(error.to_string()))?)
    }

    /// Reads a file; none where it is of other codes than `of`.
    ///
    /// # Errors
    /// [`Error::Io`] where it can't be read, [`Error::Format`] where it is no such file or does not fit itself.
    pub fn load(path: &Path, of: &str) -> Result<Option<CodeFlow>> {
        let bytes = std::fs::read(path).map_err(Error::io("reading", path))?;
        read(&bytes, of).map_err(|reason| Error::format(path, shown_reason(&reason)))
    }
}

fn read(bytes: &[u8], of: &str) -> Result<Option<CodeFlow>, String> {
    let (tensors, text) = described(bytes, KEY, "a flow of codes")?;
    let header: Header = serde_json::from_str(&text).map_err(|error| format!("metadata `{KEY}`: {error}"))?;
    if header.format != FORMAT {
        return Err(format!("its format is {:?}, this program reads {FORMAT:?}", header.format));
    }
    if header.of != of {
        return Ok(None);
    }
    let few = || format!("it has {} bytes, too few for the flow it names", bytes.len());
    if header.flow.layers.saturating_mul(header.flow.hidden.len() + 1) > bytes.len() {
        return Err(few());
    }
    let flow = Flow::new(header.flow).map_err(|error| error.to_string())?;
    if flow.layout().count().saturating_mul(size_of::<f32>()) > bytes.len() {
        return Err(few());
    }
    let parameters = read_arena(&tensors, flow.layout(), "")?;
    if let Some(value) = parameters.iter().find(|value| !value.is_finite()) {
        return Err(format!("a value is {value}, it must be finite"));
    }
    let flow = CodeFlow { flow, parameters };
    match flow.scaling()[1].iter().find(|deviation| **deviation <= 0.0) {
        Some(deviation) => Err(format!("a deviation is {deviation}, it must be above 0")),
        None => Ok(Some(flow)),
    }
}

/// A program's output for some rows of x.
fn run(session: &mut dyn Session, program: ProgramId, x: &[f32], size: [usize; 2], output: &str) -> Result<Vec<f32>> {
    let mut all = x.to_vec();
    all.resize(size[0] * size[1], 0.0);
    session.write_input(program, "x", &all)?;
    session.run(&[program], &[Step { rows: size[0] as u32, ..Step::default() }])?;
    session.read_output(program, output)
}

/// The codes with noise of this deviation.
fn with_noise(codes: &[f32], latent: usize, deviation: f64, seed: u32) -> Vec<f32> {
    let draw = Draw { seed, stream: Stream::Corruption, step: 0 };
    let (mut noisy, mut eps) = (codes.to_vec(), vec![0.0; latent]);
    for (code, i) in noisy.chunks_mut(latent).zip(0..) {
        draw.normals(i, &mut eps);
        code.iter_mut().zip(&eps).for_each(|(z, eps)| *z += deviation as f32 * eps);
    }
    noisy
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Codes on a ring in two dimensions, shifted and of unequal widths.
    fn ring(count: u32) -> Vec<f32> {
        let draw = Draw { seed: 3, stream: Stream::Synthetic, step: 0 };
        let code = |i| {
            let (angle, radius) = (std::f32::consts::TAU * draw.uniform(i, 0), 2.0 + 0.2 * draw.normal(i, 1));
            [5.0 + radius * angle.cos(), 0.5 * radius * angle.sin()]
        };
        (0..count).flat_map(code).collect()
    }

    /// Middles of the squares of a grid of such a side around the ring, and a square's area.
    fn grid(side: usize) -> (Vec<f32>, f64) {
        let (width, height) = (8.0 / side as f32, 5.0 / side as f32);
        let at = |i: usize| [1.0 + width * ((i / side) as f32 + 0.5), -2.5 + height * ((i % side) as f32 + 0.5)];
        ((0..side * side).flat_map(at).collect(), f64::from(width) * f64::from(height))
    }

    #[test]
    fn a_flow_knows_a_ring_and_draws_what_it_knows() {
        let codes = ring(6000);
        let (train, test) = codes.split_at(2 * 5000);
        let flow = CodeFlow::train(train, 2, 1, &mut ()).unwrap();
        // Its density is one: it integrates to 1, and where it says draws lie, they do.
        let (points, area) = grid(400);
        let densities = flow.log_likelihood(&points).unwrap();
        type Region = fn(&[f32]) -> bool;
        let within = |wanted: Region| {
            let of = points.chunks(2).zip(&densities).filter(|(z, _)| wanted(z));
            of.map(|(_, log_density)| log_density.exp() * area).sum::<f64>()
        };
        let whole = within(|_| true);
        assert!((whole - 1.0).abs() < 0.01, "{whole}");
        let draws = flow.draw(20_000, 7).unwrap();
        let share = |wanted: Region| draws.chunks(2).filter(|z| wanted(z)).count() as f64 / 20_000.0;
        let regions: [Region; 3] = [|z| z[0] < 4.0, |z| z[1] > 0.5, |z| (z[0] - 5.0).hypot(2.0 * z[1]) < 1.4];
        for region in regions {
            let (drawn, known) = (share(region), within(region));
            // Standard error of a share of 20,000 is below 0.0036; four of them and the grid's part.
            assert!((drawn - known).abs() < 0.02, "{drawn} {known}");
        }
        // The truth: uniform along the angle, normal along the radius, x and y of unequal scales.
        let truth = |z: &[f32]| {
            let radius = f64::from((z[0] - 5.0).hypot(2.0 * z[1]));
            let of_radius = -0.5 * ((radius - 2.0) / 0.2).powi(2) - (0.2 * std::f64::consts::TAU.sqrt()).ln();
            of_radius - (std::f64::consts::TAU * radius * 0.5).ln()
        };
        let mean = |all: &[f64]| all.iter().sum::<f64>() / all.len() as f64;
        let (of_flow, of_truth) =
            (mean(&flow.log_likelihood(test).unwrap()), mean(&test.chunks(2).map(truth).collect::<Vec<_>>()));
        assert!(of_flow > of_truth - 0.1 && of_flow < of_truth + 0.05, "{of_flow} {of_truth}");
        // The first of many are the same as few; another seed gives others.
        assert_eq!(flow.draw(10, 7).unwrap(), draws[..20]);
        assert_ne!(flow.draw(10, 8).unwrap(), draws[..20]);
    }

    /// A trained flow of few codes.
    fn small() -> CodeFlow {
        CodeFlow::train(&ring(40), 2, 1, &mut ()).unwrap()
    }

    #[test]
    fn degenerate_codes_are_allowed_and_broken_ones_refused() {
        let alike = [vec![1.0, 2.0, 1.0, 2.0, 1.0, 2.0], vec![0.0; 40], vec![0.0, 1.0, 0.0, 2.0, 0.0, 3.0]];
        for codes in alike {
            let flow = CodeFlow::train(&codes, 2, 0, &mut ()).unwrap();
            let draws = flow.draw(50, 1).unwrap();
            assert!(draws.chunks(2).all(|z| (z[0] - codes[0]).abs() < 0.1), "{codes:?}: {draws:?}");
        }
        assert!(CodeFlow::train(&ring(50), 1, 1, &mut ()).unwrap().draw(20, 1).is_ok());
        assert!(CodeFlow::train(&[1.0, 2.0], 2, 0, &mut ()).is_err());
        assert!(CodeFlow::train(&[1.0, f32::NAN, 1.0, 1.0], 2, 0, &mut ()).is_err());
        assert!(matches!(small().log_likelihood(&[f32::INFINITY, 0.0]), Err(Error::NonFinite(_))));
    }

    #[test]
    fn a_file_gives_back_the_flow_of_its_model_and_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let (path, flow) = (folder.path().join("best.flow.safetensors"), small());
        flow.save(&path, "step 1").unwrap();
        assert_eq!(CodeFlow::load(&path, "step 1").unwrap(), Some(flow));
        assert_eq!(CodeFlow::load(&path, "step 2").unwrap(), None);
        let bytes = std::fs::read(&path).unwrap();
        let header = bytes.len().min(2000);
        for len in (0..header).chain([bytes.len() - 1]) {
            assert!(read(&bytes[..len], "step 1").is_err(), "{len} bytes");
        }
        for at in 0..header {
            let mut bytes = bytes.clone();
            bytes[at] ^= 0x15;
            let _ = read(&bytes, "step 1"); // a flipped value is a value; nothing may panic
        }
        let refused = |header: &str, part: &str| {
            let bytes = safetensors(&[], (KEY, header.to_owned())).unwrap();
            let reason = read(&bytes, "x").unwrap_err();
            assert!(reason.contains(part), "{reason}");
        };
        let flow = |sizes: &str| format!("{{\"format\": \"{FORMAT}\", \"of\": \"x\", \"flow\": {sizes}}}");
        refused(r#"{"format": "other", "of": "x", "flow": {"features": 1, "hidden": [], "layers": 1}}"#, "format");
        refused(&flow(r#"{"features": 2, "hidden": [9], "layers": 0}"#), "must be 1 to");
        refused(&flow(r#"{"features": 2, "hidden": [9], "layers": 60000}"#), "too few");
        refused(&flow(r#"{"features": 60000, "hidden": [60000], "layers": 9}"#), "too few");
        refused(&flow(r#"{"features": 2, "hidden": [], "layers": 1}"#), "flow.0.0.weight is missing");
    }
}
