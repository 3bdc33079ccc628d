//! The size of an image.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Rows, columns and channels of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImageSize {
    /// Rows of pixels.
    pub height: usize,
    /// Pixels in a row.
    pub width: usize,
    /// Values in a pixel: 1 (grey), 3 (red, green, blue), or any number up to [`ImageSize::MOST_CHANNELS`].
    pub channels: usize,
}

impl ImageSize {
    /// The most values in a pixel.
    pub const MOST_CHANNELS: usize = 16;

    /// Height, width and channels.
    pub fn extents(&self) -> [usize; 3] {
        [self.height, self.width, self.channels]
    }

    /// Grey images.
    pub fn grey(height: usize, width: usize) -> ImageSize {
        ImageSize { height, width, channels: 1 }
    }

    /// Examples of `features` values that are no images: shown as grey squares where that is a square number, else as one
    /// row of pixels.
    pub fn of_features(features: usize) -> ImageSize {
        let side = features.isqrt();
        if side * side == features { ImageSize::grey(side, side) } else { ImageSize::grey(1, features) }
    }

    /// Values in an image.
    pub fn features(&self) -> usize {
        self.height * self.width * self.channels
    }

    /// [`ImageSize::features`] of sizes that may be too large to count.
    pub fn checked_features(&self) -> Option<usize> {
        self.height.checked_mul(self.width)?.checked_mul(self.channels)
    }
}

/// `28x28`, `64x64 RGB`.
impl fmt::Display for ImageSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ImageSize { height, width, channels } = self;
        match channels {
            1 => write!(f, "{height}x{width}"),
            3 => write!(f, "{height}x{width} RGB"),
            _ => write!(f, "{height}x{width}x{channels}"),
        }
    }
}
