//! Whether the parts of a WebP file are all there. Its decoder makes room for as many bytes of metadata as a chunk claims.

/// The bytes of the RIFF container, without what follows it; each of its chunks (a name, a length, as many bytes, padded to an
/// even number) lies within it.
///
/// # Errors
/// Where a chunk claims more bytes than follow.
pub(super) fn container(bytes: &[u8]) -> Result<&[u8], String> {
    let word = |at: usize| bytes.get(at..at + 4).and_then(|word| word.try_into().ok()).map(u32::from_le_bytes);
    let end = word(4).map_or(0, |len| (len as usize).saturating_add(8)).min(bytes.len());
    let mut at = 12; // after RIFF, its length, and WEBP
    while let (true, Some(len)) = (at + 8 <= end, word(at + 4)) {
        let next = (len as usize).saturating_add(at + 8);
        if next > end {
            return Err(format!("it breaks off: a chunk claims {len} bytes, {} follow", end - at - 8));
        }
        at = next + next % 2;
    }
    Ok(&bytes[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chunk_that_claims_more_than_there_is_is_refused() {
        let mut bytes = std::io::Cursor::new(Vec::new());
        image::RgbImage::new(5, 3).write_to(&mut bytes, image::ImageFormat::WebP).unwrap();
        let mut bytes = bytes.into_inner();
        assert_eq!(container(&[&bytes[..], b"more"].concat()).unwrap(), bytes);
        bytes.extend(b"EXIF\xff\xff\xff\x6fMM");
        let len = (bytes.len() - 8) as u32;
        bytes[4..8].copy_from_slice(&len.to_le_bytes());
        assert!(container(&bytes).unwrap_err().contains("claims 1879048191 bytes, 2 follow"));
        assert_eq!(container(b"RIFF").unwrap(), b"", "the decoder says what that is");
    }
}
