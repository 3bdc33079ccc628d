//! Weights as a NumPy archive, which `numpy.load` opens: a zip file of one `.npy` array a parameter.

use std::io::Cursor;

use npyz::WriterBuilder;
use npyz::npz::NpzWriter;
use zip::DateTime;
use zip::write::FileOptions;

use super::model;
use crate::error::{Error, Result};
use crate::train::Checkpoint;
use crate::train::tensor::Tensor;

/// The archive: the same bytes for the same weights.
///
/// # Errors
/// Those of [`safetensors`](super::safetensors); [`Error::Usage`] where the archive can't be made.
pub fn npz(checkpoint: &Checkpoint) -> Result<Vec<u8>> {
    archive(&Tensor::all(model(checkpoint)?.layout(), "", &checkpoint.parameters))
        .map_err(|error| Error::Usage(format!("weights can't be made a NumPy archive: {error}")))
}

fn archive(tensors: &[Tensor<'_>]) -> std::io::Result<Vec<u8>> {
    let mut bytes = Cursor::new(Vec::new());
    let mut archive = NpzWriter::new(&mut bytes);
    for tensor in tensors {
        let large = size_of_val(&*tensor.values) >= u32::MAX as usize / 2; // to zip, from 4 GiB on, .npy's header counted
        // No time of day: the same weights give the same bytes.
        let options = FileOptions::default().last_modified_time(DateTime::default()).large_file(large);
        let f4 = npyz::DType::Plain("<f4".parse().expect("NumPy's name of a little-endian f32"));
        let shape: Vec<u64> = tensor.shape.iter().map(|&size| size as u64).collect();
        let mut writer = archive.array::<f32>(&tensor.name, options)?.dtype(f4).shape(&shape).begin_nd()?;
        writer.extend(tensor.values.iter().copied())?;
        writer.finish()?;
    }
    archive.zip_writer().finish()?;
    drop(archive);
    Ok(bytes.into_inner())
}
