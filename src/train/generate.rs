//! A trained model at work: codes, reconstructions and samples through a session, any number of them in batches.

use super::ModelInput;
use crate::backend::{ProgramId, Session};
use crate::config::Binarise;
use crate::data::Images;
use crate::density::{Density, DensityKind};
use crate::error::Result;
use crate::graph::Graph;
use crate::models::{Capability, Model};
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

/// A program from one input to outputs of as many rows.
#[derive(Clone, Copy, Debug)]
struct Mapping {
    program: ProgramId,
    rows: usize,
    input: &'static str,
    width: usize,
}

impl Mapping {
    fn load<P: Programs + ?Sized>(
        programs: &mut P,
        graph: &Graph,
        rows: usize,
        (input, width): (&'static str, usize),
        options: Options,
    ) -> Result<Mapping> {
        Ok(Mapping { program: programs.add(compile(graph, options)?)?, rows, input, width })
    }

    fn apply<const N: usize>(
        &self,
        session: &mut dyn Session,
        values: &[f32],
        outputs: [&str; N],
    ) -> Result<[Vec<f32>; N]> {
        let mut all: [Vec<f32>; N] = std::array::from_fn(|_| Vec::new());
        for batch in values.chunks(self.rows * self.width) {
            let rows = batch.len() / self.width;
            let mut x = batch.to_vec(); // [rows, width]
            x.resize(self.rows * self.width, 0.0);
            session.write_input(self.program, self.input, &x)?;
            session.run(&[self.program], &[Step { rows: rows as u32, ..Step::default() }])?;
            for (all, name) in all.iter_mut().zip(outputs) {
                let values = session.read_output(self.program, name)?;
                all.extend_from_slice(&values[..values.len() / self.rows * rows]);
            }
        }
        Ok(all)
    }
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
    /// [`Error::Usage`](crate::Error::Usage) where the model has no encoder, else those of [`Session::load`].
    pub fn load<P: Programs + ?Sized>(
        programs: &mut P,
        model: &Model,
        rows: usize,
        options: Options,
    ) -> Result<Encoder> {
        let graph = model.encoding(rows)?;
        let noisy = graph.outputs().iter().any(|(name, _)| name == "logvar");
        let mapping = Mapping::load(programs, &graph, rows, ("x", model.config().features()), options)?;
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
            let shown = images.shown(first..images.count().min(first + self.mapping.rows), binarise)?;
            let part = self.apply(session, &shown)?;
            means.extend(part.means);
            if let Some(part) = part.deviations {
                deviations.get_or_insert_with(Vec::new).extend(part);
            }
        }
        Ok(Codes { means, deviations })
    }

    /// The codes of `images` `[count, features]`.
    ///
    /// # Errors
    /// Where the device fails.
    pub fn apply(&self, session: &mut dyn Session, images: &[f32]) -> Result<Codes> {
        if !self.noisy {
            let [means] = self.mapping.apply(session, images, ["latent"])?;
            return Ok(Codes { means, deviations: None });
        }
        let [means, logvars] = self.mapping.apply(session, images, ["latent", "logvar"])?;
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
        Mapping::load(programs, &graph, rows, ("z", model.config().latent), options).map(Decoder)
    }

    /// The images of `latents` `[count, latent]`: `[count, features]` in the data's range.
    ///
    /// # Errors
    /// Where the device fails.
    pub fn apply(&self, session: &mut dyn Session, latents: &[f32]) -> Result<Vec<f32>> {
        let [means] = self.0.apply(session, latents, ["mean"])?;
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
    /// [`Error::Usage`](crate::Error::Usage) where the model has no encoder, else those of [`Session::load`].
    pub fn load<P: Programs + ?Sized>(
        programs: &mut P,
        model: &Model,
        rows: usize,
        options: Options,
    ) -> Result<Reconstructor> {
        let graph = model.reconstruction(rows)?;
        Mapping::load(programs, &graph, rows, ("x", model.config().features()), options).map(Reconstructor)
    }

    /// The reconstructions of `images` `[count, features]`, of the same shape.
    ///
    /// # Errors
    /// Where the device fails.
    pub fn apply(&self, session: &mut dyn Session, images: &[f32]) -> Result<Vec<f32>> {
        let [means] = self.0.apply(session, images, ["mean"])?;
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
    /// The model's prior N(0, I)
    Prior,
    /// A Gaussian fitted to codes of the training set
    Gaussian,
    /// A mixture of ten Gaussians fitted to them
    Mixture,
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
        }
    }

    /// The density that it is; none of the prior, which is not fitted.
    pub fn density(self) -> Option<DensityKind> {
        match self {
            LatentSource::Prior => None,
            LatentSource::Gaussian => Some(DensityKind::Gaussian),
            LatentSource::Mixture => Some(DensityKind::Mixture),
        }
    }

    /// Checks that a model has it.
    ///
    /// # Errors
    /// [`Error::Usage`](crate::Error::Usage) where the model has no prior, or no codes to fit a density to.
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
    },
    /// From a density of codes.
    Fitted(DensityKind, Decoder),
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
        match source.density() {
            None => Ok(Sampler::Prior { program: programs.add(compile(&model.sampling(rows)?, options)?)?, rows }),
            Some(kind) => Ok(Sampler::Fitted(kind, Decoder::load(programs, model, rows, options)?)),
        }
    }

    /// The first `count` images of a seed: `[count, features]` in the data's range. Image `i` does not depend on `count`.
    /// `density` is asked for one of a kind where latents are not drawn from the prior, and only there.
    ///
    /// # Errors
    /// Where the device fails, or the density can't be had.
    pub fn draw(
        &self,
        session: &mut dyn Session,
        count: usize,
        seed: u32,
        density: impl FnOnce(&mut dyn Session, DensityKind) -> Result<Density>,
    ) -> Result<Vec<f32>> {
        match self {
            Sampler::Prior { program, rows } => {
                let mut images = Vec::new();
                for first in (0..count).step_by(*rows) {
                    let here = (*rows).min(count - first);
                    let step = Step { first: first as u32, rows: here as u32, seed, ..Step::default() };
                    session.run(&[*program], &[step])?;
                    let mean = session.read_output(*program, "mean")?;
                    images.extend_from_slice(&mean[..mean.len() / rows * here]);
                }
                Ok(images)
            }
            Sampler::Fitted(kind, decoder) => {
                let latents = density(session, *kind)?.draw(count, seed); // [count, latent]
                decoder.apply(session, &latents)
            }
        }
    }
}
