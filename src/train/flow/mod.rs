//! A masked autoregressive flow of codes ([`Flow`]), trained on the CPU when it is first asked for and kept beside the checkpoint whose
//! codes they are.
//!
//! Codes are scaled to a mean of 0 and a variance of 1 a dimension. A hair of noise is added to what it is trained on, as
//! [`Density::fit`](crate::density::Density::fit) adds one to variances: where a dimension has equal values, there would be no end to
//! its density. Of its epochs the one counts that knows best the codes held out.

mod file;

use std::ops::ControlFlow;

use super::Observer;
use super::fitted::{CodeSet, add_noise};
use super::generate::Mapping;
use super::metrics::{Losses, Mean};
use super::prior::normal;
use super::queue::Queue;
use super::schedule::training_steps;
use crate::backend::cpu::Cpu;
use crate::backend::{Data, Device, ProgramId, Session, Values};
use crate::config::TrainConfig;
use crate::error::{Error, Result};
use crate::graph::{Graph, PARAMETERS};
use crate::models::{Batches, Flow, FlowConfig};
use crate::plan::{Options, compile};
use crate::rng::{Draw, Stream};
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

const TERMS: &[&str] = &["loss"];

/// A trained flow.
#[derive(Clone, Debug, PartialEq)]
pub struct CodeFlow {
    flow: Flow,
    parameters: Vec<f32>,
}

