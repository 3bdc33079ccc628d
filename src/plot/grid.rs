//! Grids of small grey images, enlarged by a whole factor so that every pixel stays a sharp square.

use image::{DynamicImage, GrayImage};

use crate::error::{Error, Result};
use crate::plot::Picture;

/// Images are enlarged until they are this wide together, in pixels.
const AIM: usize = 560;
/// The most that a pixel is enlarged: single digits need not fill the screen.
const MAX_SCALE: usize = 8;
/// Grey of the gaps, apart from both black and white pixels.
const GAP_GREY: u8 = 96;

/// Draws `images` (`[count, height * width]`, row-major, 0 = black, 1 = white, clamped, NaN black) as a grid with
/// `columns` columns (fewer where there are fewer images), row by row, with gaps of 1 or 2 pixels between them. Small
/// images are enlarged by a whole factor: 100 images of 28x28 in 10 columns give a picture of 582x582.
///
/// # Errors
/// [`Error::Usage`] where there is no image, a size is 0, `images` does not hold whole images, or the picture would be
/// wider or higher than 2^31 pixels.
pub fn grid(images: &[f32], height: usize, width: usize, columns: usize) -> Result<Picture> {
    let count = image_count("grid", images, height, width, columns)?;
    let columns = columns.min(count);
    let cells: Vec<Vec<&[f32]>> =
        images.chunks_exact(height * width).collect::<Vec<_>>().chunks(columns).map(<[_]>::to_vec).collect();
    draw(&cells, height, width, columns, |_| 1)
}

/// A [`grid`] of values of any range: the smallest is black, the largest white.
///
/// # Errors
/// Those of [`grid`].
pub fn grid_scaled(images: &[f32], height: usize, width: usize, columns: usize) -> Result<Picture> {
    let finite = || images.iter().copied().filter(|value| value.is_finite());
    let (least, most) = (finite().fold(f32::INFINITY, f32::min), finite().fold(f32::NEG_INFINITY, f32::max));
    let span = if most > least { most - least } else { 1.0 };
    let scaled: Vec<f32> = images.iter().map(|value| (value - least) / span).collect();
    grid(&scaled, height, width, columns)
}

/// Draws originals above their reconstructions, in pairs of rows with a wider gap after each pair; both are
/// `[count, height * width]` as in [`grid`].
///
/// # Errors
/// As [`grid`], and [`Error::Usage`] where the two differ in length.
pub fn reconstructions(
    originals: &[f32],
    means: &[f32],
    height: usize,
    width: usize,
    columns: usize,
) -> Result<Picture> {
    let count = image_count("reconstructions", originals, height, width, columns)?;
    if originals.len() != means.len() {
        return Err(Error::Usage(format!(
            "reconstructions: {} values of originals, {} of means: must be equal",
            originals.len(),
            means.len()
        )));
    }
    let columns = columns.min(count);
    let rows = |images| -> Vec<Vec<&[f32]>> {
        let images: Vec<&[f32]> = <[f32]>::chunks_exact(images, height * width).collect();
        images.chunks(columns).map(<[_]>::to_vec).collect()
    };
    let pairs: Vec<Vec<&[f32]>> = rows(originals).into_iter().zip(rows(means)).flat_map(<[_; 2]>::from).collect();
    draw(&pairs, height, width, columns, |row| if row % 2 == 1 { 4 } else { 1 })
}

fn image_count(what: &str, images: &[f32], height: usize, width: usize, columns: usize) -> Result<usize> {
    let features = height.checked_mul(width).filter(|&features| features > 0 && columns > 0).ok_or_else(|| {
        Error::Usage(format!("{what}: images of {height}x{width} in {columns} columns: none of the three may be 0"))
    })?;
    if images.is_empty() || !images.len().is_multiple_of(features) {
        return Err(Error::Usage(format!(
            "{what}: {} values for images of {height}x{width}: must be a multiple of {features}, and not 0",
            images.len()
        )));
    }
    Ok(images.len() / features)
}

