//! A folder of two images of any format, as they are and resized: a header may claim any size. The first byte chooses the
//! file's name.
#![no_main]

use libfuzzer_sys::fuzz_target;
use vae_gpu::data::{Channels, Reading};
use vae_gpu_fuzz::{folder, read_data};

const KINDS: [&str; 7] = ["png", "jpg", "bmp", "gif", "pnm", "tiff", "webp"];

fuzz_target!(|input: &[u8]| {
    let (choice, bytes) = input.split_first().unwrap_or((&0, &[]));
    let kind = KINDS[usize::from(*choice) % KINDS.len()];
    let images = folder().join(kind);
    std::fs::create_dir_all(&images).unwrap();
    for name in ["a", "b"] {
        std::fs::write(images.join(format!("{name}.{kind}")), bytes).unwrap();
    }
    let image_size = (*choice >= 128).then_some((3, 5));
    let channels = [None, Some(Channels::Grey), Some(Channels::Rgb)][usize::from(choice / KINDS.len() as u8) % 3];
    let background = ["black", "#ff8000"][usize::from(choice / 64) % 2].parse().unwrap();
    read_data(&images, Reading { image_size, channels, background, ..Reading::default() });
});
