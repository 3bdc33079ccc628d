//! Pictures of where a model's reconstructions differ from their images, for examples that scored high.

use super::ModelInput;
use super::generate::Reconstructor;
use crate::backend::Session;
use crate::config::TrainConfig;
use crate::data::Images;
use crate::error::Result;
use crate::models::{Model, Output};
use crate::plan::Options;
use crate::plot::{Picture, error_map, squared_errors};

/// Images that are decoded at a time.
const ROWS: usize = 100;

/// An example's image as a model is shown it outside training, and decoded from its code: `[features]` each.
struct Pair<'a> {
    position: usize,
    image: &'a [f32],
    reconstruction: &'a [f32],
}

/// The maps of some examples, drawn part by part, so that not all are in memory.
#[derive(Debug)]
pub struct Maps<'a> {
    model: &'a Model,
    config: &'a TrainConfig,
    images: &'a Images,
    reconstructor: Reconstructor,
}

impl<'a> Maps<'a> {
    /// Loads the program on a session that holds the model's parameters.
    ///
    /// # Errors
    /// [`Error::Usage`](crate::Error::Usage) where the model has no encoder, else those of [`Session::load`].
    pub fn load(
        session: &mut dyn Session,
        model: &'a Model,
        config: &'a TrainConfig,
        images: &'a Images,
        options: Options,
    ) -> Result<Maps<'a>> {
        let rows = ROWS.min(images.count());
        Ok(Maps { model, config, images, reconstructor: Reconstructor::load(session, model, rows, options)? })
    }

    /// Draws the examples at these positions, and gives each picture with its position to `picture`: image, reconstruction
    /// and squared error a pixel, of which white is the largest of all of them. Returns that.
    ///
    /// # Errors
    /// Where the device fails, or `picture`.
    pub fn draw(
        &self,
        session: &mut dyn Session,
        positions: &[usize],
        mut picture: impl FnMut(usize, Picture) -> Result<()>,
    ) -> Result<f32> {
        let (size, output) = (self.images.size, self.model.config().output);
        let (mut most, mut range) = (0.0_f32, [f32::INFINITY, f32::NEG_INFINITY]);
        self.each(session, positions, |pair| {
            let errors = squared_errors(pair.image, pair.reconstruction, size.channels);
            most = errors.into_iter().fold(most, f32::max);
            range = pair
                .image
                .iter()
                .chain(pair.reconstruction)
                .fold(range, |[least, largest], &value| [least.min(value), largest.max(value)]);
            Ok(())
        })?;
        let range = if output == Output::Sigmoid { [0.0, 1.0] } else { range };
        self.each(session, positions, |pair| {
            picture(pair.position, error_map(pair.image, pair.reconstruction, size, range, most)?)
        })?;
        Ok(most)
    }

    fn each(
        &self,
        session: &mut dyn Session,
        positions: &[usize],
        mut f: impl FnMut(Pair<'_>) -> Result<()>,
    ) -> Result<()> {
        let features = self.images.features();
        for some in positions.chunks(ROWS) {
            let images = self.images.select(some);
            let shown = images.shown(0..some.len(), self.config.binarise)?; // [some, features]
            let decoded = self.reconstructor.apply(session, &shown, &images.conditions(0..some.len()))?; // [some, features]
            let pairs = shown.chunks(features).zip(decoded.chunks(features));
            for (&position, (image, reconstruction)) in some.iter().zip(pairs) {
                f(Pair { position, image, reconstruction })?;
            }
        }
        Ok(())
    }
}
