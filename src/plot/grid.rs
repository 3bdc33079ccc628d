//! Grids of small images, grey or RGB, enlarged by a whole factor so that every pixel stays a sharp square; larger ones are
//! set in fewer columns, and averaged where that is not enough, so that a picture stays of a size that viewers open.

use std::borrow::Cow;

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

/// How wide a picture is at most; of a single image in a row, twice as wide.
const MOST_WIDTH: usize = 4096;
/// Pixels of a picture at most: it is up to 16384 high.
const MOST_PIXELS: usize = 4 * MOST_WIDTH * MOST_WIDTH;

/// Draws `images` (`[count, features]` of images of this size, 0 = black, 1 = white, clamped, NaN black; those of other than 1
/// or 3 channels as their channels side by side) as a grid with
/// `columns` columns (fewer where there are fewer images), row by row, with gaps of 1 or 2 pixels between them. Small
/// images are enlarged by a whole factor: 100 images of 28x28 in 10 columns give a picture of 582x582.
///
/// A picture is at most 4096 pixels wide (8192, where a single image of more than a line needs them) and has at most 2^26
/// pixels. Where a row would be wider it goes on below, in fewer columns; where that is not enough, each square of so many
/// pixels of an image is drawn as one, their mean.
///
/// # Errors
/// [`Error::Usage`] where there is no image, a size is 0, `images` does not hold whole images, or has so many of them that
/// they don't fit as single pixels.
pub fn grid(images: &[f32], size: ImageSize, columns: usize) -> Result<Picture> {
    let (images, size) = &panels(images, size);
    let (images, size) = (&**images, *size);
    let count = image_count("grid", images, size, columns)?;
    let asked = columns.min(count);
    let lines = |columns: usize| (count / asked) * asked.div_ceil(columns) + (count % asked).div_ceil(columns);
    let layout = Layout::find("grid", size, count, asked, false, lines)?;
    let cells: Vec<&[f32]> = images.chunks_exact(size.features()).collect();
    let rows: Vec<&[&[f32]]> = cells.chunks(asked).flat_map(|row| row.chunks(layout.columns)).collect();
    Ok(draw(&rows, size, layout))
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
    let ((originals, of_panels), (means, _)) = (panels(originals, size), panels(means, size));
    let (originals, means, size) = (&*originals, &*means, of_panels);
    let count = image_count("reconstructions", originals, size, columns)?;
    if originals.len() != means.len() {
        return Err(Error::Usage(format!(
            "reconstructions: {} values of originals, {} of means: must be equal",
            originals.len(),
            means.len()
        )));
    }
    let pairs = |columns: usize| 2 * count.div_ceil(columns);
    let layout = Layout::find("reconstructions", size, count, columns.min(count), true, pairs)?;
    let cells = |images| -> Vec<&[f32]> { <[f32]>::chunks_exact(images, size.features()).collect() };
    let (originals, means) = (cells(originals), cells(means));
    let rows = originals.chunks(layout.columns).zip(means.chunks(layout.columns)).flat_map(<[_; 2]>::from);
    Ok(draw(&rows.collect::<Vec<_>>(), size, layout))
}

/// Images whose pixels have neither 1 value nor 3 as grey ones, channel beside channel.
fn panels(images: &[f32], size: ImageSize) -> (Cow<'_, [f32]>, ImageSize) {
    let ImageSize { height, width, channels } = size;
    if matches!(channels, 0 | 1 | 3) || size.checked_features().is_none_or(|features| features == 0) {
        return (Cow::Borrowed(images), size);
    }
    let mut drawn = Vec::with_capacity(images.len());
    for line in images.chunks(width * channels) {
        for channel in 0..channels {
            drawn.extend(line.iter().skip(channel).step_by(channels));
        }
    }
    (Cow::Owned(drawn), ImageSize::grey(height, width * channels))
}

fn image_count(what: &str, images: &[f32], size: ImageSize, columns: usize) -> Result<usize> {
    let features = size.checked_features().filter(|&features| features > 0 && columns > 0);
    let features = features
        .ok_or_else(|| Error::Usage(format!("{what}: images of {size} in {columns} columns: nothing may be 0")))?;
    if images.is_empty() || !images.len().is_multiple_of(features) {
        return Err(Error::Usage(format!(
            "{what}: {} values for images of {size}: must be a multiple of {features}, and not 0",
            images.len()
        )));
    }
    Ok(images.len() / features)
}

