//! Writes good files as the first inputs of each target, so that mutations get past headers: `seeds CORPUS`.

use std::io::{Cursor, Write};
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use image::{DynamicImage, ImageFormat};
use npyz::WriterBuilder;
use vae_gpu::backend::Adapter;
use vae_gpu::backend::profile::{TunedKernel, TuningCache};
use vae_gpu::config::{PRESETS, TrainConfig, preset};
use vae_gpu::density::{Density, DensityKind};
use vae_gpu::ops::Algorithm;
use vae_gpu_fuzz::{checkpoint, folder};
use zip::write::FileOptions;
use zip::{CompressionMethod, ZipWriter};

fn main() {
    let corpus = std::env::args().nth(1).expect("the folder of corpora");
    let save = |target: &str, name: &str, bytes: &[u8]| {
        let folder = Path::new(&corpus).join(target);
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join(name), bytes).unwrap();
    };
    // Two parts as `vae_gpu_fuzz::split` reads them.
    let joined = |first: &[u8], second: &[u8]| [&[first.len() as u8], first, second].concat();

    let (images, labels) = idx(5, 3, 2);
    save("idx", "good", &joined(&labels, &images));
    let reals: Vec<u8> = [0, 0, 13, 2, 0, 0, 0, 5, 0, 0, 0, 2].into_iter().chain([63, 0, 0, 0].repeat(10)).collect();
    save("idx", "reals", &joined(&labels, &reals));
    save("idx_gzip", "good", &joined(&gzip(&labels), &gzip(&images)));
    let members = [gzip(&images[..20]), gzip(&images[20..])].concat();
    save("idx_gzip", "members", &joined(&gzip(&labels), &members));

    let shapes: [&[u64]; 6] = [&[6, 4], &[6, 2, 2], &[6, 2, 2, 3], &[6, 1, 2, 2], &[0, 3, 1 << 33, 1 << 33], &[6]];
    for shape in shapes {
        let name = format!("{shape:?}");
        for (kind, npy) in [("u1", array::<u8>(shape)), ("f4", array::<f32>(shape)), ("i8", array::<i64>(shape))] {
            save("npy", &format!("{kind}{name}"), &npy);
            for labels in [array::<u8>(&[6]), array::<i64>(&[6]), Vec::new()] {
                let archive = npz(&[("x", &npy), ("labels", &labels)]);
                save("npz", &format!("{kind}{name}{}", labels.len()), &archive);
                save("npz_arrays", &format!("{kind}{name}{}", labels.len()), &joined(&labels, &npy));
            }
        }
    }
    for (name, kind, order, shape, size) in [
        ("half", "<f2", "False", "(6L, 4L)", 2),
        ("columns", ">f8", "True", "(6, 4)", 8),
        ("text", "<U3", "False", "(6,)", 12),
        ("bytes", "|S2", "False", "(6, 4)", 2),
    ] {
        let dict = format!("{{'descr': '{kind}', 'fortran_order': {order}, 'shape': {shape}, }}\n");
        let header = [b"\x93NUMPY\x01\x00", &(dict.len() as u16).to_le_bytes()[..], dict.as_bytes()].concat();
        let npy = [header, (0..24 * size).map(|byte| byte as u8 % 60).collect()].concat();
        save("npy", name, &npy);
        save("npz_arrays", name, &joined(&npy, &array::<u8>(&[6, 4])));
    }
    let (x, y) = (array::<u8>(&[6, 4]), array::<u8>(&[6]));
    save("npz", "keras", &npz(&[("x_train", &x), ("x_test", &x), ("y_train", &y), ("y_test", &y)]));

    let lines: String = (0..6).map(|i| format!("{i}.5,-{i}e-1,,{}\n", ["a", "\"b\""][i % 2])).collect();
    let table = format!("x,y,z,class\n{lines}");
    for (choice, text) in [(0, table.clone()), (1, table.replace(',', "\t")), (4, table.replace(',', ";")), (2, lines)]
    {
        save("table", &choice.to_string(), &[&[choice], text.as_bytes()].concat());
    }

    let ascending = "name,2019,2020,2021\nx,0.5,NA,1\ny,2,-,0.25\n";
    let index = ",a,b\n0,0.5,?\n1,2,1\n2,1,1\n";
    for (name, text) in [("ascending", ascending), ("index", index)] {
        save("table", name, &[&[200], text.as_bytes()].concat());
    }

    let formats = [        ImageFormat::Png,
        ImageFormat::Jpeg,
        ImageFormat::Bmp,
        ImageFormat::Gif,
        ImageFormat::Pnm,
        ImageFormat::Tiff,
        ImageFormat::WebP,
    ];
    for (choice, format) in formats.into_iter().enumerate() {
        for (name, image) in pictures() {
            let mut bytes = Cursor::new(Vec::new());
            // Not every format stores every kind of pixel.
            if image.write_to(&mut bytes, format).is_ok() {
                for resized in [0, 128 + 5] {
                    let choice = (choice + resized) as u8;
                    save("image", &format!("{choice}{name}"), &[&[choice], bytes.get_ref().as_slice()].concat());
                }
            }
        }
    }
    // Turned, transparent, of 16 bits, of several pages.
    let pictures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/pictures");
    for entry in std::fs::read_dir(pictures).unwrap().map(|entry| entry.unwrap().path()) {
        let kinds = ["png", "jpg", "bmp", "gif", "pgm", "tif", "webp"];
        let kind = entry.extension().and_then(|kind| kinds.iter().position(|known| kind == *known));
        if let Some(choice) = kind {
            let name = entry.file_name().unwrap().to_string_lossy().into_owned();
            save("image", &name, &[&[choice as u8], &std::fs::read(&entry).unwrap()[..]].concat());
        }
    }
    save("image", "plain", b"\x04P2 3 2 255 1 2 3 4 5 6");
    save("image", "pam", b"\x04P7\nWIDTH 2\nHEIGHT 1\nDEPTH 2\nMAXVAL 255\nTUPLTYPE GRAYSCALE_ALPHA\nENDHDR\n1234");

    save("config", "defaults", TrainConfig::default().to_toml().unwrap().as_bytes());
    for (name, _) in PRESETS {
        save("config", name, preset(name).unwrap().to_string().as_bytes());
    }
    let rare = "model = 'iwae'\nsamples = 5\nnoise = 'mask:0.25'\naugment = 'shift:2,flip'\nlr-schedule = 'steps:3,6:0.1'\n\
                data = 'uniform:10x4'\ntest-data = 'a.npz:x'\nimage-size = '8x9'\nsplit = 0.5\nscale = 'minmax'\n";
    save("config", "rare", rare.as_bytes());

    let good = checkpoint();
    save("checkpoint", "good", &good.to_bytes().unwrap());
    save("checkpoint_header", "good", serde_json::to_string(&good.header).unwrap().as_bytes());

    let codes: Vec<f32> = (0..40).map(|i| (i * 37 % 11) as f32).collect();
    for kind in [DensityKind::Gaussian, DensityKind::Mixture] {
        let path = folder().join("density");
        Density::fit(kind, &codes, 2, 0).unwrap().save(&path, "x").unwrap();
        save("density", &format!("{kind:?}"), &std::fs::read(path).unwrap());
    }

    let adapter = Adapter { name: "Quick".to_owned(), driver: Some("maker 1.2".to_owned()) };
    let choice = |size, variant| TunedKernel { size, variant, why: "measured".to_owned() };
    let choices = [choice([128, 400, 784], Algorithm::Tiled), choice([1, 2, 3], Algorithm::Naive)];
    let path = TuningCache::File(folder().join("profile")).write(&adapter, &choices).unwrap();
    save("profile", "good", &std::fs::read(path).unwrap());

    let epoch = |epoch: u32, loss: &str| {
        format!(
            "{{\"epoch\":{epoch},\"step\":{},\"test_loss\":{loss},\"train_loss\":3.5,\"train_kl\":1e-300,\"lr\":0.001,\
             \"beta\":1.0,\"images_per_s\":99.5,\"seconds\":1.5,\"device\":\"CPU\",\"dispatches_per_step\":9,\
             \"dispatches\":90,\"submissions\":3,\"bytes_to_device\":8,\"bytes_from_device\":7}}\n",
            epoch * 10
        )
    };
    save("metrics", "good", [epoch(1, "105.3"), epoch(2, "-1e99"), epoch(3, "0.1")].concat().as_bytes());
}

