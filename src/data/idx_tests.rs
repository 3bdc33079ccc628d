use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::prelude::*;
use tempfile::TempDir;

use super::*;

fn idx(magic: u32, dims: &[u32], bytes: &[u8]) -> Vec<u8> {
    let mut file = magic.to_be_bytes().to_vec();
    dims.iter().for_each(|dim| file.extend(dim.to_be_bytes()));
    file.extend_from_slice(bytes);
    file
}

fn gz(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Two training images and one test image of 2x3, as the four files' bytes.
fn small() -> [(&'static str, Vec<u8>); 4] {
    [
        ("train-images-idx3-ubyte", idx(IMAGE_MAGIC, &[2, 2, 3], &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12])),
        ("train-labels-idx1-ubyte", idx(LABEL_MAGIC, &[2], &[255, 0])),
        ("t10k-images-idx3-ubyte", idx(IMAGE_MAGIC, &[1, 2, 3], &[6, 5, 4, 3, 2, 1])),
        ("t10k-labels-idx1-ubyte", idx(LABEL_MAGIC, &[1], &[7])),
    ]
}

fn folder_of(files: &[(&str, Vec<u8>)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    files.iter().for_each(|(name, bytes)| fs::write(folder.path().join(name), bytes).unwrap());
    folder
}

/// The message for the small data set with one file's bytes replaced; it must name the file.
fn message_with(name: &str, bytes: Vec<u8>) -> String {
    let folder = folder_of(&small());
    fs::write(folder.path().join(name), bytes).unwrap();
    let error = Dataset::from_idx_dir(folder.path()).unwrap_err();
    assert!(matches!(error, Error::Format { .. }), "{error:?}");
    let message = error.to_string();
    assert!(message.contains(name), "{message}");
    message
}

#[test]
fn every_allowed_name_is_read_alike() {
    let plain = Dataset::from_idx_dir(folder_of(&small()).path()).unwrap();
    assert_eq!(plain.train.size, ImageSize::grey(2, 3));
    assert_eq!(plain.train.pixels, Values::Bytes((1..=12).collect()));
    assert_eq!(plain.train.labels, [255, 0]);
    assert_eq!((plain.test.count(), &plain.test.pixels), (1, &Values::Bytes(vec![6, 5, 4, 3, 2, 1])));

    let renamed: [fn(&str) -> String; 3] =
        [|name| format!("{name}.gz"), |name| name.replace("-idx", ".idx"), |name| name.replace("-idx", ".idx") + ".gz"];
    for rename in renamed {
        let files = small().map(|(name, bytes)| (rename(name), bytes));
        let files = files.map(|(name, bytes)| if name.ends_with(".gz") { (name, gz(&bytes)) } else { (name, bytes) });
        let files: Vec<_> = files.iter().map(|(name, bytes)| (name.as_str(), bytes.clone())).collect();
        let read = Dataset::from_idx_dir(folder_of(&files).path()).unwrap();
        assert!(read.train == plain.train && read.test == plain.test, "{files:?}");
    }
}

#[test]
fn the_data_set_is_called_like_its_folder() {
    let folder = tempfile::tempdir().unwrap();
    let inner = folder.path().join("fashion");
    fs::create_dir(&inner).unwrap();
    small().iter().for_each(|(name, bytes)| fs::write(inner.join(name), bytes).unwrap());
    assert_eq!(Dataset::from_idx_dir(&inner).unwrap().name, "fashion");
    assert_eq!(Dataset::from_idx_dir(&inner.join(".")).unwrap().name, "fashion");
}

#[test]
fn a_missing_file_is_named_with_its_folder_and_the_allowed_names() {
    let folder = folder_of(&small()[..3]);
    let message = Dataset::from_idx_dir(folder.path()).unwrap_err().to_string();
    assert!(message.contains(folder.path().to_str().unwrap()), "{message}");
    for name in ["t10k-labels-idx1-ubyte", "t10k-labels.idx1-ubyte", "t10k-labels-idx1-ubyte.gz"] {
        assert!(message.contains(name), "{message}");
    }

    assert!(matches!(Dataset::from_idx_dir(&folder.path().join("nowhere")), Err(Error::Io { .. })));
    let file = folder.path().join("train-images-idx3-ubyte");
    assert!(Dataset::from_idx_dir(&file).unwrap_err().to_string().contains("a folder"));
}

#[test]
fn wrong_magic_numbers_say_what_is_allowed() {
    let message = message_with("train-images-idx3-ubyte", idx(0x0d03, &[1, 1, 1], &[0; 4]));
    assert!(message.contains("0x00000d03") && message.contains("0x00000803"), "{message}");
    let message = message_with("t10k-labels-idx1-ubyte", idx(IMAGE_MAGIC, &[1, 1, 1], &[0]));
    assert!(message.contains("0x00000803") && message.contains("0x00000801"), "{message}");
    let message = message_with("t10k-labels-idx1-ubyte", gz(&idx(LABEL_MAGIC, &[1], &[7])));
    assert!(message.contains("must end in .gz"), "{message}");
}

#[test]
fn lengths_must_match_the_header() {
    let images = |dims: &[u32], bytes: usize| idx(IMAGE_MAGIC, dims, &vec![0; bytes]);
    let message = message_with("train-images-idx3-ubyte", images(&[2, 2, 3], 11));
    assert!(message.contains("truncated: header promises 12 bytes of pixels"), "{message}");
    assert!(message.contains("file has 11"), "{message}");
    let message = message_with("train-images-idx3-ubyte", images(&[2, 2, 3], 13));
    assert!(message.contains("more bytes follow"), "{message}");
    let message = message_with("t10k-images-idx3-ubyte", images(&[0, 2, 3], 0));
    assert!(message.contains("may be 0"), "{message}");
    let message = message_with("t10k-images-idx3-ubyte", images(&[1, 2, 3], 6)[..10].to_vec());
    assert!(message.contains("header takes 16 bytes, file has 10"), "{message}");
    let message = message_with("train-labels-idx1-ubyte", idx(LABEL_MAGIC, &[2], &[1]));
    assert!(message.contains("header promises 2 bytes of labels, file has 1"), "{message}");
    let message = message_with("train-labels-idx1-ubyte", idx(LABEL_MAGIC, &[3], &[1, 2, 3]));
    assert!(message.contains("3 labels for the 2 images"), "{message}");
    let message = message_with("t10k-images-idx3-ubyte", images(&[1, 3, 3], 9));
    assert!(message.contains("3x3") && message.contains("2x3"), "{message}");
}

/// Neither claim may be believed: the first overflows 64 bits, the second is 4 GiB that are not there.
#[test]
fn huge_claims_fail_without_huge_memory() {
    let all = u32::MAX;
    let message = message_with("train-images-idx3-ubyte", idx(IMAGE_MAGIC, &[all, all, all], &[0; 8]));
    assert!(message.contains("too many bytes"), "{message}");
    let message = message_with("train-images-idx3-ubyte", idx(IMAGE_MAGIC, &[all, 1, 1], &[0; 8]));
    assert!(message.contains("promises 4294967295 bytes") && message.contains("file has 8"), "{message}");
}

#[test]
fn damaged_gzip_is_a_format_error() {
    let name = "train-images-idx3-ubyte.gz";
    let mut files = small().to_vec();
    let whole = gz(&files[0].1);
    files.remove(0);
    let folder = folder_of(&files);
    let attempt = |bytes: &[u8]| {
        fs::write(folder.path().join(name), bytes).unwrap();
        Dataset::from_idx_dir(folder.path())
    };
    attempt(&whole).unwrap();
    for cut in 0..whole.len() {
        let error = attempt(&whole[..cut]).unwrap_err();
        assert!(matches!(&error, Error::Format { path, .. } if path.ends_with(name)), "cut at {cut}: {error:?}");
    }
    let mut wrong_sum = whole.clone();
    wrong_sum[whole.len() - 5] ^= 1;
    assert!(attempt(&wrong_sum).unwrap_err().to_string().contains("gzip"));
    let trailing = [whole.as_slice(), b"trailing"].concat();
    assert!(matches!(attempt(&trailing), Err(Error::Format { .. })));
    assert!(matches!(attempt(b"not gzip at all, but long enough"), Err(Error::Format { .. })));
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(
        images in proptest::collection::vec(any::<u8>(), 0..64),
        labels in proptest::collection::vec(any::<u8>(), 0..64),
    ) {
        let _ = decode(Path::new("i"), &images[..], Path::new("l"), &labels[..]);
        let _ = decode(Path::new("i"), MultiGzDecoder::new(&images[..]), Path::new("l"), &labels[..]);
    }

    /// Headers that are nearly right reach deeper than noise does.
    #[test]
    fn arbitrary_headers_never_panic(
        dims in proptest::array::uniform3(prop_oneof![0u32..4, any::<u32>()]),
        count in prop_oneof![0u32..4, any::<u32>()],
        bytes in proptest::collection::vec(any::<u8>(), 0..40),
    ) {
        let (images, labels) = (idx(IMAGE_MAGIC, &dims, &bytes), idx(LABEL_MAGIC, &[count], &bytes));
        if let Ok(read) = decode(Path::new("i"), &images[..], Path::new("l"), &labels[..]) {
            prop_assert_eq!(read.pixels.len(), read.count() * read.features());
        }
        let _ = decode(Path::new("i"), MultiGzDecoder::new(&gz(&images)[..]), Path::new("l"), &labels[..]);
    }

    #[test]
    fn damaged_gzip_never_panics(position in 0usize..2000, value in any::<u8>()) {
        let pixels: Vec<u8> = (0..1000u32).map(|i| ((i * i) >> 3) as u8).collect();
        let mut images = gz(&idx(IMAGE_MAGIC, &[10, 10, 10], &pixels));
        let position = position % images.len();
        images[position] = value;
        let labels = idx(LABEL_MAGIC, &[10], &[0; 10]);
        if let Ok(read) = decode(Path::new("i"), MultiGzDecoder::new(&images[..]), Path::new("l"), &labels[..]) {
            prop_assert_eq!(read.pixels, Values::Bytes(pixels)); // only bytes outside the sums (time, name) may change unnoticed
        }
    }
}