/// Where a picture's parts lie, in pixels.
#[derive(Clone, Copy, Debug)]
struct Layout {
    /// How often a pixel of an image is repeated, in both directions.
    scale: usize,
    /// How many pixels of an image become one, in both directions.
    shrink: usize,
    /// Images a row.
    columns: usize,
    /// Of an image as it is drawn.
    width: usize,
    height: usize,
    gap: usize,
    /// Whether each second row is followed by a wider gap.
    paired: bool,
    /// Of the picture.
    full_width: usize,
    full_height: usize,
}

impl Layout {
    /// The largest that fits into a picture, of up to `asked` columns; `lines` tells how many rows so many columns make.
    fn find(
        what: &str,
        size: ImageSize,
        count: usize,
        asked: usize,
        paired: bool,
        lines: impl Fn(usize) -> usize,
    ) -> Result<Layout> {
        let enlarged = AIM.div_ceil(asked.saturating_mul(size.width)).clamp(1, MAX_SCALE);
        let scales = (1..=enlarged).rev().map(|scale| (scale, 1));
        let shrinks = (2..=size.width.max(size.height)).map(|shrink| (1, shrink));
        let mut layouts = scales.chain(shrinks).filter_map(|(scale, shrink)| {
            let (width, height) = (size.width.div_ceil(shrink) * scale, size.height.div_ceil(shrink) * scale);
            let gap = scale.min(2);
            // As few as need as many rows, so that a row is not broken into a long and a short part.
            let most = (MOST_WIDTH.saturating_sub(gap) / (width + gap)).clamp(1, asked);
            let columns = asked.div_ceil(asked.div_ceil(most));
            let full_width = columns * (width + gap) + gap;
            let widest = if columns == 1 && size.height > 1 { 2 * MOST_WIDTH } else { MOST_WIDTH };
            let mut layout = Layout { scale, shrink, columns, width, height, gap, paired, full_width, full_height: 0 };
            let last = lines(columns) - 1;
            layout.full_height = layout.top(last) + height + gap;
            let fits = full_width <= widest && layout.full_height <= MOST_PIXELS / full_width.max(MOST_WIDTH);
            fits.then_some(layout)
        });
        layouts.next().ok_or_else(|| {
            Error::Usage(format!(
                "{what}: {count} images in {asked} columns: a picture has at most {MOST_WIDTH} pixels in a row and \
                 {MOST_PIXELS} in all"
            ))
        })
    }

    /// The first line of a row.
    fn top(&self, row: usize) -> usize {
        let wider = if self.paired { 3 * (row / 2) } else { 0 };
        row * self.height + (row + 1 + wider) * self.gap
    }

    /// The first column of an image in its row.
    fn left(&self, column: usize) -> usize {
        self.gap + column * (self.width + self.gap)
    }
}

