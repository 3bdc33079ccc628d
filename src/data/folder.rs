//! Data in image files: every file below a folder whose name ends like an image's.
//!
//! Sub-folders called as sets are (`train`, `val`, `test` and their kin) are these sets; others are classes. Links are
//! followed; hidden files and folders and the folders of training runs are not read. All images get one size, their own or
//! the one asked for; RGB where any is coloured; and the finest bit depth among them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use image::ImageFormat;
use rayon::prelude::*;
use walkdir::WalkDir;

use super::channels::{Channels, convert};
use super::labels::Labels;
use super::notes::{Tally, counted};
use super::numbers::Numbers;
use super::picture::{self, Pages, Picture, WHITE_8, WHITE_16};
use super::raw::Raw;
use super::reading::{Found, Reading, Set};
use super::{ImageSize, idx};
use crate::error::{Error, Result};

/// Sizes that an error lists.
const LISTED: usize = 8;

/// An image file.
struct Entry {
    path: PathBuf,
    /// Its path below the folder.
    name: String,
    set: Set,
    /// Its sub-folder; empty where it lies in none.
    class: String,
}

pub(super) fn read(folder: &Path, reading: &Reading) -> Result<Found> {
    let mut notes = Vec::new();
    let entries = list(folder, &mut notes)?;
    let options = picture::Options { size: reading.image_size, background: reading.background };
    let decoded: Vec<Result<Pages, String>> = entries.par_iter().map(|entry| options.read(&entry.path)).collect();
    let mut files = Vec::with_capacity(entries.len());
    let mut dropped = Tally::default();
    for (entry, decoded) in entries.iter().zip(decoded) {
        match decoded {
            Ok(pages) => files.push((entry, pages)),
            Err(reason) if reading.drop_bad => dropped.add(format_args!("{}: {reason}", entry.path.display())),
            Err(reason) => {
                return Err(Error::format(&entry.path, format!("{reason}; --drop-bad leaves such files out")));
            }
        }
    }
    dropped.note("image", "is left out", "are left out", &mut notes);
    say_of_files(&files, reading, &mut notes);
    let sets = assemble(folder, files, reading, &mut notes)?;
    Ok(Found { name: idx::folder_name(folder), sets, table: false, notes })
}

/// The images below a folder, in the order of their paths.
fn list(folder: &Path, notes: &mut Vec<String>) -> Result<Vec<Entry>> {
    let (mut hidden, mut runs, mut loops, mut others) =
        (Tally::default(), Tally::default(), Tally::default(), Tally::default());
    let mut found: Vec<PathBuf> = Vec::new();
    let mut walk = WalkDir::new(folder).min_depth(1).follow_links(true).sort_by_file_name().into_iter();
    while let Some(entry) = walk.next() {
        let entry = match entry {
            Ok(entry) => entry,
            Err(error) => {
                let path = error.path().unwrap_or(folder).to_owned();
                if error.loop_ancestor().is_some() {
                    loops.add_path(&path);
                } else if path.is_symlink() && is_image(&path) {
                    found.push(path); // a link that leads nowhere is an image that can't be read
                } else if path.is_symlink() {
                    others.add_path(&path);
                } else {
                    return Err(Error::io("reading", &path)(error.into()));
                }
                continue;
            }
        };
        let is_folder = entry.file_type().is_dir();
        let skipped = if entry.file_name().to_string_lossy().starts_with('.') {
            Some(&mut hidden)
        } else if is_folder && is_run(entry.path()) {
            Some(&mut runs)
        } else {
            None
        };
        if let Some(tally) = skipped {
            tally.add_path(entry.path());
            if is_folder {
                walk.skip_current_dir();
            }
        } else if !is_folder {
            // Opening a pipe would wait for whoever writes to it.
            match entry.file_type().is_file() && is_image(entry.path()) {
                true => found.push(entry.into_path()),
                false => others.add_path(entry.path()),
            }
        }
    }
    hidden.note("hidden item", "is not read", "are not read", notes);
    runs.note("training run", "is not read", "are not read", notes);
    loops.note(
        "link",
        "leads back to a folder above it, and is not followed",
        "lead back to folders above, and are not followed",
        notes,
    );
    others.note("file", "is no image, and is left out", "are no images, and are left out", notes);
    if found.is_empty() {
        let reason = "there is no image in it (png, jpeg, bmp, gif, pgm and its kin, tiff, webp), and no IDX file";
        return Err(Error::format(folder, reason));
    }
    sorted_into_sets(folder, found)
}

fn is_image(path: &Path) -> bool {
    ImageFormat::from_path(path).is_ok_and(|format| format.reading_enabled())
}

/// Whether a folder holds a training run, be it one that has only begun.
fn is_run(folder: &Path) -> bool {
    folder.join("config.toml").is_file()
        && ["metrics.jsonl", "checkpoints"].iter().any(|part| folder.join(part).exists())
}

