//! A trained model at work: codes, reconstructions and samples through a session, any number of them in batches.

use super::ModelInput;
use super::fitted::Fitted;
use super::prior::LearnedPrior;
use crate::backend::{ProgramId, Session};
use crate::config::Binarise;
use crate::data::Images;
use crate::error::{Error, Result};
use crate::graph::Graph;
use crate::models::{CONDITION, Capability, Model};
use crate::plan::{Options, Plan, compile};
use crate::step::Step;

/// Where programs are loaded: a session, or a list of plans that are looked at before there is one.
pub trait Programs {
    /// Adds a program.
    ///
    /// # Errors
    /// Those of [`Session::load`].
    fn add(&mut self, plan: Plan) -> Result<ProgramId>;
}

impl<S: Session + ?Sized> Programs for S {
    fn add(&mut self, plan: Plan) -> Result<ProgramId> {
        self.load(plan)
    }
}

/// The programs are those of a new session that loads the list.
impl Programs for Vec<Plan> {
    fn add(&mut self, plan: Plan) -> Result<ProgramId> {
        self.push(plan);
        Ok(ProgramId(self.len() - 1))
    }
}

/// A program from one input, and conditions where the model has one, to outputs of as many rows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mapping {
    program: ProgramId,
    rows: usize,
    input: &'static str,
    width: usize,
    /// Values of a condition; 0 where the model has none.
    condition: usize,
}

impl Mapping {
    fn load<P: Programs + ?Sized>(
        programs: &mut P,
        model: &Model,
        graph: &Graph,
        rows: usize,
        (input, width): (&'static str, usize),
        options: Options,
    ) -> Result<Mapping> {
        let condition = model.config().condition_width();
        Ok(Mapping { program: programs.add(compile(graph, options)?)?, rows, input, width, condition })
    }

    /// Loads the program of a graph from `x` `[rows, width]`, and conditions of so many values.
    pub(super) fn of_vectors(
        session: &mut dyn Session,
        graph: &Graph,
        rows: usize,
        [width, condition]: [usize; 2],
    ) -> Result<Mapping> {
        Ok(Mapping { program: session.load(compile(graph, Options::default())?)?, rows, input: "x", width, condition })
    }

    /// The outputs of these rows, any number of them, with their conditions.
    pub(super) fn apply<const N: usize>(
        &self,
        session: &mut dyn Session,
        values: &[f32],
        conditions: &[f32],
        outputs: [&str; N],
    ) -> Result<[Vec<f32>; N]> {
        check_conditions(values.len() / self.width, conditions, self.condition)?;
        let mut conditions = conditions.chunks(self.rows * self.condition.max(1));
        let mut all: [Vec<f32>; N] = std::array::from_fn(|_| Vec::new());
        for batch in values.chunks(self.rows * self.width) {
            let rows = batch.len() / self.width;
            let mut x = batch.to_vec(); // [rows, width]
            x.resize(self.rows * self.width, 0.0);
            session.write_input(self.program, self.input, &x)?;
            if let Some(conditions) = conditions.next() {
                write_conditions(session, self.program, conditions, self.rows * self.condition)?;
            }
            session.run(&[self.program], &[Step { rows: rows as u32, ..Step::default() }])?;
            for (all, name) in all.iter_mut().zip(outputs) {
                let values = session.read_output(self.program, name)?;
                all.extend_from_slice(&values[..values.len() / self.rows * rows]);
            }
        }
        Ok(all)
    }
}

/// Checks that each of so many examples has a condition of this width, or none has where that is 0.
fn check_conditions(count: usize, conditions: &[f32], width: usize) -> Result<()> {
    match conditions.len() == count * width {
        true => Ok(()),
        false => Err(Error::Usage(format!(
            "{} values of conditions for {count} examples: the model takes {width} each",
            conditions.len()
        ))),
    }
}

/// Writes the conditions of some rows, and zeros behind them.
fn write_conditions(session: &mut dyn Session, program: ProgramId, conditions: &[f32], len: usize) -> Result<()> {
    let mut all = conditions.to_vec();
    all.resize(len, 0.0);
    session.write_input(program, CONDITION, &all)
}

/// Encodes images.
#[derive(Clone, Copy, Debug)]
pub struct Encoder {
    mapping: Mapping,
    noisy: bool,
}

/// Codes of images.
#[derive(Clone, Debug, PartialEq)]
pub struct Codes {
    /// `[count, latent]`: the posterior's mean, or the code itself.
    pub means: Vec<f32>,
    /// `[count, latent]`: the posterior's standard deviation; none where a code has no noise.
    pub deviations: Option<Vec<f32>>,
}

impl Encoder {
    /// Loads the program, for `rows` images at a time.
    ///
    /// # Errors
    /// [`Error::Usage`] where the model has no encoder, else those of [`Session::load`].
    pub fn load<P: Programs + ?Sized>(
        programs: &mut P,
        model: &Model,
        rows: usize,
        options: Options,
    ) -> Result<Encoder> {
        let graph = model.encoding(rows)?;
        let noisy = graph.outputs().iter().any(|(name, _)| name == "logvar");
        let mapping = Mapping::load(programs, model, &graph, rows, ("x", model.config().features()), options)?;
        Ok(Encoder { mapping, noisy })
    }

