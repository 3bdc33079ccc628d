//! Each kind of source trains with one command, and each fault is named.

use std::fs;
use std::path::Path;

use image::{DynamicImage, GrayImage, RgbImage, RgbaImage};
use tempfile::TempDir;

use super::common::{command, faces, fractions, idx, names, npz, refused, spots, train};

#[test]
fn idx_files_of_any_size() {
    let folder = TempDir::new().unwrap();
    for (stem, count) in [("train", 64), ("t10k", 20)] {
        idx(folder.path().join(format!("{stem}-images-idx3-ubyte")), &[count, 9, 7], &spots(count as usize, 9, 7, 1));
        idx(folder.path().join(format!("{stem}-labels-idx1-ubyte")), &[count], &vec![1; count as usize]);
    }
    let (printed, samples) = train(folder.path(), ".", &[]);
    names(&printed, &["64 + 20 examples of 9x7: bytes from 15 to 255"]);
    assert_eq!((samples.width(), samples.height()), (2 * (7 * 8 + 2) + 2, 2 * (9 * 8 + 2) + 2));
}

#[test]
fn a_folder_of_grey_images_with_labels() {
    let folder = TempDir::new().unwrap();
    let data = folder.path().join("faces");
    faces(&data, 60);
    fs::write(data.join("ann/notes.txt"), "not an image").unwrap();
    fs::write(data.join(".hidden"), "").unwrap();
    let (printed, samples) = train(folder.path(), "faces", &["--split", "0.8"]);
    names(
        &printed,
        &["48 + 12 examples of 12x10", "1 file (", "notes.txt) is no image, and is left out", "2 classes (ann, bob)"],
    );
    assert!(samples.as_luma8().is_some());
    command(folder.path()).args(["encode", "run", "--device", "cpu", "--out", "codes.npy"]).assert().success();
    let labels = fs::read(folder.path().join("codes.labels.npy")).unwrap();
    let labels = npyz::NpyFile::new(&labels[..]).unwrap().into_vec::<f32>().unwrap();
    assert!(labels.len() == 12 && labels.contains(&0.0) && labels.contains(&1.0), "{labels:?}");
    // Another size on request, in one command.
    let (printed, _) = train_again(folder.path(), "faces", &["--image-size", "6x5"]);
    names(&printed, &["54 + 6 examples of 6x5"]);
}

fn train_again(folder: &Path, data: &str, more: &[&str]) -> (String, DynamicImage) {
    fs::remove_dir_all(folder.join("run")).unwrap();
    train(folder, data, more)
}

#[test]
fn colour_images_stay_coloured() {
    let folder = TempDir::new().unwrap();
    for (set, count) in [("train", 40), ("test", 10)] {
        let images = folder.path().join("data").join(set);
        fs::create_dir_all(&images).unwrap();
        for (at, pixels) in spots(count, 8, 8, 3).chunks(192).enumerate() {
            let image = RgbImage::from_raw(8, 8, pixels.to_vec()).unwrap();
            image.save(images.join(format!("{at}.png"))).unwrap();
        }
    }
    // A grey one among them, and one with a transparent half, which is black.
    GrayImage::from_pixel(8, 8, image::Luma([9])).save(folder.path().join("data/train/0.png")).unwrap();
    RgbaImage::from_pixel(8, 8, image::Rgba([255, 255, 255, 0])).save(folder.path().join("data/train/1.png")).unwrap();
    let (printed, samples) = train(folder.path(), "data", &[]);
    names(&printed, &["40 + 10 examples of 8x8 RGB: bytes from 0 to 255"]);
    assert!(samples.as_rgb8().is_some());
    let array = fs::read(folder.path().join("samples.npy")).unwrap();
    assert_eq!(npyz::NpyFile::new(&array[..]).unwrap().shape(), [4, 192]);
}

#[test]
fn arrays_by_name_or_the_only_one() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("a.npz");
    let images = fractions(&spots(50, 6, 6, 1));
    npz(&file, &[("images", &[50, 6, 6], images.clone()), ("labels", &[50], vec![3.0; 50])]);
    let (printed, _) = train(folder.path(), "a.npz", &[]);
    names(&printed, &["45 + 5 examples of 6x6: floats from "]);
    npz(&file, &[("a", &[50, 6, 6], images.clone()), ("b", &[50, 36], images.clone())]);
    let (_, message) = refused(folder.path(), "a.npz", &[]);
    names(&message, &["a.npz", "FILE.npz:NAME", "a [50, 6, 6]", "b [50, 36]"]);
    train_again(folder.path(), "a.npz:a", &[]);
    npz(&file, &[("x_train", &[50, 36], images.clone()), ("x_test", &[25, 36], images[..25 * 36].to_vec())]);
    let (printed, _) = train_again(folder.path(), "a.npz", &[]);
    names(&printed, &["50 + 25 examples of 6x6"]);
}

