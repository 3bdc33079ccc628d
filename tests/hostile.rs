//! Files of every kind that is read, cut and with bytes changed: the answer is data or an error, never a panic.
//! `VAE_GPU_HOSTILE=100000` tries as many of each; `tests/fuzz/run.sh` tries those that find new paths through a reader.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::io::Write;
use std::path::Path;

use image::{DynamicImage, ImageFormat, RgbImage};
use npyz::WriterBuilder;
use tempfile::TempDir;
use vae_gpu::config::TrainConfig;
use vae_gpu::data::{DataSource, Reading};
use vae_gpu::density::Density;
use vae_gpu::error::Error;
use vae_gpu::rng::{Draw, Stream};
use vae_gpu::train::{Checkpoint, RunFolder};

/// Damaged files of each kind.
fn tries() -> u32 {
    crate::common::tries("VAE_GPU_HOSTILE", 300)
}

/// A file with some bytes changed, cut, or repeated: another for each `number`.
fn damaged(good: &[u8], number: u32) -> Vec<u8> {
    let draw = Draw { seed: 8, stream: Stream::Synthetic, step: u64::from(number) };
    let below = |element: u32, bound: usize| draw.bits(0, element) as usize % bound.max(1);
    let mut bytes = good.to_vec();
    match number % 4 {
        0 => bytes.truncate(below(0, bytes.len())),
        1 => {
            let (from, to) = (below(0, bytes.len()), below(1, bytes.len()));
            let part = bytes[from.min(to)..from.max(to)].to_vec();
            bytes.splice(from..from, part);
        }
        _ => {}
    }
    if !number.is_multiple_of(4) && !bytes.is_empty() {
        // Headers come first: half of the changes are made there.
        for change in 0..1 + below(2, 4) as u32 {
            let bound = if change % 2 == 0 { bytes.len().min(64) } else { bytes.len() };
            let at = below(3 + 2 * change, bound);
            bytes[at] = match below(4 + 2 * change, 4) {
                0 => 0,
                1 => 0xff,
                _ => draw.bits(1, change) as u8,
            };
        }
    }
    bytes
}

/// Reads damaged versions of the file `name` as data; how many of them could be read.
fn read_damaged(name: &str, good: &[u8]) -> u32 {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join(name);
    // Images are read by folder, everything else by file.
    let image = image::ImageFormat::from_path(&path).is_ok();
    let source = DataSource::Path(if image { folder.path().to_owned() } else { path.clone() });
    let reading = Reading::default();
    fs::write(&path, good).unwrap();
    if image {
        fs::write(folder.path().join(format!("second-{name}")), good).unwrap();
    }
    reading.read(Some(&source)).unwrap();
    let mut read = 0;
    for number in 0..tries() {
        fs::write(&path, damaged(good, number)).unwrap();
        match reading.read(Some(&source)) {
            Ok(data) => {
                assert_eq!(data.train.pixels.len(), data.train.count() * data.train.features());
                read += 1;
            }
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    }
    read
}

fn image(format: ImageFormat) -> Vec<u8> {
    let pixels = (0..12 * 10 * 3).map(|i| (i * 31 % 256) as u8).collect();
    let image = DynamicImage::ImageRgb8(RgbImage::from_raw(10, 12, pixels).unwrap());
    let mut bytes = std::io::Cursor::new(Vec::new());
    image.write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

#[test]
fn images() {
    use ImageFormat::{Bmp, Gif, Jpeg, Png, Pnm, Tiff, WebP};
    for (name, format) in [
        ("a.png", Png),
        ("a.jpg", Jpeg),
        ("a.bmp", Bmp),
        ("a.gif", Gif),
        ("a.ppm", Pnm),
        ("a.tiff", Tiff),
        ("a.webp", WebP),
    ] {
        let read = read_damaged(name, &image(format));
        assert!(read < tries(), "{name}: nothing was damaged");
    }
}

fn array(path: &Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    let options = npyz::WriteOptions::<f32>::new().default_dtype().shape(&[20, 3, 4]);
    let mut writer = options.writer(&mut bytes).begin_nd().unwrap();
    writer.extend((0..240).map(|i| i as f32 / 240.0)).unwrap();
    writer.finish().unwrap();
    let mut archive = npyz::npz::NpzWriter::create(path).unwrap();
    for name in ["x", "labels"] {
        let shape: &[u64] = if name == "x" { &[20, 12] } else { &[20] };
        let mut writer =
            archive.array(name, Default::default()).unwrap().default_dtype().shape(shape).begin_nd().unwrap();
        writer.extend((0..shape.iter().product::<u64>()).map(|i| (i % 7) as f32)).unwrap();
        writer.finish().unwrap();
    }
    bytes
}

#[test]
fn arrays() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("a.npz");
    let npy = array(&path);
    assert!(read_damaged("a.npy", &npy) < tries());
    assert!(read_damaged("a.npz", &fs::read(&path).unwrap()) < tries());
}

#[test]
fn a_changed_byte_in_an_archive_is_told() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("a.npz");
    let mut archive = npyz::npz::NpzWriter::create(&path).unwrap();
    let options = zip::write::FileOptions::default().compression_method(zip::CompressionMethod::Stored);
    let mut writer = archive.array("x", options).unwrap().default_dtype().shape(&[6, 4]).begin_nd().unwrap();
    writer.extend([77_u8; 24]).unwrap();
    writer.finish().unwrap();
    drop(archive);
    let source = DataSource::Path(path.clone());
    Reading::default().read(Some(&source)).unwrap();
    let mut bytes = fs::read(&path).unwrap();
    let at = bytes.windows(24).position(|values| values == [77; 24]).unwrap();
    bytes[at] = 78;
    fs::write(&path, bytes).unwrap();
    let error = Reading::default().read(Some(&source)).unwrap_err().to_string();
    assert!(error.contains("a.npz") && error.contains("checksum"), "{error}");
}