/// Tells sets and classes by the names of sub-folders.
fn sorted_into_sets(folder: &Path, found: Vec<PathBuf>) -> Result<Vec<Entry>> {
    let names: Vec<Vec<String>> = found
        .iter()
        .map(|path| {
            let below = path.strip_prefix(folder).unwrap_or(path);
            below.components().map(|part| part.as_os_str().to_string_lossy().into_owned()).collect()
        })
        .collect();
    let mut tops: Vec<&str> = names.iter().filter(|parts| parts.len() > 1).map(|parts| parts[0].as_str()).collect();
    tops.dedup(); // paths are in order
    let sets: Vec<&str> = tops.iter().copied().filter(|top| Set::named(top).is_some()).collect();
    if !sets.is_empty() {
        let other = tops.iter().find(|top| Set::named(top).is_none());
        if let Some(other) = other {
            return Err(Error::format(
                folder,
                format!(
                    "its sub-folders {} can be sets or classes beside {other}: only sets, or only classes, must be there; \
                     rename a class, or name the sets with --data and --test-data",
                    sets.join(", ")
                ),
            ));
        }
        let of = |set: Set| sets.iter().copied().filter(|name| Set::named(name) == Some(set)).collect::<Vec<_>>();
        if let Some(same) = [Set::Train, Set::Validation, Set::Test].map(of).into_iter().find(|names| names.len() > 1) {
            let reason = format!("its sub-folders {} are the same set: one of them must be there", same.join(" and "));
            return Err(Error::format(folder, reason));
        }
    }
    let by_set = !sets.is_empty();
    let mut entries: Vec<Entry> = Vec::with_capacity(found.len());
    for (path, mut parts) in found.iter().zip(names.iter().map(Vec::as_slice)) {
        let name = parts.join("/");
        let set = match by_set && parts.len() > 1 {
            true => Set::named(&parts[0]).unwrap_or(Set::All),
            false => Set::All,
        };
        if set != Set::All {
            parts = &parts[1..];
        }
        let class = if parts.len() > 1 { parts[0].clone() } else { String::new() };
        entries.push(Entry { path: path.clone(), name, set, class });
    }
    let any_class = entries.iter().any(|entry| !entry.class.is_empty());
    let beside = |entry: &&Entry| entry.set == Set::All && (by_set || any_class && entry.class.is_empty());
    let mixed = |set: Set| {
        let of = || entries.iter().filter(move |entry| entry.set == set && set != Set::All);
        of().find(|entry| entry.class.is_empty()).filter(|_| of().any(|entry| !entry.class.is_empty()))
    };
    let beside =
        entries.iter().find(beside).or_else(|| [Set::Train, Set::Validation, Set::Test].into_iter().find_map(mixed));
    if let Some(entry) = beside {
        let reason = format!(
            "it has images in sub-folders, and {} beside them: it must have one or the other",
            entry.path.display()
        );
        return Err(Error::format(folder, reason));
    }
    Ok(entries)
}

/// Says what was done to files.
fn say_of_files(files: &[(&Entry, Pages)], reading: &Reading, notes: &mut Vec<String>) {
    let tally = |what: &dyn Fn(&Pages) -> bool| {
        let mut tally = Tally::default();
        files.iter().filter(|(_, pages)| what(pages)).for_each(|(entry, _)| tally.add_path(&entry.path));
        tally
    };
    tally(&|pages| pages.turned).note(
        "image",
        "is turned as its metadata (EXIF) say",
        "are turned as their metadata (EXIF) say",
        notes,
    );
    let over = format!("partly transparent, and laid over {} (--background)", reading.background);
    tally(&|pages| pages.transparent).note("image", &format!("is {over}"), &format!("are {over}"), notes);
    let several = tally(&|pages| pages.pictures.len() > 1);
    let pictures: usize = files.iter().map(|(_, pages)| pages.pictures.len()).filter(|&count| count > 1).sum();
    let pages = format!("several pages or frames: all {pictures} are examples");
    several.note("file", &format!("holds {pages}"), &format!("hold {pages}"), notes);
    let reduced = "smaller copies of pages, which are left out";
    tally(&|pages| pages.reduced > 0).note("file", &format!("holds {reduced}"), &format!("hold {reduced}"), notes);
}