    /// The codes of a data set, shown as training shows it but for drawn pixels: part by part, so that its reals are never
    /// all in memory.
    ///
    /// # Errors
    /// Where the device fails.
    pub fn apply_to(&self, session: &mut dyn Session, images: &Images, binarise: Binarise) -> Result<Codes> {
        let (mut means, mut deviations) = (Vec::new(), None);
        for first in (0..images.count()).step_by(self.mapping.rows) {
            let range = first..images.count().min(first + self.mapping.rows);
            let shown = images.shown(range.clone(), binarise)?;
            let part = self.apply(session, &shown, &images.conditions(range))?;
            means.extend(part.means);
            if let Some(part) = part.deviations {
                deviations.get_or_insert_with(Vec::new).extend(part);
            }
        }
        Ok(Codes { means, deviations })
    }

    /// The codes of `images` `[count, features]` with these conditions, `[count, width]`, empty where the model has none.
    ///
    /// # Errors
    /// [`Error::Usage`] where the conditions are not as many; where the device fails.
    pub fn apply(&self, session: &mut dyn Session, images: &[f32], conditions: &[f32]) -> Result<Codes> {
        if !self.noisy {
            let [means] = self.mapping.apply(session, images, conditions, ["latent"])?;
            return Ok(Codes { means, deviations: None });
        }
        let [means, logvars] = self.mapping.apply(session, images, conditions, ["latent", "logvar"])?;
        let deviations = logvars.into_iter().map(|logvar| (0.5 * logvar).exp()).collect();
        Ok(Codes { means, deviations: Some(deviations) })
    }
}

/// Decodes latents.
#[derive(Clone, Copy, Debug)]
pub struct Decoder(Mapping);

impl Decoder {
    /// Loads the program, for `rows` latents at a time.
    ///
    /// # Errors
    /// Those of [`compile`] and [`Session::load`].
    pub fn load<P: Programs + ?Sized>(
        programs: &mut P,
        model: &Model,
        rows: usize,
        options: Options,
    ) -> Result<Decoder> {
        let graph = model.decoding(rows)?;
        Mapping::load(programs, model, &graph, rows, ("z", model.config().latent), options).map(Decoder)
    }

    /// The images of `latents` `[count, latent]` with these conditions, `[count, width]`, empty where the model has none:
    /// `[count, features]` in the data's range.
    ///
    /// # Errors
    /// [`Error::Usage`] where the conditions are not as many; where the device fails.
    pub fn apply(&self, session: &mut dyn Session, latents: &[f32], conditions: &[f32]) -> Result<Vec<f32>> {
        let [means] = self.0.apply(session, latents, conditions, ["mean"])?;
        Ok(means)
    }
}

/// Encodes images and decodes them from their codes.
#[derive(Clone, Copy, Debug)]
pub struct Reconstructor(Mapping);

impl Reconstructor {
    /// Loads the program, for `rows` images at a time.
    ///
    /// # Errors
    /// [`Error::Usage`] where the model has no encoder, else those of [`Session::load`].
    pub fn load<P: Programs + ?Sized>(
        programs: &mut P,
        model: &Model,
        rows: usize,
        options: Options,
    ) -> Result<Reconstructor> {
        let graph = model.reconstruction(rows)?;
        Mapping::load(programs, model, &graph, rows, ("x", model.config().features()), options).map(Reconstructor)
    }