#[test]
fn tables() {
    let lines = (0..30).map(|i| format!("{},{}.5,-{i}e-1,\"{}\"\n", i, i % 3, ["a", "b"][i % 2]));
    let text = format!("x,y,z,class\n{}", lines.collect::<String>());
    assert!(read_damaged("a.csv", text.as_bytes()) < tries());
    assert!(read_damaged("a.tsv", text.replace(',', "\t").as_bytes()) < tries());
}

#[test]
fn configurations() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("config.toml");
    let good =
        TrainConfig { augment: Some("shift:2,flip".parse().unwrap()), ..TrainConfig::default() }.to_toml().unwrap();
    for number in 0..tries() {
        fs::write(&path, damaged(good.as_bytes(), number)).unwrap();
        if let Ok(config) = TrainConfig::load(&path) {
            let _ = config.validate();
        }
    }
}

/// A message never shows the rest of a file.
#[test]
fn messages_are_short() {
    let folder = TempDir::new().unwrap();
    let long = "x".repeat(1 << 20);
    let write = |name: &str, text: &[u8]| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        path
    };
    let short = |error: Error, part: &str| {
        let text = error.to_string();
        assert!(text.len() < 3000 && text.contains(part), "{} bytes: {}", text.len(), text.split_at(200).0);
    };
    let safetensors = |key: &str, metadata: serde_json::Value| {
        let header = serde_json::json!({ "__metadata__": { key: metadata.to_string() } }).to_string();
        [&(header.len() as u64).to_le_bytes()[..], header.as_bytes()].concat()
    };
    let config = |line: String| TrainConfig::load(&write("config.toml", line.as_bytes())).unwrap_err();
    short(config(format!("latent = \"{long}\"")), "line 1");
    short(config(format!("seed = 1\n{long} = 1")), "line 2");
    short(config(format!("data = \"uniform:{long}\"")), "NxD");
    for metadata in
        [serde_json::json!({ "format": long }), serde_json::json!({ "format": [&long] }), serde_json::json!(long)]
    {
        let checkpoint = write("last.safetensors", &safetensors("vae-gpu", metadata.clone()));
        short(Checkpoint::load(&checkpoint).unwrap_err(), "last.safetensors");
        let density = write("density.safetensors", &safetensors("vae-gpu-density", metadata));
        short(Density::load(&density, "").unwrap_err(), "density.safetensors");
    }
    write("config.toml", b"");
    write("metrics.jsonl", format!("{{\"epoch\": \"{long}\"}}\n").as_bytes());
    short(RunFolder::open(folder.path()).unwrap().metrics().unwrap_err(), "line 1");
}

