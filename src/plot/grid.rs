//! Grids of small images, grey or RGB, enlarged by a whole factor so that every pixel stays a sharp square.

use image::{DynamicImage, GrayImage, RgbImage};

use crate::data::ImageSize;
use crate::error::{Error, Result};
use crate::plot::Picture;

/// Images are enlarged until they are this wide together, in pixels.
const AIM: usize = 560;
/// The most that a pixel is enlarged: single digits need not fill the screen.
const MAX_SCALE: usize = 8;
/// Grey of the gaps, apart from both black and white pixels.
const GAP_GREY: u8 = 96;

/// Draws `images` (`[count, features]` of images of this size, 0 = black, 1 = white, clamped, NaN black) as a grid with
/// `columns` columns (fewer where there are fewer images), row by row, with gaps of 1 or 2 pixels between them. Small
/// images are enlarged by a whole factor: 100 images of 28x28 in 10 columns give a picture of 582x582.
///
/// # Errors
/// [`Error::Usage`] where there is no image, a size is 0, `images` does not hold whole images, or the picture would be
/// wider or higher than 2^31 pixels.
pub fn grid(images: &[f32], size: ImageSize, columns: usize) -> Result<Picture> {
    let count = image_count("grid", images, size, columns)?;
    let columns = columns.min(count);
    let cells: Vec<Vec<&[f32]>> =
        images.chunks_exact(size.features()).collect::<Vec<_>>().chunks(columns).map(<[_]>::to_vec).collect();
    draw(&cells, size, columns, |_| 1)
}

/// A [`grid`] of values of any range: the smallest is black, the largest white.
///
/// # Errors
/// Those of [`grid`].
pub fn grid_scaled(images: &[f32], size: ImageSize, columns: usize) -> Result<Picture> {
    let finite = || images.iter().copied().filter(|value| value.is_finite());
    let (least, most) = (finite().fold(f32::INFINITY, f32::min), finite().fold(f32::NEG_INFINITY, f32::max));
    let span = if most > least { most - least } else { 1.0 };
    let scaled: Vec<f32> = images.iter().map(|value| (value - least) / span).collect();
    grid(&scaled, size, columns)
}

/// Draws originals above their reconstructions, in pairs of rows with a wider gap after each pair; both are
/// `[count, features]` as in [`grid`].
///
/// # Errors
/// As [`grid`], and [`Error::Usage`] where the two differ in length.
pub fn reconstructions(originals: &[f32], means: &[f32], size: ImageSize, columns: usize) -> Result<Picture> {
    let count = image_count("reconstructions", originals, size, columns)?;
    if originals.len() != means.len() {
        return Err(Error::Usage(format!(
            "reconstructions: {} values of originals, {} of means: must be equal",
            originals.len(),
            means.len()
        )));
    }
    let columns = columns.min(count);
    let rows = |images| -> Vec<Vec<&[f32]>> {
        let images: Vec<&[f32]> = <[f32]>::chunks_exact(images, size.features()).collect();
        images.chunks(columns).map(<[_]>::to_vec).collect()
    };
    let pairs: Vec<Vec<&[f32]>> = rows(originals).into_iter().zip(rows(means)).flat_map(<[_; 2]>::from).collect();
    draw(&pairs, size, columns, |row| if row % 2 == 1 { 4 } else { 1 })
}

fn image_count(what: &str, images: &[f32], size: ImageSize, columns: usize) -> Result<usize> {
    let features = size.checked_features().filter(|&features| features > 0 && columns > 0);
    let features = features.filter(|_| [1, 3].contains(&size.channels)).ok_or_else(|| {
        Error::Usage(format!(
            "{what}: images of {size} in {columns} columns: nothing may be 0, and a pixel has 1 value or 3"
        ))
    })?;
    if images.is_empty() || !images.len().is_multiple_of(features) {
        return Err(Error::Usage(format!(
            "{what}: {} values for images of {size}: must be a multiple of {features}, and not 0",
            images.len()
        )));
    }
    Ok(images.len() / features)
}

/// Paints rows of cells; `gaps_after(row)` tells how many gaps follow that row. The last row may be short.
fn draw(
    rows: &[Vec<&[f32]>],
    ImageSize { height, width, channels }: ImageSize,
    columns: usize,
    gaps_after: impl Fn(usize) -> usize,
) -> Result<Picture> {
    let scale = AIM.div_ceil(columns * width).clamp(1, MAX_SCALE);
    let gap = scale.min(2);
    let mut tops = Vec::with_capacity(rows.len()); // y of each row's first pixel
    let mut y = gap;
    for row in 0..rows.len() {
        tops.push(y);
        let gaps = if row + 1 == rows.len() { 1 } else { gaps_after(row) };
        y += height * scale + gap * gaps;
    }
    let full_width = columns * (width * scale + gap) + gap;
    let side = |pixels: usize| u32::try_from(pixels).ok().filter(|&pixels| pixels < 1 << 31);
    let (Some(picture_width), Some(picture_height)) = (side(full_width), side(y)) else {
        return Err(Error::Usage(format!("a grid of {full_width}x{y} pixels: no side may reach 2^31 pixels")));
    };

    let mut pixels = vec![GAP_GREY; full_width * y * channels];
    for (row, &top) in rows.iter().zip(&tops) {
        for (column, image) in row.iter().enumerate() {
            let left = gap + column * (width * scale + gap);
            for (line, values) in image.chunks_exact(width * channels).enumerate() {
                for copy in 0..scale {
                    let start = ((top + line * scale + copy) * full_width + left) * channels;
                    let target = &mut pixels[start..start + width * scale * channels];
                    for (block, values) in target.chunks_exact_mut(scale * channels).zip(values.chunks_exact(channels))
                    {
                        for pixel in block.chunks_exact_mut(channels) {
                            pixel.iter_mut().zip(values).for_each(|(to, &value)| *to = brightness(value));
                        }
                    }
                }
            }
        }
    }
    let whole = "a picture's sides and channels are those of its pixels";
    let image = match channels {
        1 => DynamicImage::ImageLuma8(GrayImage::from_raw(picture_width, picture_height, pixels).expect(whole)),
        _ => DynamicImage::ImageRgb8(RgbImage::from_raw(picture_width, picture_height, pixels).expect(whole)),
    };
    Ok(Picture { image })
}

