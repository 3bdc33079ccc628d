use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::prelude::*;
use tempfile::TempDir;

use super::*;

const IMAGE_MAGIC: u32 = 0x803;
const LABEL_MAGIC: u32 = 0x801;

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
    let error = read(folder.path()).err().unwrap();
    assert!(matches!(error, Error::Format { .. }), "{error:?}");
    let message = error.to_string();
    assert!(message.contains(name), "{message}");
    message
}

#[test]
fn every_allowed_name_is_read_alike() {
    let plain = read(folder_of(&small()).path()).unwrap();
    let [(Set::Train, train), (Set::Test, test)] = plain.sets.as_slice() else { panic!("two sets") };
    assert_eq!((train.size, train.white), (ImageSize::grey(2, 3), Some(255.0)));
    assert_eq!(train.numbers, Numbers::Bytes((1..=12).collect()));
    assert_eq!(train.labels, Labels::Numbers(vec![255.0, 0.0]));
    assert_eq!((test.count(), &test.numbers), (1, &Numbers::Bytes(vec![6, 5, 4, 3, 2, 1])));

    let renamed: [fn(&str) -> String; 4] = [
        |name| format!("{name}.gz"),
        |name| name.replace("-idx", ".idx"),
        |name| name.replace("-idx", ".idx") + ".gz",
        |name| format!("emnist-letters-{}", name.replace("t10k", "test")),
    ];
    for rename in renamed {
        let files = small().map(|(name, bytes)| (rename(name), bytes));
        let files = files.map(|(name, bytes)| if name.ends_with(".gz") { (name, gz(&bytes)) } else { (name, bytes) });
        let files: Vec<_> = files.iter().map(|(name, bytes)| (name.as_str(), bytes.clone())).collect();
        let found = read(folder_of(&files).path()).unwrap();
        assert!(found.sets == plain.sets, "{files:?}");
    }
}

#[test]
fn the_data_set_is_called_like_its_folder() {
    let folder = tempfile::tempdir().unwrap();
    let inner = folder.path().join("fashion");
    fs::create_dir(&inner).unwrap();
    small().iter().for_each(|(name, bytes)| fs::write(inner.join(name), bytes).unwrap());
    assert_eq!(read(&inner).unwrap().name, "fashion");
    assert_eq!(read(&inner.join(".")).unwrap().name, "fashion");
}

#[test]
fn a_missing_file_is_named_with_its_folder_and_the_allowed_names() {
    let message = |files: &[(&str, Vec<u8>)]| {
        let folder = folder_of(files);
        let message = read(folder.path()).err().unwrap().to_string();
        assert!(message.contains(folder.path().to_str().unwrap()), "{message}");
        message
    };
    let missing = message(&small()[1..]);
    for name in ["train-images-idx3-ubyte", "train-images.idx3-ubyte", "train-images-idx3-ubyte.gz"] {
        assert!(missing.contains(name), "{missing}");
    }
    let [train_images, train_labels, _, test_labels] = small();
    assert!(message(&[train_images, train_labels, test_labels]).contains("images is missing"));
    assert!(matches!(read(Path::new("/nowhere/at/all")).err().unwrap(), Error::Io { .. }));
}

#[test]
fn labels_may_be_missing_and_numbers_be_real() {
    let [train_images, ..] = small();
    let found = read(folder_of(&[train_images]).path()).unwrap();
    assert!(
        found.sets[0].1.labels == Labels::None && found.notes[0].contains("no file of labels"),
        "{:?}",
        found.notes
    );
    let reals: Vec<u8> = [0.5f32, -1.25].iter().flat_map(|value| value.to_be_bytes()).collect();
    let found = read(folder_of(&[("train-images-idx2-float", idx(0x0d02, &[1, 2], &reals))]).path()).unwrap();
    assert_eq!(found.sets[0].1.numbers, Numbers::Floats(vec![0.5, -1.25]));
    assert_eq!((found.sets[0].1.size, found.sets[0].1.white), (ImageSize::grey(1, 2), None));
}

#[test]
fn one_of_several_data_sets_is_named_by_its_file() {
    let folder = folder_of(&small());
    for (name, bytes) in small() {
        let name = format!("emnist-letters-{}", name.replace("t10k", "test"));
        fs::write(
            folder.path().join(&name),
            if name.contains("images") { idx(IMAGE_MAGIC, &[2, 1, 1], &[8, 9]) } else { bytes },
        )
        .unwrap();
    }
    fs::write(folder.path().join("emnist-letters-test-labels-idx1-ubyte"), idx(LABEL_MAGIC, &[2], &[1, 2])).unwrap();
    let message = read(folder.path()).err().unwrap().to_string();
    assert!(message.contains("2 data sets") && message.contains("emnist-letters-"), "{message}");
    let found = read(&folder.path().join("emnist-letters-train-images-idx3-ubyte")).unwrap();
    assert_eq!((found.sets.len(), found.sets[0].1.count()), (2, 2));
    assert!(found.notes[0].contains("mirrored"), "{:?}", found.notes);
    let found = read(&folder.path().join("t10k-images-idx3-ubyte")).unwrap();
    assert!(found.sets.len() == 1 && found.sets[0].0 == Set::Test);
}