#[test]
fn tables_are_scaled_and_samples_come_back_on_their_scale() {
    let folder = TempDir::new().unwrap();
    let mut text = "height;weight;class\n".to_owned();
    for at in 0..80 {
        text += &format!("{};{};{}\n", 150 + at % 40, 0.001 * (at % 7) as f64, ["cat", "dog"][at % 2]);
    }
    fs::write(folder.path().join("people.csv"), text).unwrap();
    let gaussian = ["--loss", "mse", "--output", "identity", "--scale", "standard", "--epochs", "30", "--lr", "0.01"];
    let (code, message) = refused(folder.path(), "people.csv", &["--scale", "none"]);
    assert_eq!(code, 2);
    names(&message, &["people.csv", "holds 15", "in [0, 1]", "--scale minmax"]);
    let (printed, _) = train(folder.path(), "people.csv", &gaussian[..6]);
    names(&printed, &["72 + 8 examples of 1x2: floats, scaled"]);
    let array = fs::read(folder.path().join("samples.npy")).unwrap();
    let values = npyz::NpyFile::new(&array[..]).unwrap().into_vec::<f32>().unwrap();
    assert!(values.chunks(2).all(|row| (100.0..250.0).contains(&row[0]) && row[1].abs() < 0.1), "{values:?}");
    // The scale is the checkpoint's: commands apply it to the data they read, and a run that goes on keeps it.
    let scaling = || {
        let path = folder.path().join("run/checkpoints/last.safetensors");
        vae_gpu::train::Checkpoint::load(&path).unwrap().header.schema.scaling.unwrap()
    };
    let fitted = scaling();
    fs::write(folder.path().join("giants.csv"), "height;weight\n".to_owned() + &"300;0.01\n250;0.02\n".repeat(20))
        .unwrap();
    let resumed = ["train", "--resume", "run", "--data", "giants.csv", "--epochs", "31"];
    let printed = command(folder.path()).args(resumed).assert().success().get_output().stdout.clone();
    names(&String::from_utf8(printed).unwrap(), &["they are not those the run had (72 training and 8 test examples"]);
    assert_eq!(scaling(), fitted);
    command(folder.path()).args(["eval", "run", "--device", "cpu", "--samples", "0"]).assert().success();
}

#[test]
fn a_test_set_of_its_own_file() {
    let folder = TempDir::new().unwrap();
    let row = |at: usize| format!("{},{},{}\n", at as f64 / 40.0, 0.5, 1.0 - at as f64 / 40.0);
    fs::write(folder.path().join("a.csv"), (0..40).map(row).collect::<String>()).unwrap();
    fs::write(folder.path().join("b.csv"), (0..17).map(row).collect::<String>()).unwrap();
    let (printed, _) = train(folder.path(), "a.csv", &["--test-data", "b.csv"]);
    names(&printed, &["40 + 17 examples of 1x3", "1 of 3 the same in all training examples"]);
    let images = |more: &[&str]| {
        let eval = ["eval", "run", "--device", "cpu", "--samples", "0", "--json", "-"];
        let printed = command(folder.path()).args(eval).args(more).assert().success().get_output().stdout.clone();
        serde_json::from_slice::<serde_json::Value>(&printed).unwrap()["images"].as_u64()
    };
    assert_eq!(images(&[]), Some(17));
    // Of other data all are read, where they have no sets of their own.
    assert_eq!(images(&["--data", "a.csv"]), Some(40));
    fs::write(folder.path().join("b.csv"), "1,0\n0,1\n").unwrap();
    let (_, message) = refused(folder.path(), "a.csv", &["--test-data", "b.csv"]);
    names(&message, &["1x3", "1x2", "must be equal"]);
}