/// 0..=1 to 0..=255; NaN becomes 0.
fn brightness(value: f32) -> u8 {
    (value.clamp(0.0, 1.0) * 255.0).round() as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pixel(picture: &Picture, x: u32, y: u32) -> u8 {
        picture.image.as_luma8().unwrap().get_pixel(x, y).0[0]
    }

    #[test]
    fn digits_in_ten_columns_are_about_600_pixels_wide() {
        let picture = grid(&vec![0.0; 100 * 784], ImageSize::grey(28, 28), 10).unwrap();
        assert_eq!((picture.width(), picture.height()), (582, 582));
        let big = grid(&vec![0.0; 2 * 300 * 400], ImageSize::grey(300, 400), 2).unwrap();
        assert_eq!((big.width(), big.height()), (803, 302)); // not enlarged, gaps of 1
    }

    #[test]
    fn scaled_values_span_black_to_white() {
        let picture = grid_scaled(&[-3.0, 5.0, 1.0, f32::NAN], ImageSize::grey(1, 2), 2).unwrap();
        assert_eq!([2, 10, 20, 28].map(|x| pixel(&picture, x, 5)), [0, 255, 128, 0]);
        assert!(grid_scaled(&[2.0, 2.0], ImageSize::grey(1, 2), 1).is_ok());
    }

    #[test]
    fn values_land_where_they_belong() {
        // Two images of 1x2, enlarged 8 times, gaps of 2.
        let picture = grid(&[0.0, 1.0, 0.5, f32::NAN], ImageSize::grey(1, 2), 2).unwrap();
        assert_eq!((picture.width(), picture.height()), (2 + 16 + 2 + 16 + 2, 2 + 8 + 2));
        assert_eq!([0, 1, 2, 9, 10, 17, 18].map(|x| pixel(&picture, x, 5)), [96, 96, 0, 0, 255, 255, 96]);
        assert_eq!([20, 27, 28, 35].map(|x| pixel(&picture, x, 9)), [128, 128, 0, 0]);
        assert_eq!(pixel(&picture, 20, 10), 96);
        assert_eq!([-3.0, f32::INFINITY, f32::NEG_INFINITY, 0.999].map(brightness), [0, 255, 0, 255]);
    }

    #[test]
    fn colours_stay_together() {
        let size = ImageSize { channels: 3, ..ImageSize::grey(1, 2) };
        let picture = grid(&[1.0, 0.0, 0.5, 0.0, 1.0, 0.0], size, 1).unwrap();
        let colour = |x| picture.image.as_rgb8().unwrap().get_pixel(x, 5).0;
        assert_eq!([2, 9, 10, 18].map(colour), [[255, 0, 128], [255, 0, 128], [0, 255, 0], [GAP_GREY; 3]]);
    }

    #[test]
    fn originals_stand_above_their_means() {
        let (originals, means) = ([0.0, 0.2, 0.4], [0.6, 0.8, 1.0]); // three images of 1x1 in two columns
        let picture = reconstructions(&originals, &means, ImageSize::grey(1, 1), 2).unwrap();
        let tops = [2, 12, 28, 38]; // 8 pixels and a gap; after a pair 4 gaps
        assert_eq!(tops.map(|y| pixel(&picture, 2, y)), [0, 153, 102, 255]);
        assert_eq!(tops.map(|y| pixel(&picture, 12, y)), [51, 204, GAP_GREY, GAP_GREY]);
        assert_eq!(picture.height(), 48);
    }

    #[test]
    fn what_is_no_grid_is_refused() {
        for (values, height, width, columns) in [(0, 2, 2, 1), (5, 2, 2, 1), (4, 0, 2, 1), (4, 2, 2, 0)] {
            let refused = grid(&vec![0.0; values], ImageSize::grey(height, width), columns);
            assert!(matches!(refused, Err(Error::Usage(_))), "{values} {height} {width} {columns}");
        }
        assert!(matches!(grid(&[0.0; 4], ImageSize::grey(usize::MAX, 2), 1), Err(Error::Usage(_))));
        assert!(reconstructions(&[0.0; 4], &[0.0; 8], ImageSize::grey(2, 2), 1).is_err());
    }
}