/// Paints rows of cells; `gaps_after(row)` tells how many gaps follow that row. The last row may be short.
fn draw(
    rows: &[Vec<&[f32]>],
    height: usize,
    width: usize,
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

    let mut pixels = vec![GAP_GREY; full_width * y];
    for (row, &top) in rows.iter().zip(&tops) {
        for (column, image) in row.iter().enumerate() {
            let left = gap + column * (width * scale + gap);
            for (line, values) in image.chunks_exact(width).enumerate() {
                for copy in 0..scale {
                    let start = (top + line * scale + copy) * full_width + left;
                    let target = &mut pixels[start..start + width * scale];
                    for (block, &value) in target.chunks_exact_mut(scale).zip(values) {
                        block.fill(grey(value));
                    }
                }
            }
        }
    }
    let image = GrayImage::from_raw(picture_width, picture_height, pixels).expect("one byte a pixel");
    Ok(Picture { image: DynamicImage::ImageLuma8(image) })
}

/// 0..=1 to 0..=255; NaN becomes 0.
fn grey(value: f32) -> u8 {
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
        let picture = grid(&vec![0.0; 100 * 784], 28, 28, 10).unwrap();
        assert_eq!((picture.width(), picture.height()), (582, 582));
        let big = grid(&vec![0.0; 2 * 300 * 400], 300, 400, 2).unwrap();
        assert_eq!((big.width(), big.height()), (803, 302)); // not enlarged, gaps of 1
    }

    #[test]
    fn scaled_values_span_black_to_white() {
        let picture = grid_scaled(&[-3.0, 5.0, 1.0, f32::NAN], 1, 2, 2).unwrap();
        assert_eq!([2, 10, 20, 28].map(|x| pixel(&picture, x, 5)), [0, 255, 128, 0]);
        assert!(grid_scaled(&[2.0, 2.0], 1, 2, 1).is_ok());
    }

    #[test]
    fn values_land_where_they_belong() {
        // Two images of 1x2, enlarged 8 times, gaps of 2.
        let picture = grid(&[0.0, 1.0, 0.5, f32::NAN], 1, 2, 2).unwrap();
        assert_eq!((picture.width(), picture.height()), (2 + 16 + 2 + 16 + 2, 2 + 8 + 2));
        assert_eq!([0, 1, 2, 9, 10, 17, 18].map(|x| pixel(&picture, x, 5)), [96, 96, 0, 0, 255, 255, 96]);
        assert_eq!([20, 27, 28, 35].map(|x| pixel(&picture, x, 9)), [128, 128, 0, 0]);
        assert_eq!(pixel(&picture, 20, 10), 96);
        assert_eq!([grey(-3.0), grey(f32::INFINITY), grey(f32::NEG_INFINITY), grey(0.999)], [0, 255, 0, 255]);
    }

    #[test]
    fn originals_stand_above_their_means() {
        let (originals, means) = ([0.0, 0.2, 0.4], [0.6, 0.8, 1.0]); // three images of 1x1 in two columns
        let picture = reconstructions(&originals, &means, 1, 1, 2).unwrap();
        let tops = [2, 12, 28, 38]; // 8 pixels and a gap; after a pair 4 gaps
        assert_eq!(tops.map(|y| pixel(&picture, 2, y)), [0, 153, 102, 255]);
        assert_eq!(tops.map(|y| pixel(&picture, 12, y)), [51, 204, GAP_GREY, GAP_GREY]);
        assert_eq!(picture.height(), 48);
    }

    #[test]
    fn what_is_no_grid_is_refused() {
        for (values, height, width, columns) in [(0, 2, 2, 1), (5, 2, 2, 1), (4, 0, 2, 1), (4, 2, 2, 0)] {
            let refused = grid(&vec![0.0; values], height, width, columns);
            assert!(matches!(refused, Err(Error::Usage(_))), "{values} {height} {width} {columns}");
        }
        assert!(matches!(grid(&[0.0; 4], usize::MAX, 2, 1), Err(Error::Usage(_))));
        assert!(reconstructions(&[0.0; 4], &[0.0; 8], 2, 2, 1).is_err());
    }
}
