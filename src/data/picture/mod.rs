//! One image file, as its pages: turned as its metadata says, laid over a background, resized, in its own bit depth.
//!
//! A TIFF's pages, an animation's frames (GIF, WebP, PNG) are pictures each. What the decoders of the crate `image` pass
//! over in silence is found here: the JPEG that breaks off, the pages after the first.

mod background;
mod jpeg;
mod tiff;
mod webp;

use std::io::Cursor;
use std::path::Path;

use image::codecs::gif::GifDecoder;
use image::codecs::png::PngDecoder;
use image::codecs::webp::WebPDecoder;
use image::imageops::FilterType;
use image::metadata::Orientation;
use image::{AnimationDecoder, DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader, Limits};

pub use background::Background;

use super::ImageSize;
use super::numbers::Numbers;

/// Bytes that one file's pictures may have in memory: a header may claim anything. Between the two limits it is so many
/// times the file's length, which is more than any format but WebP packs into a byte.
const LEAST_BYTES: u64 = 1 << 26;
const MOST_BYTES: u64 = 1 << 30;
const PACKED: u64 = 1 << 13;

/// White in bytes, in 16 bits, and in real numbers.
pub(super) const WHITE_8: f64 = 255.0;
pub(super) const WHITE_16: f64 = 65_535.0;
pub(super) const WHITE_REAL: f64 = 1.0;

/// How files are read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Options {
    /// Height and width of every picture; its own where there is none.
    pub(super) size: Option<(usize, usize)>,
    /// What lies behind transparent pixels.
    pub(super) background: Background,
}

/// A picture.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Picture {
    /// Grey or RGB, as the file is.
    pub(super) size: ImageSize,
    /// Bytes or floats.
    pub(super) values: Numbers,
    /// The value of white: [`WHITE_8`], [`WHITE_16`] or [`WHITE_REAL`].
    pub(super) white: f64,
}

/// What a file holds, and what was done to it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Pages {
    pub(super) pictures: Vec<Picture>,
    /// It was stored turned or mirrored.
    pub(super) turned: bool,
    /// It has pixels that the background shows through.
    pub(super) transparent: bool,
    /// Smaller copies of pages that are left out.
    pub(super) reduced: usize,
}

impl Options {
    /// Reads a file.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn read(&self, path: &Path) -> Result<Pages, String> {
        let bytes = std::fs::read(path).map_err(|error| format!("it can't be read: {error}"))?;
        let format = image::guess_format(&bytes).or_else(|_| ImageFormat::from_path(path)).map_err(unreadable)?;
        let most = (bytes.len() as u64).saturating_mul(PACKED).clamp(LEAST_BYTES, MOST_BYTES);
        let mut pages = Pages { pictures: Vec::new(), turned: false, transparent: false, reduced: 0 };
        match format {
            ImageFormat::Tiff => {
                let (images, reduced) = tiff::pages(&bytes, most, |page| one(page, format, most))?;
                pages.reduced = reduced;
                images.into_iter().try_for_each(|(image, orientation)| self.add(&mut pages, image, orientation))?;
            }
            _ => {
                if format == ImageFormat::Jpeg {
                    jpeg::check_whole(&bytes)?;
                }
                let bytes = if format == ImageFormat::WebP { webp::container(&bytes)? } else { &bytes };
                match frames(bytes, format, most)? {
                    Some(frames) => {
                        frames.into_iter().try_for_each(|image| self.add(&mut pages, image, Orientation::NoTransforms))
                    }
                    None => {
                        let (image, orientation) = one(bytes, format, most)?;
                        self.add(&mut pages, image, orientation)
                    }
                }?;
            }
        }
        Ok(pages)
    }

    fn add(&self, pages: &mut Pages, mut image: DynamicImage, orientation: Orientation) -> Result<(), String> {
        let (height, width) = (image.height(), image.width());
        if height == 0 || width == 0 {
            return Err(format!("it is an image of {height}x{width} pixels: neither may be 0"));
        }
        image.apply_orientation(orientation);
        let (image, transparent) = self.background.behind(image);
        let image = match self.size {
            Some((height, width)) => image.resize_exact(width as u32, height as u32, FilterType::Triangle),
            None => image,
        };
        pages.turned |= orientation != Orientation::NoTransforms;
        pages.transparent |= transparent;
        pages.pictures.push(Picture::of(image));
        Ok(())
    }
}