/// Paints rows of images; the last may be short.
fn draw(rows: &[&[&[f32]]], size: ImageSize, layout: Layout) -> Picture {
    let (channels, scale) = (size.channels, layout.scale);
    let mut pixels = vec![GAP_GREY; layout.full_width * layout.full_height * channels];
    for (row, images) in rows.iter().enumerate() {
        for (column, image) in images.iter().enumerate() {
            let image = averaged(image, size, layout.shrink);
            for (line, values) in image.chunks_exact(layout.width / scale * channels).enumerate() {
                for copy in 0..scale {
                    let start = (layout.top(row) + line * scale + copy) * layout.full_width + layout.left(column);
                    let target = &mut pixels[start * channels..][..layout.width * channels];
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
    let (width, height) = (layout.full_width as u32, layout.full_height as u32);
    let whole = "a picture's sides and channels are those of its pixels";
    let image = match channels {
        1 => DynamicImage::ImageLuma8(GrayImage::from_raw(width, height, pixels).expect(whole)),
        _ => DynamicImage::ImageRgb8(RgbImage::from_raw(width, height, pixels).expect(whole)),
    };
    Picture { image }
}

/// An image in which each square of `shrink` pixels a side, or what there is of it, is one: the mean of what they show.
fn averaged(image: &[f32], ImageSize { height, width, channels }: ImageSize, shrink: usize) -> Cow<'_, [f32]> {
    if shrink == 1 {
        return Cow::Borrowed(image);
    }
    let (narrow, low) = (width.div_ceil(shrink), height.div_ceil(shrink));
    let mut sums = vec![0.0; narrow * low * channels];
    for (y, line) in image.chunks_exact(width * channels).enumerate() {
        for (x, pixel) in line.chunks_exact(channels).enumerate() {
            let sum = &mut sums[(y / shrink * narrow + x / shrink) * channels..][..channels];
            sum.iter_mut()
                .zip(pixel)
                .for_each(|(sum, &value)| *sum += if value.is_nan() { 0.0 } else { value.clamp(0.0, 1.0) });
        }
    }
    let side = |at: usize, length: usize| (length - at * shrink).min(shrink);
    for (at, pixel) in sums.chunks_exact_mut(channels).enumerate() {
        let count = side(at % narrow, width) * side(at / narrow, height);
        pixel.iter_mut().for_each(|sum| *sum /= count as f32);
    }
    Cow::Owned(sums)
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
    fn other_channels_are_drawn_side_by_side() {
        let image = [0.0, 1.0, 0.25, 0.75]; // two pixels of two channels
        let size = ImageSize { channels: 2, ..ImageSize::grey(1, 2) };
        assert_eq!(panels(&image, size), (vec![0.0, 0.25, 1.0, 0.75].into(), ImageSize::grey(1, 4)));
        assert_eq!(grid(&image, size, 1).unwrap(), grid(&[0.0, 0.25, 1.0, 0.75], ImageSize::grey(1, 4), 1).unwrap());
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
    fn a_picture_is_of_bounded_size() {
        let sides = |picture: Result<Picture>| picture.map(|picture| (picture.width(), picture.height())).unwrap();
        let zeros = |count: usize, size: ImageSize| vec![0.0; count * size.features()];
        let of = |count, size, columns| sides(grid(&zeros(count, size), size, columns));
        // Fewer columns first: rows of 10 are broken into 4, 4 and 2.
        assert_eq!(of(100, ImageSize::grey(1, 1000), 10), (4 * 1001 + 1, 30 * 2 + 1));
        assert_eq!(of(15, ImageSize::grey(1, 1000), 10), (4 * 1001 + 1, 5 * 2 + 1));
        // Then means of 25 values.
        assert_eq!(of(100, ImageSize::grey(1, 100_000), 10), (4002, 100 * 2 + 1));
        // A photograph stays as it is where it can, and is halved where it can't.
        assert_eq!(of(1, ImageSize::grey(3000, 6000), 1), (6002, 3002));
        assert_eq!(of(2, ImageSize::grey(8000, 100), 1), (102, 16003));
        assert_eq!(of(3, ImageSize::grey(8000, 100), 1), (52, 12004));
        let rgb = ImageSize { channels: 3, ..ImageSize::grey(1, 5000) };
        assert_eq!(of(4, rgb, 4), (2502, 9));
        // Many rows of small images are enlarged less.
        assert_eq!(of(1000, ImageSize::grey(8, 8), 1), (10, 9001));
        let size = ImageSize::grey(1, 3000);
        let pairs = zeros(16, size);
        assert_eq!(sides(reconstructions(&pairs, &pairs, size, 16)), (3002, 32 + 33 + 3 * 15));
        assert!(matches!(grid(&zeros(9000, ImageSize::grey(1, 1)), ImageSize::grey(1, 1), 1), Err(Error::Usage(_))));
    }

    #[test]
    fn large_images_are_drawn_as_means() {
        let size = ImageSize { channels: 3, ..ImageSize::grey(2, 3) };
        let colour = |grey: f32| [grey, 1.0 - grey, 9.0];
        let image = [0.0, 0.5, 1.0, 0.5, f32::NAN, 0.5].map(colour).concat();
        let wanted = [[0.25, 0.5, 1.0], [0.75, 0.25, 1.0]].concat();
        assert_eq!(*averaged(&image, size, 2), wanted);

        // Means of three, of values that alternate and of ones.
        let values: Vec<f32> = (0..3 * 8192).map(|at| if at < 16384 { (at % 2) as f32 } else { 1.0 }).collect();
        let picture = grid(&values, ImageSize::grey(1, 8192), 3).unwrap();
        assert_eq!((picture.width(), picture.height()), (2733, 7));
        for (y, wanted) in [(1, 85..=170), (3, 85..=170), (5, 255..=255)] {
            assert!((1..2731).all(|x| wanted.contains(&pixel(&picture, x, y))), "{y}");
        }
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
