//! The pixels of image files, beside those that Pillow reads in them (`tests/interop/pictures.py`).

use std::fs;
use std::path::PathBuf;

use serde_json::Value;
use tempfile::TempDir;
use vae_gpu::data::{Channels, Reading, Values};

use super::common::{all, says, unread, values};

fn fixtures() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/pictures")
}

/// A folder with copies of one of these files.
fn folder_of(name: &str, copies: usize) -> TempDir {
    let folder = TempDir::new().unwrap();
    for copy in 0..copies {
        fs::copy(fixtures().join(name), folder.path().join(format!("{copy}-{name}"))).unwrap();
    }
    folder
}

#[test]
fn orientations_depths_transparency_and_pages_are_read_as_another_program_reads_them() {
    let expected: Value = serde_json::from_slice(&fs::read(fixtures().join("expected.json")).unwrap()).unwrap();
    let expected = expected.as_object().unwrap();
    assert!(expected.len() >= 20);
    for (name, wanted) in expected {
        let (images, _) = all(&Reading::default(), folder_of(name, 1).path());
        let size = ["height", "width", "channels"].map(|side| wanted[side].as_u64().unwrap() as usize);
        assert_eq!([images.size.height, images.size.width, images.size.channels], size, "{name}");
        let pages: Vec<f64> = wanted["pages"]
            .as_array()
            .unwrap()
            .iter()
            .flat_map(|page| page.as_array().unwrap())
            .map(|v| v.as_f64().unwrap())
            .collect();
        let read = values(&images);
        assert_eq!(read.len(), pages.len(), "{name}: pages");
        // A step of 8 bits, and the five digits that are written down.
        for (at, (&read, wanted)) in read.iter().zip(pages).enumerate() {
            let off = (f64::from(read) - wanted).abs();
            assert!(off <= 1.0 / 255.0 + 1e-5, "{name}: value {at} is {read}, Pillow's {wanted}");
        }
    }
}

#[test]
fn what_was_done_to_pictures_is_said() {
    for (name, parts) in [
        ("orientation6.jpg", &["2 images (the first is", "0-orientation6.jpg) are turned"][..]),
        ("alpha.png", &["2 images", "are partly transparent, and laid over black (--background)"]),
        ("pages.tif", &["2 files", "hold several pages or frames: all 6 are examples"]),
        ("frames.gif", &["2 files", "all 4 are examples"]),
    ] {
        let folder = folder_of(name, 2);
        let (images, notes) = all(&Reading::default(), folder.path());
        says(&notes, parts);
        if name == "pages.tif" {
            assert_eq!(images.names[1..4], ["0-pages.tif#2", "0-pages.tif#3", "1-pages.tif#1"]);
        }
    }
    let (images, notes) = all(&Reading::default(), folder_of("orientation1.jpg", 2).path());
    assert!(notes.is_empty() && images.names == ["0-orientation1.jpg", "1-orientation1.jpg"], "{notes:?}");
}

#[test]
fn more_bits_are_shares_of_their_own_white_or_scaled() {
    use vae_gpu::data::Scale;
    let folder = folder_of("words.png", 4);
    let read = |scale| super::common::read(&Reading { scale, ..Reading::default() }, folder.path());
    let auto = values(&read(Scale::Auto).train);
    let (least, most) = (4097.0_f32, 48_317.0_f32); // the least and the largest value of the file
    assert!((auto[0] - least / 65_535.0).abs() < 1e-6, "{}", auto[0]);
    let raw = values(&read(Scale::None).train);
    assert_eq!(raw[0], least);
    let spread = values(&read(Scale::Minmax).train);
    assert_eq!((spread[0], spread.iter().copied().fold(0.0, f32::max)), (0.0, 1.0));
    assert!((spread[1] - (raw[1] - least) / (most - least)).abs() < 1e-6);
    // Files of several depths are brought to the finest.
    fs::copy(fixtures().join("bits.png"), folder.path().join("bits.png")).unwrap();
    let (images, notes) = all(&Reading::default(), folder.path());
    says(&notes, &["1 image (bits.png) is of 8 bits, and brought to 16 bits"]);
    assert_eq!(values(&images)[4 * 48..][..4], [0.0, 0.0, 0.0, 1.0]);
}

#[test]
fn transparent_pixels_do_not_colour_their_neighbours() {
    // Transparent white around opaque black: over black everything is black, at any size; over white the border is white.
    let folder = TempDir::new().unwrap();
    for name in ["a.png", "b.png"] {
        let pixel = |x: u32, y: u32| match (4..12).contains(&x) && (4..12).contains(&y) {
            true => image::Rgba([0, 0, 0, 255]),
            false => image::Rgba([255, 255, 255, 0]),
        };
        image::RgbaImage::from_fn(16, 16, pixel).save(folder.path().join(name)).unwrap();
    }
    let small = Reading { image_size: Some((8, 8)), ..Reading::default() };
    let (images, _) = all(&small, folder.path());
    assert_eq!(images.pixels, Values::Bytes(vec![0; 2 * 8 * 8 * 3]));
    let (images, notes) = all(&Reading { background: "white".parse().unwrap(), ..Reading::default() }, folder.path());
    assert_eq!((values(&images)[0], values(&images)[(8 * 16 + 8) * 3]), (1.0, 0.0));
    says(&notes, &["laid over white"]);
}

#[test]
fn a_jpeg_that_breaks_off_is_named_and_counted() {
    let folder = folder_of("colour.jpg", 3);
    let whole = fs::read(fixtures().join("colour.jpg")).unwrap();
    fs::write(folder.path().join("cut.jpg"), &whole[..whole.len() - 20]).unwrap();
    let message = unread(&Reading::default(), folder.path());
    assert!(
        message.contains("cut.jpg") && message.contains("breaks off") && message.contains("--drop-bad"),
        "{message}"
    );
    let (images, notes) = all(&Reading { drop_bad: true, ..Reading::default() }, folder.path());
    assert_eq!(images.count(), 3);
    says(&notes, &["1 image (", "cut.jpg: it breaks off", "is left out"]);
}

#[test]
fn a_coloured_picture_among_grey_ones_is_said_and_may_be_grey() {
    let folder = folder_of("orientation1.jpg", 5);
    fs::copy(fixtures().join("plain.bmp"), folder.path().join("odd.bmp")).unwrap();
    let (images, notes) = all(&Reading::default(), folder.path());
    says(&notes, &["1 coloured image (odd.bmp) is among 6: all are read as RGB", "--channels grey"]);
    assert_eq!(images.size.channels, 3);
    let (grey, notes) = all(&Reading { channels: Some(Channels::Grey), ..Reading::default() }, folder.path());
    says(&notes, &["odd.bmp", "all are read as grey"]);
    assert_eq!(grey.size.channels, 1);
    let pixels = values(&images);
    let [r, g, b] = [0, 1, 2].map(|channel| f64::from(pixels[(5 * 48 + 7) * 3 + channel]));
    let luma = 0.2126 * r + 0.7152 * g + 0.0722 * b;
    assert!((f64::from(values(&grey)[5 * 48 + 7]) - luma).abs() < 0.51 / 255.0);
}