#[test]
fn bad_images_are_named() {
    let folder = TempDir::new().unwrap();
    let data = folder.path().join("d");
    faces(&data, 20);
    fs::write(data.join("bob/bad.png"), "this is text").unwrap();
    let (code, message) = refused(folder.path(), "d", &[]);
    assert_eq!(code, 1);
    names(&message, &["bad.png", "can't be read as an image", "--drop-bad"]);
    let (printed, _) = train(folder.path(), "d", &["--drop-bad"]);
    names(&printed, &["18 + 2 examples", "1 image (", "bad.png: it can't be read as an image", "is left out"]);
    fs::write(data.join("bob/bad.pgm"), "P5 0 3 255\n").unwrap();
    names(&refused(folder.path(), "d", &[]).1, &["bad.p"]);
    fs::remove_file(data.join("bob/bad.png")).unwrap();
    names(&refused(folder.path(), "d", &[]).1, &["bad.pgm"]);
    fs::remove_file(data.join("bob/bad.pgm")).unwrap();
    GrayImage::new(3, 4).save(data.join("bob/small.png")).unwrap();
    names(
        &refused(folder.path(), "d", &[]).1,
        &["images differ in size", "1 of 4x3", "small.png", "20 of 12x10", "--image-size"],
    );
    fs::rename(data.join("bob/small.png"), data.join("small.png")).unwrap();
    names(&refused(folder.path(), "d", &[]).1, &["small.png", "sub-folders"]);
    fs::create_dir(folder.path().join("empty")).unwrap();
    names(&refused(folder.path(), "empty", &[]).1, &["empty", "there is no image"]);
}

#[test]
fn bad_numbers_are_named() {
    let folder = TempDir::new().unwrap();
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    write("ragged.csv", "a,b\n0,1\n1\n");
    names(&refused(folder.path(), "ragged.csv", &[]).1, &["ragged.csv", "line 3 has 1 cells", "2"]);
    write("words.csv", "a,b\n0,1\n1,high\n");
    names(&refused(folder.path(), "words.csv", &[]).1, &["words.csv", "line 3, column 1 (b)", "\"high\"", "a number"]);
    let mut values = fractions(&spots(40, 2, 2, 1));
    values[9] = f32::NAN;
    npz(&folder.path().join("nan.npz"), &[("x", &[40, 4], values.clone())]);
    let (code, message) = refused(folder.path(), "nan.npz", &[]);
    assert_eq!(code, 1);
    names(&message, &["nan.npz", "training example 2", "NaN as value 1", "1 of 40", "--drop-bad"]);
    let (printed, _) = train(folder.path(), "nan.npz", &["--drop-bad"]);
    names(
        &printed,
        &["35 + 4 examples", "1 training example (number 2 from 0) holds values that are not finite, and is left out"],
    );
    values[9] = 1.5;
    npz(&folder.path().join("range.npz"), &[("x", &[40, 4], values)]);
    let (printed, _) = train_again(folder.path(), "range.npz", &[]);
    names(
        &printed,
        &["values from 0.5294118 to 1.5 are brought to [0, 1], which --loss bce needs: each column by itself"],
    );
    let (code, message) = refused(folder.path(), "range.npz", &["--scale", "none"]);
    assert_eq!(code, 2);
    names(&message, &["range.npz", "holds 1.5", "in [0, 1] with --loss bce"]);
    write("data.xyz", "1");
    names(&refused(folder.path(), "data.xyz", &[]).1, &["data.xyz", ".npz", ".csv"]);
    names(&refused(folder.path(), "nowhere.csv", &[]).1, &["nowhere.csv"]);
    write("one.csv", "1,2,3\n");
    names(&refused(folder.path(), "one.csv", &[]).1, &["one.csv", "at least two"]);
}

#[test]
fn options_that_data_do_not_have_are_refused() {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("a.csv"), "0,1\n1,0\n").unwrap();
    for (data, flags, parts) in [
        ("a.csv", &["--image-size", "4x4"][..], &["--image-size", "a folder of images"][..]),
        ("uniform:9x4", &["--label-column", "y"], &["--label-column", ".csv"]),
        ("uniform:9x4", &["--split", "0.5"], &["--split", "the data have one"]),
        ("a.csv", &["--split", "1.5"], &["--split is 1.5", "below 1"]),
        ("a.csv", &["--image-size", "big"], &["HEIGHTxWIDTH"]),
        ("a.csv", &["--scale", "half"], &["possible values: auto, 255, minmax, standard, none"]),
    ] {
        let (code, message) = refused(folder.path(), data, flags);
        assert_eq!(code, 2, "{message}");
        names(&message, parts);
    }
}