impl CodeFlow {
    /// Trains one on codes; it has their condition.
    ///
    /// # Errors
    /// [`Error::Usage`] for fewer than two codes, [`Error::NonFinite`] where a code or a loss is not finite.
    pub fn train(codes: &CodeSet<'_>, seed: u32, observer: &mut dyn Observer) -> Result<CodeFlow> {
        let [held_out, codes] = codes.split("a flow")?;
        let (count, latent, width) = (codes.count(), codes.latent, codes.condition());
        let config = FlowConfig { features: latent, hidden: HIDDEN.to_vec(), layers: LAYERS, condition: width };
        let flow = Flow::new(config)?;
        let mut trained = CodeFlow { parameters: flow.layout().initial(seed), flow };
        let noise = trained.scale_by(codes.codes, latent);
        let mut noisy = codes.codes.to_vec();
        add_noise(&mut noisy, latent, noise as f32, Draw { seed, stream: Stream::Corruption, step: 0 });
        let scaled = trained.scaled(&noisy);
        let config = TrainConfig {
            lr_schedule: "cosine".parse().map_err(Error::Usage)?,
            clip_norm: Some(CLIP),
            batch_size: TrainConfig::default().batch_size.min(count),
            epochs: EPOCHS,
            seed,
            ..TrainConfig::default()
        };
        let condition = (width > 0).then_some(1);
        let batches = Batches { condition, ..Batches::new(0, count, DType::F32, config.batch_size) };
        let set = |values, width| Data { shape: Shape::new(count, width), values: Values::Reals(values) };
        let sets = [set(&scaled, latent), set(codes.conditions, width)];
        let sets = if width > 0 { &sets[..] } else { &sets[..1] };
        let mut session = Cpu::<f32>::new().session(trained.flow.layout(), sets)?;
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
            let known: f64 = trained.log_likelihood(&held_out)?.iter().sum();
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

    /// Values of a code's condition; 0 where there is none.
    pub fn condition(&self) -> usize {
        self.flow.config().condition
    }

    /// The log-density of each code, given its condition, in nats.
    ///
    /// # Errors
    /// [`Error::Usage`] where the conditions are not as many; [`Error::NonFinite`] where a log-density is not finite.
    pub fn log_likelihood(&self, codes: &CodeSet<'_>) -> Result<Vec<f64>> {
        let mut session = self.session()?;
        let rows = ROWS.min(codes.count()).max(1);
        let density = self.mapping(&mut *session, &self.flow.density(rows)?, rows)?;
        let [losses] = density.apply(&mut *session, &self.scaled(codes.codes), codes.conditions, ["loss"])?;
        let volume: f64 = self.scaling()[1].iter().map(|deviation| f64::from(*deviation).ln()).sum();
        let all: Vec<f64> = losses.iter().map(|loss| -f64::from(*loss) - volume).collect();
        match all.iter().position(|log_density| !log_density.is_finite()) {
            Some(at) => Err(Error::NonFinite(format!("code {at}: its log-density by a flow is {}", all[at]))),
            None => Ok(all),
        }
    }

    fn mapping(&self, session: &mut dyn Session, graph: &Graph, rows: usize) -> Result<Mapping> {
        Mapping::of_vectors(session, graph, rows, [self.latent(), self.condition()])
    }

    /// The first `count` codes of a seed, `[count, latent]`, each of its condition, `[count, width]`: code `i` depends on the seed, `i` and
    /// that alone.
    ///
    /// # Errors
    /// [`Error::Usage`] where the conditions are not as many; [`Error::NonFinite`] where a code is not finite.
    pub fn draw(&self, count: usize, conditions: &[f32], seed: u32) -> Result<Vec<f32>> {
        let latent = self.latent();
        let mut session = self.session()?;
        let rows = ROWS.min(count).max(1);
        let layers = (0..self.flow.config().layers)
            .map(|layer| self.mapping(&mut *session, &self.flow.conditionals(layer, rows)?, rows))
            .collect::<Result<Vec<Mapping>>>()?;
        let mut codes = normal(count, latent, seed);
        for (layer, mapping) in layers.iter().enumerate().rev() {
            // Each variable, once those before it are known.
            let blank = vec![0.0; codes.len()];
            let u = std::mem::replace(&mut codes, blank);
            for e in self.flow.order(layer) {
                let [gaussian] = mapping.apply(&mut *session, &codes, conditions, ["gaussian"])?;
                let each = codes.chunks_mut(latent).zip(u.chunks(latent)).zip(gaussian.chunks(2 * latent));
                each.for_each(|((x, u), of)| x[e] = of[e] + (0.5 * of[latent + e]).exp() * u[e]);
            }
        }
        let [means, deviations] = self.scaling();
        for code in codes.chunks_mut(latent) {
            let each = code.iter_mut().zip(means).zip(deviations);
            each.for_each(|((z, mean), deviation)| *z = mean + deviation * *z);
        }
        match codes.iter().position(|z| !z.is_finite()) {
            Some(at) => Err(Error::NonFinite(format!("draw {} of a flow holds {}", at / latent, codes[at]))),
            None => Ok(codes),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::fitted::Fitted;
    use super::super::generate::LatentSource;
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
        let flow = CodeFlow::train(&CodeSet::new(train, 2), 1, &mut ()).unwrap();
        // Its density is one: it integrates to 1, and where it says draws lie, they do.
        let (points, area) = grid(400);
        let densities = flow.log_likelihood(&CodeSet::new(&points, 2)).unwrap();
        type Region = fn(&[f32]) -> bool;
        let within = |wanted: Region| {
            let of = points.chunks(2).zip(&densities).filter(|(z, _)| wanted(z));
            of.map(|(_, log_density)| log_density.exp() * area).sum::<f64>()
        };
        let whole = within(|_| true);
        assert!((whole - 1.0).abs() < 0.01, "{whole}");
        let draws = flow.draw(20_000, &[], 7).unwrap();
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
        let (of_flow, of_truth) = (
            mean(&flow.log_likelihood(&CodeSet::new(test, 2)).unwrap()),
            mean(&test.chunks(2).map(truth).collect::<Vec<_>>()),
        );
        assert!(of_flow > of_truth - 0.1 && of_flow < of_truth + 0.05, "{of_flow} {of_truth}");
        // The first of many are the same as few; another seed gives others.
        assert_eq!(flow.draw(10, &[], 7).unwrap(), draws[..20]);
        assert_ne!(flow.draw(10, &[], 8).unwrap(), draws[..20]);
    }

    /// A trained flow of few codes.
    pub(super) fn small() -> CodeFlow {
        CodeFlow::train(&CodeSet::new(&ring(40), 2), 1, &mut ()).unwrap()
    }

    #[test]
    fn draws_have_their_condition() {
        let draw = Draw { seed: 5, stream: Stream::Synthetic, step: 0 };
        let unit = |class: u32| [0, 1, 2].map(|at| if at == class { 1.0 } else { 0.0 });
        let code = |i: u32| [0, 1].map(|e| draw.normal(i, e) * 0.3 + 3.0 * (i % 3) as f32);
        let (codes, conditions): (Vec<_>, Vec<_>) = (0..1500).map(|i| (code(i), unit(i % 3))).unzip();
        let (codes, conditions) = (codes.concat(), conditions.concat());
        let set = CodeSet { codes: &codes, latent: 2, conditions: &conditions };
        let asked: Vec<f32> = (0..300).flat_map(|i| unit(i / 100)).collect();
        let is_near = |(i, z): (usize, &[f32])| z.iter().all(|z| (z - 3.0 * (i / 100) as f32).abs() < 1.5);
        let flow = Fitted::fit(LatentSource::Flow, &set, 1, "", &mut ()).unwrap();
        let stage = Fitted::fit(LatentSource::SecondStage, &set, 1, "", &mut ()).unwrap();
        for fitted in [flow, stage] {
            let draws = fitted.draw(300, &asked, 7).unwrap();
            let right = draws.chunks(2).enumerate().filter(|&draw| is_near(draw)).count();
            assert!(right > 280, "{right}");
            // Given its own place a code is more likely than given another's, by more than a hundred nats.
            let others: Vec<f32> = (1..1501).flat_map(|i| unit(i % 3)).collect();
            let [own, other] = [&conditions, &others]
                .map(|conditions| fitted.log_likelihood(&CodeSet { conditions, ..set }).unwrap().iter().sum::<f64>());
            assert!(own > other + 100.0, "{own} {other}");
            assert!(matches!(fitted.draw(300, &asked[1..], 7), Err(Error::Usage(_))));
            assert!(matches!(fitted.draw(3, &[], 7), Err(Error::Usage(_))));
            assert_eq!(fitted.draw(10, &asked[..30], 7).unwrap(), draws[..20]);
        }
    }

    #[test]
    fn degenerate_codes_are_allowed_and_broken_ones_refused() {
        let alike = [vec![1.0, 2.0, 1.0, 2.0, 1.0, 2.0], vec![0.0; 40], vec![0.0, 1.0, 0.0, 2.0, 0.0, 3.0]];
        for codes in alike {
            let flow = CodeFlow::train(&CodeSet::new(&codes, 2), 0, &mut ()).unwrap();
            let draws = flow.draw(50, &[], 1).unwrap();
            assert!(draws.chunks(2).all(|z| (z[0] - codes[0]).abs() < 0.1), "{codes:?}: {draws:?}");
        }
        assert!(CodeFlow::train(&CodeSet::new(&ring(50), 1), 1, &mut ()).unwrap().draw(20, &[], 1).is_ok());
        assert!(CodeFlow::train(&CodeSet::new(&[1.0, 2.0], 2), 0, &mut ()).is_err());
        assert!(CodeFlow::train(&CodeSet::new(&[1.0, f32::NAN, 1.0, 1.0], 2), 0, &mut ()).is_err());
        assert!(matches!(small().log_likelihood(&CodeSet::new(&[f32::INFINITY, 0.0], 2)), Err(Error::NonFinite(_))));
    }
}
