//! Where a reconstruction differs from its image: both, and the squared error a pixel, side by side.

use super::{Picture, grid};
use crate::data::ImageSize;
use crate::error::Result;

/// The squared error of each pixel, `[height width]`: the mean over its channels of the squared difference.
pub fn squared_errors(image: &[f32], reconstruction: &[f32], channels: usize) -> Vec<f32> {
    let of_pixel =
        |(x, y): (&[f32], &[f32])| x.iter().zip(y).map(|(x, y)| (x - y).powi(2)).sum::<f32>() / channels as f32;
    image.chunks(channels.max(1)).zip(reconstruction.chunks(channels.max(1))).map(of_pixel).collect()
}

/// Draws an image and its reconstruction, `[features]` each, and [`squared_errors`]: 0 is black and `most` is white. Of the
/// values of both, the first of `range` is black and the second white.
///
/// # Errors
/// Those of [`grid`].
pub fn error_map(
    image: &[f32],
    reconstruction: &[f32],
    size: ImageSize,
    range: [f32; 2],
    most: f32,
) -> Result<Picture> {
    let [black, white] = range;
    let scaled = |value: &f32| (value - black) / if white > black { white - black } else { 1.0 };
    let errors = squared_errors(image, reconstruction, size.channels);
    let errors = errors.iter().flat_map(|error| {
        let share = if most > 0.0 { error / most } else { 0.0 };
        std::iter::repeat_n(share, size.channels)
    });
    let cells: Vec<f32> = image.iter().chain(reconstruction).map(scaled).chain(errors).collect();
    grid(&cells, size, 3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_means_over_channels() {
        assert_eq!(squared_errors(&[0.0, 1.0], &[0.5, 1.0], 1), [0.25, 0.0]);
        assert_eq!(squared_errors(&[0.0, 1.0, 0.0, 0.0], &[1.0, 1.0, 0.0, 0.5], 2), [0.5, 0.125]);
    }

    #[test]
    fn image_reconstruction_and_error_stand_side_by_side() {
        let size = ImageSize::grey(1, 2);
        let picture = error_map(&[1.0, 0.0], &[0.5, 0.0], size, [0.0, 1.0], 0.5).unwrap();
        assert_eq!(picture, grid(&[1.0, 0.0, 0.5, 0.0, 0.5, 0.0], size, 3).unwrap());
        let wide = error_map(&[3.0, -1.0], &[1.0, -1.0], size, [-1.0, 3.0], 4.0).unwrap();
        assert_eq!(wide, grid(&[1.0, 0.0, 0.5, 0.0, 1.0, 0.0], size, 3).unwrap());
        let colour = ImageSize { channels: 3, ..ImageSize::grey(1, 1) };
        let cells = [1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0];
        let red = error_map(&[1.0, 0.0, 0.0], &[0.0; 3], colour, [0.0, 1.0], 1.0 / 3.0).unwrap();
        assert_eq!(red, grid(&cells, colour, 3).unwrap());
        assert!(error_map(&[1.0, 0.0], &[1.0, 0.0], size, [0.0, 1.0], 0.0).is_ok());
    }
}