/// Brings all pictures to one size, depth and number of channels, set by set.
fn assemble(
    folder: &Path,
    files: Vec<(&Entry, Pages)>,
    reading: &Reading,
    notes: &mut Vec<String>,
) -> Result<Vec<(Set, Raw)>> {
    let named: Vec<(String, &Entry, Picture)> = files
        .into_iter()
        .flat_map(|(entry, pages)| {
            let several = pages.pictures.len() > 1;
            let name = move |at: usize| if several { format!("{}#{}", entry.name, at + 1) } else { entry.name.clone() };
            pages.pictures.into_iter().enumerate().map(move |(at, picture)| (name(at), entry, picture))
        })
        .collect();
    let channels = common_channels(&named, reading.channels, notes);
    let white = common_white(&named, notes);
    let size = common_size(folder, &named, channels)?;
    let mut sets = Vec::new();
    for set in [Set::All, Set::Train, Set::Validation, Set::Test] {
        let of: Vec<&(String, &Entry, Picture)> = named.iter().filter(|(_, entry, _)| entry.set == set).collect();
        if of.is_empty() {
            continue;
        }
        let convert = |picture: &Picture| convert(picture.values.clone(), picture.size.channels, channels);
        let numbers = match white == WHITE_8 {
            true => Numbers::Bytes(
                of.par_iter()
                    .flat_map_iter(|(_, _, picture)| match convert(picture) {
                        Numbers::Bytes(bytes) => bytes,
                        other => other.converted(size.features(), |_, value| value as u8),
                    })
                    .collect(),
            ),
            false => Numbers::Floats(
                of.par_iter()
                    .flat_map_iter(|(_, _, picture)| {
                        let scale = white / picture.white;
                        convert(picture).converted(size.features(), |_, value| (value * scale) as f32)
                    })
                    .collect(),
            ),
        };
        let labels = match of.iter().all(|(_, entry, _)| entry.class.is_empty()) {
            true => Labels::None,
            false => Labels::Texts(of.iter().map(|(_, entry, _)| entry.class.clone()).collect()),
        };
        let names = of.iter().map(|(name, ..)| name.clone()).collect();
        let raw = Raw::numbers(size, numbers);
        sets.push((set, Raw { white: Some(white), pictures: true, labels, names, ..raw }));
    }
    Ok(sets)
}

fn common_channels(named: &[(String, &Entry, Picture)], asked: Option<Channels>, notes: &mut Vec<String>) -> usize {
    let (mut grey, mut coloured) = (Tally::default(), Tally::default());
    for (name, _, picture) in named {
        if picture.size.channels == 1 { grey.add(name) } else { coloured.add(name) }
    }
    let channels = asked.map_or(if coloured.count > 0 { 3 } else { 1 }, Channels::count);
    let (odd, noun) = if grey.count < coloured.count { (&grey, "grey image") } else { (&coloured, "coloured image") };
    let (all, option) = if channels == 1 { ("grey", "rgb") } else { ("RGB", "grey") };
    if grey.count > 0 && coloured.count > 0 {
        let rest = format!("among {}: all are read as {all} (--channels {option} for the other)", named.len());
        odd.note(noun, &format!("is {rest}"), &format!("are {rest}"), notes);
    } else if asked.is_some() && (channels == 1) != (coloured.count == 0) {
        notes.push(format!(
            "{} are read as {all}",
            counted(named.len(), if channels == 1 { "coloured image" } else { "grey image" })
        ));
    }
    channels
}

fn common_white(named: &[(String, &Entry, Picture)], notes: &mut Vec<String>) -> f64 {
    let (mut bytes, mut words, mut reals) = (Tally::default(), Tally::default(), Tally::default());
    for (name, _, picture) in named {
        match picture.white {
            WHITE_8 => bytes.add(name),
            WHITE_16 => words.add(name),
            _ => reals.add(name),
        }
    }
    let (white, finest) = match (words.count, reals.count) {
        (0, 0) => (WHITE_8, "8 bits"),
        (_, 0) => (WHITE_16, "16 bits"),
        _ => (picture::WHITE_REAL, "real numbers"),
    };
    for (tally, depth) in [(bytes, "8 bits"), (words, "16 bits")] {
        if depth != finest {
            let rest = format!("of {depth}, and brought to {finest}, which others have");
            tally.note("image", &format!("is {rest}"), &format!("are {rest}"), notes);
        }
    }
    white
}

fn common_size(folder: &Path, named: &[(String, &Entry, Picture)], channels: usize) -> Result<ImageSize> {
    let mut sizes: BTreeMap<ImageSize, (usize, &Path)> = BTreeMap::new();
    for (_, entry, picture) in named {
        sizes.entry(ImageSize { channels, ..picture.size }).or_insert((0, &entry.path)).0 += 1;
    }
    let mut found = sizes.iter();
    match (found.next(), found.next()) {
        (Some((&size, _)), None) => Ok(size),
        (None, _) => Err(Error::format(folder, "none of its images can be read")),
        _ => {
            let shown = |(size, (count, path)): (&ImageSize, &(usize, &Path))| {
                format!("{count} of {size}, {} among them", path.display())
            };
            let listed = sizes.iter().take(LISTED).map(shown).collect::<Vec<_>>().join("; ");
            let more = if sizes.len() > LISTED { "; and others" } else { "" };
            let reason = format!("images differ in size: {listed}{more}; --image-size HEIGHTxWIDTH resizes them all");
            Err(Error::format(folder, reason))
        }
    }
}