#[test]
fn wrong_magic_numbers_say_what_is_allowed() {
    let message = message_with("train-images-idx3-ubyte", idx(0x0703, &[1, 1, 1], &[0; 4]));
    assert!(message.contains("0x00000703") && message.contains("0x00000803"), "{message}");
    let message = message_with("t10k-labels-idx1-ubyte", idx(IMAGE_MAGIC, &[1, 1, 1], &[0]));
    assert!(message.contains("labels must have one"), "{message}");
    let message = message_with("t10k-labels-idx1-ubyte", gz(&idx(LABEL_MAGIC, &[1], &[7])));
    assert!(message.contains("must end in .gz"), "{message}");
    let twice = gz(&gz(&idx(LABEL_MAGIC, &[1], &[7])));
    let [a, b, c, _] = small();
    let folder = folder_of(&[a, b, c, ("t10k-labels-idx1-ubyte.gz", twice)]);
    let message = read(folder.path()).err().unwrap().to_string();
    assert!(message.contains("compressed twice") && !message.contains("must end"), "{message}");
}

#[test]
fn lengths_must_match_the_header() {
    let images = |dims: &[u32], bytes: usize| idx(IMAGE_MAGIC, dims, &vec![0; bytes]);
    let message = message_with("train-images-idx3-ubyte", images(&[2, 2, 3], 11));
    assert!(message.contains("truncated: header promises 12 bytes"), "{message}");
    assert!(message.contains("file has 11"), "{message}");
    let message = message_with("train-images-idx3-ubyte", images(&[2, 2, 3], 13));
    assert!(message.contains("more bytes follow"), "{message}");
    let message = message_with("t10k-images-idx3-ubyte", images(&[0, 2, 3], 0));
    assert!(message.contains("may be 0"), "{message}");
    let message = message_with("t10k-images-idx3-ubyte", images(&[1, 2, 3], 6)[..10].to_vec());
    assert!(message.contains("ends within its header"), "{message}");
    let message = message_with("train-labels-idx1-ubyte", idx(LABEL_MAGIC, &[2], &[1]));
    assert!(message.contains("header promises 2 bytes ([2] numbers), file has 1"), "{message}");
    let message = message_with("train-labels-idx1-ubyte", idx(LABEL_MAGIC, &[3], &[1, 2, 3]));
    assert!(message.contains("3 labels for the 2 images"), "{message}");
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
        read(folder.path())
    };
    attempt(&whole).unwrap();
    for cut in 0..whole.len() {
        let error = attempt(&whole[..cut]).err().unwrap();
        assert!(matches!(&error, Error::Format { path, .. } if path.ends_with(name)), "cut at {cut}: {error:?}");
    }
    let mut wrong_sum = whole.clone();
    wrong_sum[whole.len() - 5] ^= 1;
    assert!(attempt(&wrong_sum).err().unwrap().to_string().contains("gzip"));
    let trailing = [whole.as_slice(), b"trailing"].concat();
    assert!(matches!(attempt(&trailing), Err(Error::Format { .. })));
    assert!(matches!(attempt(b"not gzip at all, but long enough"), Err(Error::Format { .. })));
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
        let _ = decode(Path::new("i"), &bytes[..]);
        let _ = decode(Path::new("i"), MultiGzDecoder::new(&bytes[..]));
    }

    /// Headers that are nearly right reach deeper than noise does.
    #[test]
    fn arbitrary_headers_never_panic(
        kind in prop_oneof![Just(8u32), 7u32..16],
        dims in proptest::collection::vec(prop_oneof![0u32..4, any::<u32>()], 0..5),
        bytes in proptest::collection::vec(any::<u8>(), 0..40),
    ) {
        let file = idx(kind << 8 | dims.len() as u32, &dims, &bytes);
        if let Ok((sizes, numbers)) = decode(Path::new("i"), &file[..]) {
            prop_assert_eq!(numbers.len(), sizes.iter().product::<usize>());
        }
        let _ = decode(Path::new("i"), MultiGzDecoder::new(&gz(&file)[..]));
    }

    #[test]
    fn damaged_gzip_never_panics(position in 0usize..2000, value in any::<u8>()) {
        let pixels: Vec<u8> = (0..1000u32).map(|i| ((i * i) >> 3) as u8).collect();
        let mut images = gz(&idx(IMAGE_MAGIC, &[10, 10, 10], &pixels));
        let position = position % images.len();
        images[position] = value;
        if let Ok((_, numbers)) = decode(Path::new("i"), MultiGzDecoder::new(&images[..])) {
            prop_assert_eq!(numbers, Numbers::Bytes(pixels)); // only bytes outside the sums (time, name) may change unnoticed
        }
    }
}
