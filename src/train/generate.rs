//! A trained decoder at work: samples and reconstructions through a session, any number of them in batches.

use crate::backend::{ProgramId, Session};
use crate::error::Result;
use crate::models::Vae;
use crate::plan::{Options, compile};
use crate::step::Step;

/// Draws images from the prior.
#[derive(Clone, Copy, Debug)]
pub struct Sampler {
    program: ProgramId,
    rows: usize,
}

impl Sampler {
    /// Loads the program, for `rows` images at a time.
    ///
    /// # Errors
    /// Those of [`compile`] and [`Session::load`].
    pub fn load(session: &mut dyn Session, vae: &Vae, rows: usize, options: Options) -> Result<Sampler> {
        let program = session.load(compile(&vae.sampling(rows)?, options)?)?;
        Ok(Sampler { program, rows })
    }

    /// The first `count` images of a seed: `[count, features]` in [0, 1]. Image `i` does not depend on `count`.
    ///
    /// # Errors
    /// Where the device fails.
    pub fn draw(&self, session: &mut dyn Session, count: usize, seed: u32) -> Result<Vec<f32>> {
        let mut images = Vec::new();
        for first in (0..count).step_by(self.rows) {
            let rows = self.rows.min(count - first);
            session.run(self.program, &[Step { first: first as u32, rows: rows as u32, seed, ..Step::default() }])?;
            let mean = session.read_output(self.program, "mean")?;
            images.extend_from_slice(&mean[..mean.len() / self.rows * rows]);
        }
        Ok(images)
    }
}

/// Encodes images and decodes them from their posterior means.
#[derive(Clone, Copy, Debug)]
pub struct Reconstructor {
    program: ProgramId,
    rows: usize,
}

impl Reconstructor {
    /// Loads the program, for `rows` images at a time.
    ///
    /// # Errors
    /// Those of [`compile`] and [`Session::load`].
    pub fn load(session: &mut dyn Session, vae: &Vae, rows: usize, options: Options) -> Result<Reconstructor> {
        let program = session.load(compile(&vae.reconstruction(rows)?, options)?)?;
        Ok(Reconstructor { program, rows })
    }

    /// The reconstructions of `images`, `[count, features]`, and their latents, `[count, latent]`.
    ///
    /// # Errors
    /// Where the device fails.
    pub fn apply(&self, session: &mut dyn Session, images: &[f32], features: usize) -> Result<(Vec<f32>, Vec<f32>)> {
        let (mut means, mut latents) = (Vec::with_capacity(images.len()), Vec::new());
        for batch in images.chunks(self.rows * features) {
            let rows = batch.len() / features;
            let mut x = batch.to_vec(); // [rows, features]
            x.resize(self.rows * features, 0.0);
            session.write_input(self.program, "x", &x)?;
            session.run(self.program, &[Step { rows: rows as u32, ..Step::default() }])?;
            for (all, name) in [(&mut means, "mean"), (&mut latents, "latent")] {
                let values = session.read_output(self.program, name)?;
                all.extend_from_slice(&values[..values.len() / self.rows * rows]);
            }
        }
        Ok((means, latents))
    }
}
