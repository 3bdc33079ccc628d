//! The pages of a TIFF file.
//!
//! The crate `image` decodes a file's first page; any other becomes the first by its place in the header. Grey real
//! numbers, which that crate does not know, are read by the crate `tiff` itself.

use std::io::Cursor;

use image::DynamicImage;
use image::metadata::Orientation;
use tiff::ColorType;
use tiff::decoder::{Decoder, DecodingResult, Limits};
use tiff::tags::Tag;

/// What a page is of another: a reduced copy of it, or its mask (TIFF 6.0, NewSubfileType).
const REDUCED_OR_MASK: u32 = 0b101;

type Page = (DynamicImage, Orientation);

/// Decodes every page that is no smaller copy of another, and counts those copies; `decode` reads a file's first page.
///
/// # Errors
/// What is wrong with the file.
pub(super) fn pages(
    bytes: &[u8],
    most: u64,
    decode: impl Fn(&[u8]) -> Result<Page, String>,
) -> Result<(Vec<Page>, usize), String> {
    let mut limits = Limits::default();
    limits.decoding_buffer_size = usize::try_from(most).unwrap_or(usize::MAX);
    limits.intermediate_buffer_size = limits.decoding_buffer_size;
    let mut decoder = Decoder::new(Cursor::new(bytes)).map_err(unreadable)?.with_limits(limits);
    let (mut pages, mut reduced, mut taken) = (Vec::new(), 0, 0);
    let mut file = bytes.to_vec();
    loop {
        let kind = decoder.find_tag_unsigned::<u32>(Tag::NewSubfileType).ok().flatten().unwrap_or(0);
        if kind & REDUCED_OR_MASK != 0 {
            reduced += 1;
        } else {
            let page = match decoder.colortype().map_err(unreadable)? {
                ColorType::Gray(32 | 64) => grey_reals(&mut decoder),
                _ => match decoder.ifd_pointer().and_then(|place| begin_at(&mut file, place.0)) {
                    Some(()) => decode(&file),
                    None => Err("it lies beyond what the header can name".to_owned()),
                },
            };
            let page = page.map_err(|reason| format!("page {}: {reason}", pages.len()))?;
            taken += page.0.as_bytes().len() as u64;
            if taken > most {
                return Err(format!("its pages take more than {most} bytes: a file of {} bytes may not", bytes.len()));
            }
            pages.push(page);
        }
        if !decoder.more_images() {
            break;
        }
        decoder.next_image().map_err(unreadable)?;
    }
    match pages.is_empty() {
        true => Err("it has no page but smaller copies of others".to_owned()),
        false => Ok((pages, reduced)),
    }
}

/// Makes another page a file's first: the header names where it stands.
fn begin_at(file: &mut [u8], place: u64) -> Option<()> {
    let little = file.starts_with(b"II");
    let is_big = file.get(2..4)? == if little { [43, 0] } else { [0, 43] };
    if is_big {
        let place = if little { place.to_le_bytes() } else { place.to_be_bytes() };
        file.get_mut(8..16)?.copy_from_slice(&place);
    } else {
        let place = u32::try_from(place).ok()?;
        let place = if little { place.to_le_bytes() } else { place.to_be_bytes() };
        file.get_mut(4..8)?.copy_from_slice(&place);
    }
    Some(())
}

/// A page of grey real numbers.
fn grey_reals(decoder: &mut Decoder<Cursor<&[u8]>>) -> Result<Page, String> {
    let (width, height) = decoder.dimensions().map_err(unreadable)?;
    let turned = decoder.find_tag_unsigned::<u8>(Tag::Orientation).ok().flatten();
    let orientation = turned.and_then(Orientation::from_exif).unwrap_or(Orientation::NoTransforms);
    let values = match decoder.read_image().map_err(unreadable)? {
        DecodingResult::F32(values) => values,
        DecodingResult::F64(values) => values.into_iter().map(|value| value as f32).collect(),
        _ => {
            return Err(
                "its values are integers of 32 bits or more: they must be of 8 or 16 bits, or floats".to_owned()
            );
        }
    };
    // The crate `image` has no grey reals: all three channels say the same.
    let pixels: Vec<f32> = values.into_iter().flat_map(|value| [value; 3]).collect();
    let image = image::ImageBuffer::from_raw(width, height, pixels).ok_or("it has fewer pixels than it says")?;
    Ok((DynamicImage::ImageRgb32F(image), orientation))
}

fn unreadable(error: tiff::TiffError) -> String {
    format!("it can't be read as an image: {error}")
}
