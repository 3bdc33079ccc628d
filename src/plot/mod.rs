//! Pictures of a run: image grids, loss curves, latent maps.
//!
//! Everything is drawn into memory and encoded as PNG; text is set in a font the binary carries, so a picture is the
//! same on every machine. Drawing never fails for what the numbers are: plots leave non-finite ones out, grids clamp
//! them (NaN is black), and empty or constant data gives plain axes.

mod axis;
mod canvas;
mod curves;
mod error_map;
mod grid;
mod latent;

use std::io::Cursor;
use std::path::Path;

pub use curves::{Curve, loss_curve};
pub use error_map::{error_map, squared_errors};
pub use grid::{grid, grid_scaled, reconstructions};
use image::{DynamicImage, ImageFormat};
pub use latent::{latent_map, source_map};

use crate::error::{Error, Result};
use crate::files::write_atomic;

/// A finished picture: grey for grids of grey images, colour for the rest.
#[derive(Clone, Debug, PartialEq)]
pub struct Picture {
    image: DynamicImage,
}

impl Picture {
    /// Width in pixels.
    pub fn width(&self) -> u32 {
        self.image.width()
    }

    /// Height in pixels.
    pub fn height(&self) -> u32 {
        self.image.height()
    }

    /// Values a pixel: 1 where it is grey, 3 where it has colours.
    pub fn channels(&self) -> u8 {
        self.image.color().channel_count()
    }

    /// The picture as the bytes of a PNG file.
    ///
    /// # Errors
    /// [`Error::Io`] where the encoder fails.
    pub fn png(&self) -> Result<Vec<u8>> {
        let mut bytes = Cursor::new(Vec::new());
        match self.image.write_to(&mut bytes, ImageFormat::Png) {
            Ok(()) => Ok(bytes.into_inner()),
            Err(error) => Err(Error::io("encoding", Path::new("PNG"))(std::io::Error::other(error))),
        }
    }

    /// Writes the picture as a PNG file, in one step: a reader sees the old picture or the new one.
    ///
    /// # Errors
    /// [`Error::Io`] that names `path`; its folder must exist.
    pub fn save(&self, path: &Path) -> Result<()> {
        write_atomic(path, &self.png()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_saved_picture_decodes_to_the_same_pixels() {
        let picture = grid(&[0.0, 0.25, 0.5, 1.0], crate::data::ImageSize::grey(2, 2), 1).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("samples.png");
        picture.save(&path).unwrap();
        let read = image::load_from_memory(&std::fs::read(&path).unwrap()).unwrap();
        assert_eq!(read, picture.image);
        assert_eq!((read.width(), read.height()), (picture.width(), picture.height()));

        let error = picture.save(&folder.path().join("missing/samples.png")).unwrap_err();
        assert!(error.to_string().contains("samples.png"), "{error}");
    }
}
