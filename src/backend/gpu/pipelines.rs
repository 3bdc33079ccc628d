//! Compiled kernels kept on disk, where the driver gives them out (Vulkan): the next process need not compile them again.
//!
//! The file is the CRC-32 of what follows, little-endian, then the driver's data. One that is damaged, or of another
//! adapter or driver, is as good as none, and replaced. A file that can't be written costs the next process time and
//! nothing else, so it is no error.

use crate::files::write_atomic;
use crate::unchecked;
use std::path::{Path, PathBuf};

/// A pipeline cache and its file; written when it is dropped, if it holds something new.
#[derive(Debug)]
pub(super) struct Pipelines {
    pub(super) cache: wgpu::PipelineCache,
    path: PathBuf,
    /// CRC-32 of what the file holds.
    held: Option<u32>,
}

impl Pipelines {
    /// The cache in `folder/key`; `device` must have [`wgpu::Features::PIPELINE_CACHE`].
    pub(super) fn open(device: &wgpu::Device, folder: &Path, key: &str) -> Pipelines {
        let path = folder.join(key);
        let file = std::fs::read(&path).unwrap_or_default();
        let data = unpack(&file);
        // Its checksum is right.
        let cache = unchecked::pipeline_cache(device, data);
        Pipelines { cache, path, held: data.map(checksum) }
    }

    fn save(&self) {
        let Some(data) = self.cache.get_data() else { return };
        if self.held == Some(checksum(&data)) {
            return;
        }
        if let Some(folder) = self.path.parent() {
            let _ = std::fs::create_dir_all(folder); // writing fails too, then
        }
        let _ = write_atomic(&self.path, &pack(&data)); // no error: see above
    }
}

impl Drop for Pipelines {
    fn drop(&mut self) {
        self.save();
    }
}

fn checksum(data: &[u8]) -> u32 {
    let mut crc = flate2::Crc::new();
    crc.update(data);
    crc.sum()
}

fn pack(data: &[u8]) -> Vec<u8> {
    [&checksum(data).to_le_bytes(), data].concat()
}

/// The data of a whole file.
fn unpack(file: &[u8]) -> Option<&[u8]> {
    let (sum, data) = file.split_first_chunk::<4>()?;
    (u32::from_le_bytes(*sum) == checksum(data) && !data.is_empty()).then_some(data)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_file_is_taken() {
        let file = pack(b"compiled kernels");
        assert_eq!(unpack(&file), Some(&b"compiled kernels"[..]));
        for len in 0..file.len() {
            assert_eq!(unpack(&file[..len]), None, "{len} bytes");
        }
        for at in 0..file.len() {
            let mut damaged = file.clone();
            damaged[at] ^= 1;
            assert_eq!(unpack(&damaged), None, "byte {at}");
        }
    }
}
