//! Whether a JPEG file is whole. Its decoder paints what is missing grey.

const START_OF_SCAN: u8 = 0xda;
const END_OF_IMAGE: u8 = 0xd9;

/// Walks the file from marker to marker (ITU-T T.81, B.1.1) to the end of the image; what follows that is of no concern.
///
/// # Errors
/// Where the file ends before.
pub(super) fn check_whole(bytes: &[u8]) -> Result<(), String> {
    let broken = || format!("it breaks off: a JPEG file of {} bytes without the end of its image", bytes.len());
    let mut at = 2; // after the start of the image
    loop {
        // A marker is 0xff, any number of them, and a byte that is neither 0 nor 0xff; in coded data 0xff 0x00 is a byte.
        let found =
            bytes[at.min(bytes.len())..].windows(2).position(|pair| pair[0] == 0xff && ![0, 0xff].contains(&pair[1]));
        at += found.ok_or_else(broken)? + 2;
        match bytes[at - 1] {
            END_OF_IMAGE => return Ok(()),
            0x01 | 0xd0..=0xd8 => {} // these have no content
            marker => {
                let len = bytes.get(at..at + 2).ok_or_else(broken)?;
                at += usize::from(u16::from_be_bytes([len[0], len[1]]));
                if marker != START_OF_SCAN && at > bytes.len() {
                    return Err(broken());
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::{DynamicImage, ImageFormat, RgbImage};

    #[test]
    fn every_cut_is_seen_and_what_follows_is_not() {
        let image = RgbImage::from_fn(40, 30, |x, y| image::Rgb([(7 * x * y) as u8, (11 * x) as u8, (x ^ y) as u8]));
        let mut bytes = std::io::Cursor::new(Vec::new());
        DynamicImage::from(image).write_to(&mut bytes, ImageFormat::Jpeg).unwrap();
        let mut bytes = bytes.into_inner();
        for len in 2..bytes.len() {
            assert!(check_whole(&bytes[..len]).unwrap_err().contains("breaks off"), "{len} bytes");
        }
        bytes.extend(b"more of a camera's");
        assert!(check_whole(&bytes).is_ok());
    }
}