/// An image file and its label file.
fn idx(count: u32, height: u32, width: u32) -> (Vec<u8>, Vec<u8>) {
    let words = |words: &[u32]| words.iter().flat_map(|word| word.to_be_bytes()).collect::<Vec<u8>>();
    let images = [words(&[0x803, count, height, width]), vec![7; (count * height * width) as usize]].concat();
    (images, [words(&[0x801, count]), vec![3; count as usize]].concat())
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// An array of ones; the header alone of one that is too large or empty.
fn array<T: npyz::AutoSerialize + npyz::Serialize + Copy + From<u8>>(shape: &[u64]) -> Vec<u8> {
    let header = |shape: &str| {
        let kind = T::default_dtype().descr();
        let text = format!("{{'descr': {kind}, 'fortran_order': False, 'shape': {shape}, }}\n");
        [b"\x93NUMPY\x01\x00", &(text.len() as u16).to_le_bytes()[..], text.as_bytes()].concat()
    };
    if shape.contains(&0) {
        return header(&format!("{shape:?}").replace('[', "(").replace(']', ")"));
    }
    let mut bytes = Vec::new();
    let mut writer = npyz::WriteOptions::<T>::new().default_dtype().shape(shape).writer(&mut bytes).begin_nd().unwrap();
    writer.extend((0..shape.iter().product::<u64>()).map(|_| T::from(1))).unwrap();
    writer.finish().unwrap();
    bytes
}

fn npz(arrays: &[(&str, &[u8])]) -> Vec<u8> {
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    for (at, (name, npy)) in arrays.iter().enumerate() {
        let method = [CompressionMethod::Deflated, CompressionMethod::Stored][at % 2];
        archive.start_file(format!("{name}.npy"), FileOptions::default().compression_method(method)).unwrap();
        archive.write_all(npy).unwrap();
    }
    archive.finish().unwrap().into_inner()
}

/// Small pictures of every kind of pixel.
fn pictures() -> Vec<(&'static str, DynamicImage)> {
    let pixels = (0..9 * 7 * 4).map(|i| (i * 31 % 256) as u8).collect();
    let all = DynamicImage::ImageRgba8(image::RgbaImage::from_raw(9, 7, pixels).unwrap());
    vec![
        ("rgba", all.clone()),
        ("rgb", all.to_rgb8().into()),
        ("grey", all.to_luma8().into()),
        ("greya", all.to_luma_alpha8().into()),
        ("rgb16", all.to_rgb16().into()),
        ("grey16", all.to_luma16().into()),
        ("rgb32f", all.to_rgb32f().into()),
    ]
}
