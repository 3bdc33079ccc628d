//! Data in image files: every file below a folder whose name ends like an image's.
//!
//! Files that lie in sub-folders have these, in the order of their names, as labels. Sub-folders named `train` and
//! `test` are the two sets. Images are grey where all are, else RGB (8 bits a value; what is transparent is black), and
//! have one size: their own, or the one asked for.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use image::imageops::FilterType;
use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader};
use rayon::prelude::*;
use walkdir::WalkDir;

use super::reading::{Found, Reading};
use super::{ImageSize, Images, Values};
use crate::error::{Error, Result};

/// Bytes that one image may have in memory: a header may claim anything. Between the two limits it is so many times the
/// file's length, which is more than any format but WebP packs into a byte.
const LEAST_BYTES: u64 = 1 << 26;
const MOST_BYTES: u64 = 1 << 30;
const PACKED: u64 = 1 << 13;
/// Sizes that an error lists.
const LISTED: usize = 8;

/// An image file, and the place of its sub-folder among them.
struct Entry {
    path: PathBuf,
    label: u8,
}

pub(super) fn read(folder: &Path, reading: &Reading) -> Result<Found> {
    let mut notes = Vec::new();
    let (train, test) = (folder.join("train"), folder.join("test"));
    if train.is_dir() && test.is_dir() {
        let (train, test) = (list(&train, &mut notes)?, list(&test, &mut notes)?);
        let decoder = Decoder::new(reading, train.iter().chain(&test));
        let [train, test] = [decoder.images(folder, &train, &mut notes)?, decoder.images(folder, &test, &mut notes)?];
        return Ok(Found { test: Some(test), notes, ..Found::one(folder, train) });
    }
    let entries = list(folder, &mut notes)?;
    let images = Decoder::new(reading, entries.iter()).images(folder, &entries, &mut notes)?;
    Ok(Found { notes, ..Found::one(folder, images) })
}

/// The images below a folder, in the order of their paths.
fn list(folder: &Path, notes: &mut Vec<String>) -> Result<Vec<Entry>> {
    let bad = |error: walkdir::Error| {
        let path = error.path().unwrap_or(folder).to_owned();
        Error::io("reading", &path)(error.into())
    };
    let (mut found, mut others) = (Vec::new(), Vec::new());
    for entry in WalkDir::new(folder).min_depth(1).sort_by_file_name() {
        let entry = entry.map_err(bad)?;
        let hidden = entry.file_name().to_string_lossy().starts_with('.');
        if hidden || entry.file_type().is_dir() {
            continue;
        }
        // Opening a pipe would wait for whoever writes to it. A link that leads nowhere is an image that can't be read.
        let special = entry.path().metadata().is_ok_and(|metadata| !metadata.is_file());
        match !special && ImageFormat::from_path(entry.path()).is_ok_and(|format| format.reading_enabled()) {
            true => found.push(entry.into_path()),
            false => others.push(entry.into_path()),
        }
    }
    if let Some(other) = others.first() {
        notes.push(format!("{} files that are no images are left out, {} among them", others.len(), other.display()));
    }
    let class = |path: &Path| -> Option<PathBuf> {
        let mut parts = path.strip_prefix(folder).ok()?.components();
        let first = parts.next()?;
        parts.next().map(|_| PathBuf::from(first.as_os_str()))
    };
    let mut classes: Vec<PathBuf> = found.iter().filter_map(|path| class(path)).collect();
    classes.dedup(); // paths are in order
    if classes.len() > 256 {
        return Err(Error::format(
            folder,
            format!("it has {} sub-folders with images: at most 256 may be", classes.len()),
        ));
    }
    let label = |path: &Path| class(path).and_then(|class| classes.iter().position(|known| *known == class));
    if let (Some(path), false) = (found.iter().find(|path| class(path).is_none()), classes.is_empty()) {
        let reason =
            format!("it has images in sub-folders, and {} beside them: it must have one or the other", path.display());
        return Err(Error::format(folder, reason));
    }
    if found.is_empty() {
        let reason = "there is no image in it (png, jpeg, bmp, gif, pgm and its kin, tiff, webp), and no IDX file";
        return Err(Error::format(folder, reason));
    }
    Ok(found.into_iter().map(|path| Entry { label: label(&path).unwrap_or(0) as u8, path }).collect())
}

/// What all images of both sets are brought to.
struct Decoder {
    channels: usize,
    size: Option<(usize, usize)>,
    drop_bad: bool,
}