    /// The reconstructions of `images` `[count, features]` with these conditions, `[count, width]`, empty where the model has
    /// none: of the images' shape.
    ///
    /// # Errors
    /// [`Error::Usage`] where the conditions are not as many; where the device fails.
    pub fn apply(&self, session: &mut dyn Session, images: &[f32], conditions: &[f32]) -> Result<Vec<f32>> {
        let [means] = self.0.apply(session, images, conditions, ["mean"])?;
        Ok(means)
    }
}

/// What latents are drawn from.
///
/// The codes of images lie where the prior does only as far as training brought them there: a density fitted to them makes what
/// decoders know better (Ghosh et al. 2020; Dai and Wipf 2019 of VAEs).
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum LatentSource {
    /// The model's prior, N(0, I) or what it learned
    Prior,
    /// A Gaussian fitted to codes of the training set
    Gaussian,
    /// A mixture of ten Gaussians fitted to them
    Mixture,
    /// A masked autoregressive flow of them, trained when it is first asked for (Papamakarios et al. 2017)
    Flow,
    /// A VAE of them, trained when it is first asked for (Dai and Wipf 2019)
    SecondStage,
}

impl LatentSource {
    /// The prior where the model has one, else the mixture.
    pub fn of(model: &Model) -> LatentSource {
        if model.has(Capability::Prior) { LatentSource::Prior } else { LatentSource::Mixture }
    }

    /// Its name, as options have it.
    pub fn name(self) -> &'static str {
        match self {
            LatentSource::Prior => "prior",
            LatentSource::Gaussian => "gaussian",
            LatentSource::Mixture => "mixture",
            LatentSource::Flow => "flow",
            LatentSource::SecondStage => "second-stage",
        }
    }

    /// Checks that a model has it.
    ///
    /// # Errors
    /// [`Error::Usage`] where the model has no prior, or no codes to fit a density to.
    pub fn check(self, model: &Model) -> Result<()> {
        let needs = if self == LatentSource::Prior { Capability::Prior } else { Capability::Encoder };
        model.config().model.check_option(&format!("from {}", self.name()), needs)
    }
}

/// Draws images: from the prior, or from a density fitted to codes.
#[derive(Clone, Debug)]
pub enum Sampler {
    /// From N(0, I), on the device.
    Prior {
        /// The program.
        program: ProgramId,
        /// Images at a time.
        rows: usize,
        /// Values of a condition; 0 where the model has none.
        condition: usize,
    },
    /// From a prior that the model learned.
    Learned(LearnedPrior, Decoder),
    /// From what was fitted to codes.
    Fitted(LatentSource, Decoder),
}

impl Sampler {
    /// Loads the program, for `rows` images at a time.
    ///
    /// # Errors
    /// Those of [`LatentSource::check`], [`compile`] and [`Session::load`].
    pub fn load<P: Programs + ?Sized>(
        programs: &mut P,
        model: &Model,
        rows: usize,
        source: LatentSource,
        options: Options,
    ) -> Result<Sampler> {
        source.check(model)?;
        if source != LatentSource::Prior {
            return Ok(Sampler::Fitted(source, Decoder::load(programs, model, rows, options)?));
        }
        match LearnedPrior::load(programs, model, options)? {
            Some(prior) => Ok(Sampler::Learned(prior, Decoder::load(programs, model, rows, options)?)),
            None => {
                let program = programs.add(compile(&model.sampling(rows)?, options)?)?;
                Ok(Sampler::Prior { program, rows, condition: model.config().condition_width() })
            }
        }
    }

    /// The first `count` images of a seed: `[count, features]` in the data's range, with these conditions, `[count, width]`, empty
    /// where the model has none. Image `i` does not depend on `count`. `fitted` is asked for the source where latents are not drawn
    /// from the prior, and only there.
    ///
    /// # Errors
    /// Where the device fails, or what was fitted can't be had.
    pub fn draw(
        &self,
        session: &mut dyn Session,
        count: usize,
        conditions: &[f32],
        seed: u32,
        fitted: impl FnOnce(&mut dyn Session, LatentSource) -> Result<Fitted>,
    ) -> Result<Vec<f32>> {
        match self {
            Sampler::Prior { program, rows, condition } => {
                check_conditions(count, conditions, *condition)?;
                let mut images = Vec::new();
                for first in (0..count).step_by(*rows) {
                    let here = (*rows).min(count - first);
                    let step = Step { first: first as u32, rows: here as u32, seed, ..Step::default() };
                    if *condition > 0 {
                        let some = &conditions[first * condition..(first + here) * condition];
                        write_conditions(session, *program, some, rows * condition)?;
                    }
                    session.run(&[*program], &[step])?;
                    let mean = session.read_output(*program, "mean")?;
                    images.extend_from_slice(&mean[..mean.len() / rows * here]);
                }
                Ok(images)
            }
            Sampler::Learned(prior, decoder) => {
                let latents = prior.density(session)?.draw(count, seed); // [count, latent]
                decoder.apply(session, &latents, conditions)
            }
            Sampler::Fitted(source, decoder) => {
                let latents = fitted(session, *source)?.draw(count, conditions, seed)?; // [count, latent]
                decoder.apply(session, &latents, conditions)
            }
        }
    }
}
