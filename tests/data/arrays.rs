//! NumPy's files as programs write them: any kind of number, any order, any labels, any size.

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use vae_gpu::data::{Reading, Scale, Values};

use super::common::{all, npz, read, says, values};

/// A `.npy` file of this header's dictionary and these bytes.
pub(crate) fn npy(path: &Path, descr: &str, fortran: bool, shape: &str, bytes: &[u8]) -> PathBuf {
    let fortran = if fortran { "True" } else { "False" };
    let dict = format!("{{'descr': '{descr}', 'fortran_order': {fortran}, 'shape': {shape}, }}\n");
    let header = [b"\x93NUMPY\x01\x00", &(dict.len() as u16).to_le_bytes()[..], dict.as_bytes()].concat();
    fs::write(path, [&header, bytes].concat()).unwrap();
    path.to_owned()
}

#[test]
fn kinds_and_orders_of_numbers_are_read() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("a.npy");
    let of = |descr: &str, fortran: bool, shape: &str, bytes: &[u8]| {
        values(&all(&Reading::default(), &npy(&path, descr, fortran, shape, bytes)).0)
    };
    // The bits of 0.5, 0.25, 1 and 0 in half precision.
    assert_eq!(of("<f2", false, "(2L, 2L)", &[0x00, 0x38, 0x00, 0x34, 0x00, 0x3c, 0, 0]), [0.5, 0.25, 1.0, 0.0]);
    // Columns first: [[0, 1, 2], [0.5, 1.5, 2.5]].
    let columns: Vec<u8> = [0.0f64, 0.5, 1.0, 1.5, 2.0, 2.5].iter().flat_map(|value| value.to_be_bytes()).collect();
    assert_eq!(of(">f8", true, "(2, 3)", &columns), [0.0, 1.0, 2.0, 0.5, 1.5, 2.5]);
    assert_eq!(of("|b1", false, "(2, 1)", &[0, 1]), [0.0, 1.0]);
    assert_eq!(
        of("|u1", false, "(2, 2)", &[0, 51, 255, 102]),
        [0.0, 51.0, 255.0, 102.0].map(|byte| byte * (1.0 / 255.0))
    );
}

#[test]
fn labels_of_any_kind_are_classes_or_a_note() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("a.npz");
    let x = || ("x", &[4, 2][..], vec![0.5f32; 8]);
    let labelled = |shape: &'static [u64], labels: Vec<f32>| {
        npz(&path, &[x(), ("y", shape, labels)]);
        all(&Reading::default(), &path)
    };
    let (images, _) = labelled(&[4], vec![-3.0, 1000.0, 20.0, -3.0]);
    assert_eq!(images.labels, [Some(0), Some(2), Some(1), Some(0)]);
    let (images, notes) = labelled(&[4, 3], vec![0., 1., 0., 0., 0., 1., 1., 0., 0., 0., 1., 0.]);
    assert_eq!(images.labels, [Some(1), Some(2), Some(0), Some(1)]);
    says(&notes, &["one-hot"]);
    let (images, notes) = labelled(&[4], vec![0.25, 1.0, 2.0, 3.0]);
    assert_eq!(images.labels, [None; 4]);
    says(&notes, &["array \"y\"", "no classes"]);
    let (images, _) = labelled(&[4], vec![3.0, 255.0, 0.0, 3.0]);
    assert_eq!(images.labels, [Some(3), Some(255), Some(0), Some(3)]);
}

#[test]
fn dark_bytes_are_said_and_minmax_brings_them_to_the_whole_range() {
    let folder = TempDir::new().unwrap();
    let bytes: Vec<u8> = (0..80).map(|at| u8::from(at % 3 == 0)).collect();
    let path = npy(&folder.path().join("mask.npy"), "|u1", false, "(20, 4)", &bytes);
    let dark = read(&Reading::default(), &path);
    says(&dark.notes, &["the largest byte is 1 of 255", "--scale minmax"]);
    let data = read(&Reading { scale: Scale::Minmax, ..Reading::default() }, &path);
    let mut found = values(&data.train);
    found.sort_by(f32::total_cmp);
    found.dedup();
    assert_eq!(found, [0.0, 1.0]);
    assert!(data.notes.is_empty(), "{:?}", data.notes);
}

#[test]
fn a_file_larger_than_memory_is_read_in_pieces_with_the_same_values() {
    let folder = TempDir::new().unwrap();
    let bytes: Vec<u8> = (0..40 * 48u32).map(|at| (at * at / 7) as u8).collect();
    let reals: Vec<u8> = bytes.iter().flat_map(|&byte| (f32::from(byte) / 100.0).to_le_bytes()).collect();
    for (name, descr, shape, content) in [
        ("grey.npy", "|u1", "(40, 6, 8)", &bytes),
        ("rgb.npy", "|u1", "(40, 3, 4, 4)", &bytes),
        ("real.npy", "<f4", "(40, 48)", &reals),
    ] {
        let path = npy(&folder.path().join(name), descr, false, shape, content);
        for scale in [Scale::Auto, Scale::Minmax, Scale::Standard] {
            let reading = Reading { scale, ..Reading::default() };
            let whole = read(&reading, &path);
            let pieces = read(&Reading { in_memory: Some(1000), ..reading }, &path);
            assert!(matches!(pieces.train.pixels, Values::Stored(_)), "{name}");
            for (a, b) in [(&whole.train, &pieces.train), (&whole.test, &pieces.test)] {
                assert!(values(a) == values(b), "{name} {scale:?}");
                assert_eq!(a.pixels.are_bytes(), b.pixels.are_bytes());
            }
            assert_eq!(whole.fingerprint().unwrap(), pieces.fingerprint().unwrap(), "{name} {scale:?}");
            says(&pieces.notes, &["stay in their file"]);
        }
    }
}