impl Decoder {
    /// Grey, if every header says so.
    fn new<'e>(reading: &Reading, entries: impl Iterator<Item = &'e Entry>) -> Decoder {
        let entries: Vec<&Entry> = entries.collect();
        let coloured = |entry: &&Entry| open(&entry.path).is_ok_and(|decoder| decoder.color_type().has_color());
        let channels = if entries.par_iter().any(coloured) { 3 } else { 1 };
        Decoder { channels, size: reading.image_size, drop_bad: reading.drop_bad }
    }

    fn images(&self, folder: &Path, entries: &[Entry], notes: &mut Vec<String>) -> Result<Images> {
        let decoded: Vec<Result<(ImageSize, Vec<u8>), String>> =
            entries.par_iter().map(|entry| self.decode(&entry.path)).collect();
        let (mut pixels, mut labels, mut dropped) = (Vec::new(), Vec::new(), 0);
        let mut sizes: BTreeMap<ImageSize, (usize, &Path)> = BTreeMap::new();
        for (entry, decoded) in entries.iter().zip(decoded) {
            match decoded {
                Ok((size, values)) => {
                    sizes.entry(size).or_insert((0, &entry.path)).0 += 1;
                    pixels.extend(values);
                    labels.push(entry.label);
                }
                Err(_) if self.drop_bad => dropped += 1,
                Err(reason) => {
                    return Err(Error::format(&entry.path, format!("{reason}; --drop-bad leaves such files out")));
                }
            }
        }
        if dropped > 0 {
            notes.push(format!("{dropped} of {} images can't be read and are left out", entries.len()));
        }
        let mut found = sizes.iter();
        match (found.next(), found.next()) {
            (Some((&size, _)), None) => Ok(Images { size, pixels: Values::Bytes(pixels), labels }),
            (None, _) => Err(Error::format(folder, "none of its images can be read")),
            _ => {
                let shown = |(size, (count, path)): (&ImageSize, &(usize, &Path))| {
                    format!("{count} of {size}, {} among them", path.display())
                };
                let listed = sizes.iter().take(LISTED).map(shown).collect::<Vec<_>>().join("; ");
                let more = if sizes.len() > LISTED { "; and others" } else { "" };
                let reason =
                    format!("images differ in size: {listed}{more}; --image-size HEIGHTxWIDTH resizes them all");
                Err(Error::format(folder, reason))
            }
        }
    }

    fn decode(&self, path: &Path) -> Result<(ImageSize, Vec<u8>), String> {
        let image = DynamicImage::from_decoder(open(path)?).map_err(unreadable)?;
        let (height, width) = (image.height() as usize, image.width() as usize);
        if height == 0 || width == 0 {
            return Err(format!("it is an image of {height}x{width} pixels: neither may be 0"));
        }
        let image = match self.size {
            Some((height, width)) => image.resize_exact(width as u32, height as u32, FilterType::Triangle),
            None => image,
        };
        let size =
            ImageSize { height: image.height() as usize, width: image.width() as usize, channels: self.channels };
        let image = over_black(image);
        Ok((size, if self.channels == 1 { image.into_luma8().into_raw() } else { image.into_rgb8().into_raw() }))
    }
}

/// Reads an image's header; refuses one that claims more than its file can hold.
fn open(path: &Path) -> Result<impl ImageDecoder, String> {
    let bytes = path.metadata().map_err(|error| error.to_string())?.len();
    let most = bytes.saturating_mul(PACKED).clamp(LEAST_BYTES, MOST_BYTES);
    let reader = ImageReader::open(path).and_then(ImageReader::with_guessed_format);
    let mut reader = reader.map_err(|error| error.to_string())?;
    let mut limits = image::Limits::default();
    limits.max_alloc = Some(most);
    reader.limits(limits);
    let decoder = reader.into_decoder().map_err(unreadable)?;
    let ((width, height), claimed) = (decoder.dimensions(), decoder.total_bytes());
    if claimed > most {
        return Err(format!(
            "it claims {height}x{width} pixels, {claimed} bytes: a file of {bytes} bytes may have {most} in memory"
        ));
    }
    Ok(decoder)
}

fn unreadable(error: image::ImageError) -> String {
    format!("it can't be read as an image: {error}")
}

/// An image with transparent parts as it looks on black.
fn over_black(image: DynamicImage) -> DynamicImage {
    if !image.color().has_alpha() {
        return image;
    }
    let mut image = image.into_rgba8();
    for pixel in image.pixels_mut() {
        let [r, g, b, a] = pixel.0;
        let shown = |value: u8| ((u32::from(value) * u32::from(a) + 127) / 255) as u8;
        pixel.0 = [shown(r), shown(g), shown(b), 255];
    }
    DynamicImage::ImageRgba8(image)
}