/// Headers that claim more than there is, or could be.
#[test]
fn claims_are_not_believed() {
    let folder = TempDir::new().unwrap();
    let refused = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        let image = image::ImageFormat::from_path(&path).is_ok();
        let source = DataSource::Path(if image { folder.path().to_owned() } else { path.clone() });
        let error = Reading::default().read(Some(&source)).unwrap_err().to_string();
        assert!(error.contains(name), "{error}");
        fs::remove_file(&path).unwrap();
        error
    };
    let npy = |shape: &str| {
        let dict = format!("{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}\n");
        [b"\x93NUMPY\x01\x00", &(dict.len() as u16).to_le_bytes()[..], dict.as_bytes(), &[0; 100]].concat()
    };
    refused("a.npy", &npy("(1099511627776, 784)"));
    refused("a.npy", &npy("(1000000, 1000)"));
    refused("a.npy", &npy("(18446744073709551615, 2)"));
    // Nothing times much is nothing, and half of the product is still too large to count.
    refused("a.npy", &npy("(0, 3, 8589934592, 8589934592)"));
    // A header of 4 GiB in 12 bytes, and one that a parser of all Python's literals takes years to read.
    let error = refused("a.npy", b"\x93NUMPY\x02\x00\xff\xff\xff\xff");
    assert!(error.contains("4294967295 bytes") && error.contains("65536"), "{error}");
    refused("a.npy", &npy(&["[".repeat(40), "]".repeat(40)].concat()));
    refused("a.pgm", b"P5 1000000 1000000 255\n123");
    refused("a.pgm", b"P5 4294967295 4294967295 255\n123");
    let error = refused("a.pgm", b"P5 12000 10000 255\n123");
    assert!(error.contains("claims 10000x12000 pixels") && error.contains("67108864"), "{error}");
    // A PNG of 2^31 - 1 pixels a side.
    let mut png = image(ImageFormat::Png);
    png[16..24].copy_from_slice(&[0x7f, 0xff, 0xff, 0xff, 0x7f, 0xff, 0xff, 0xff]);
    refused("a.png", &png);
}

/// Data that unpack to more than memory is refused before they are unpacked.
#[test]
fn compressed_claims_are_bounded() {
    let folder = TempDir::new().unwrap();
    let write = |name: &str, words: &[u32]| {
        let file = fs::File::create(folder.path().join(name)).unwrap();
        let mut encoder = flate2::write::GzEncoder::new(file, flate2::Compression::default());
        words.iter().for_each(|word| encoder.write_all(&word.to_be_bytes()).unwrap());
        encoder.finish().unwrap();
    };
    for set in ["train", "t10k"] {
        write(&format!("{set}-images-idx3-ubyte.gz"), &[0x803, 70_000, 300, 300]);
        write(&format!("{set}-labels-idx1-ubyte.gz"), &[0x801, 70_000]);
    }
    let source = DataSource::Path(folder.path().to_owned());
    let error = Reading::default().read(Some(&source)).unwrap_err().to_string();
    let parts = ["train-images-idx3-ubyte.gz", "6300000000 bytes", "4294967296"];
    assert!(parts.iter().all(|part| error.contains(part)), "{error}");
}

/// Opening a pipe waits until someone writes to it: one that is called an image is none.
#[cfg(unix)]
#[test]
fn pipes_are_no_images() {
    let folder = TempDir::new().unwrap();
    for name in ["a.png", "b.png"] {
        fs::write(folder.path().join(name), image(ImageFormat::Png)).unwrap();
    }
    let made = std::process::Command::new("mkfifo").arg(folder.path().join("c.png")).status().unwrap();
    assert!(made.success());
    let source = DataSource::Path(folder.path().to_owned());
    let data = Reading::default().read(Some(&source)).unwrap();
    assert_eq!((data.train.count(), data.test.count()), (1, 1));
    assert!(data.notes[0].contains("c.png"), "{:?}", data.notes);
}