impl Picture {
    /// An opaque image's pixels.
    fn of(image: DynamicImage) -> Picture {
        let (height, width) = (image.height() as usize, image.width() as usize);
        let size = |channels| ImageSize { height, width, channels };
        let words = |words: Vec<u16>| Numbers::Floats(words.into_iter().map(f32::from).collect());
        let (channels, values, white) = match image {
            DynamicImage::ImageLuma8(image) => (1, Numbers::Bytes(image.into_raw()), WHITE_8),
            DynamicImage::ImageLuma16(image) => (1, words(image.into_raw()), WHITE_16),
            DynamicImage::ImageRgb16(image) => (3, words(image.into_raw()), WHITE_16),
            // Grey reals come as three channels that say the same.
            DynamicImage::ImageRgb32F(image) if image.pixels().all(|pixel| pixel.0 == [pixel.0[0]; 3]) => {
                (1, Numbers::Floats(image.pixels().map(|pixel| pixel.0[0]).collect()), WHITE_REAL)
            }
            DynamicImage::ImageRgb32F(image) => (3, Numbers::Floats(image.into_raw()), WHITE_REAL),
            image => (3, Numbers::Bytes(image.into_rgb8().into_raw()), WHITE_8),
        };
        Picture { size: size(channels), values, white }
    }
}

/// The only image of a file, or its first, and how it is turned.
fn one(bytes: &[u8], format: ImageFormat, most: u64) -> Result<(DynamicImage, Orientation), String> {
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    reader.limits(limits(most));
    let mut decoder = reader.into_decoder().map_err(unreadable)?;
    check_claim(&decoder, bytes.len(), most)?;
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    Ok((DynamicImage::from_decoder(decoder).map_err(unreadable)?, orientation))
}

/// The frames of an animation; none where the file is no animation.
fn frames(bytes: &[u8], format: ImageFormat, most: u64) -> Result<Option<Vec<DynamicImage>>, String> {
    let reader = Cursor::new(bytes);
    let limited = |mut decoder: WebPDecoder<_>| {
        decoder.set_limits(limits(most))?;
        Ok(decoder)
    };
    let mut is_grey = false;
    let frames = match format {
        ImageFormat::Gif => {
            let mut decoder = GifDecoder::new(reader).map_err(unreadable)?;
            decoder.set_limits(limits(most)).map_err(unreadable)?;
            check_claim(&decoder, bytes.len(), most)?;
            decoder.into_frames()
        }
        ImageFormat::WebP => {
            let decoder = WebPDecoder::new(reader).and_then(limited).map_err(unreadable)?;
            check_claim(&decoder, bytes.len(), most)?;
            if !decoder.has_animation() {
                return Ok(None);
            }
            decoder.into_frames()
        }
        ImageFormat::Png => {
            let decoder = PngDecoder::with_limits(reader, limits(most)).map_err(unreadable)?;
            check_claim(&decoder, bytes.len(), most)?;
            if !decoder.is_apng().map_err(unreadable)? {
                return Ok(None);
            }
            is_grey = !decoder.color_type().has_color();
            decoder.apng().map_err(unreadable)?.into_frames()
        }
        _ => return Ok(None),
    };
    let (mut images, mut taken) = (Vec::new(), 0);
    for frame in frames {
        let image = frame.map_err(|error| format!("frame {}: {}", images.len(), unreadable(error)))?.into_buffer();
        taken += image.len() as u64;
        if taken > most {
            return Err(format!("its frames take more than {most} bytes: a file of {} bytes may not", bytes.len()));
        }
        let image = DynamicImage::ImageRgba8(image);
        images.push(if is_grey { image.into_luma_alpha8().into() } else { image });
    }
    if images.is_empty() {
        return Err("it has no frame".to_owned());
    }
    Ok(Some(images))
}

/// Refuses a header that claims more than its file can hold.
fn check_claim(decoder: &impl ImageDecoder, len: usize, most: u64) -> Result<(), String> {
    let ((width, height), claimed) = (decoder.dimensions(), decoder.total_bytes());
    if claimed > most {
        return Err(format!(
            "it claims {height}x{width} pixels, {claimed} bytes: a file of {len} bytes may have {most} in memory"
        ));
    }
    Ok(())
}

fn limits(most: u64) -> Limits {
    let mut limits = Limits::default();
    limits.max_alloc = Some(most);
    limits
}

fn unreadable(error: ImageError) -> String {
    format!("it can't be read as an image: {error}")
}
