//! What a run needs before its first step: images as a model takes them, and a folder.

use std::io::ErrorKind;
use std::ops::Range;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::run::RunFolder;
use crate::backend::{self, Data};
use crate::config::{Binarise, TrainConfig};
use crate::data::{Images, Values};
use crate::error::{Error, Result};
use crate::tensor::Shape;

/// Images as a session and a model take them.
pub trait ModelInput {
    /// The set as a session takes it.
    ///
    /// # Panics
    /// For pixels that stay in their file: these are streamed.
    fn resident(&self) -> Data<'_>;

    /// These images as a model is shown them outside training, `[range, features]`: bytes over 255, reals as they are;
    /// 0 or 1 where they are thresholded.
    ///
    /// # Errors
    /// [`Error::Io`] where pixels that stay in their file can't be read.
    ///
    /// # Panics
    /// If the range does not lie within the images.
    fn shown(&self, range: Range<usize>, binarise: Binarise) -> Result<Vec<f32>>;
}

impl ModelInput for Images {
    fn resident(&self) -> Data<'_> {
        let values = match &self.pixels {
            Values::Bytes(bytes) => backend::Values::Bytes(bytes),
            Values::Reals(reals) => backend::Values::Reals(reals),
            Values::Stored(_) => panic!("pixels in a file are not resident"),
        };
        Data { shape: Shape::new(self.count(), self.features()), values }
    }

    fn shown(&self, range: Range<usize>, binarise: Binarise) -> Result<Vec<f32>> {
        let features = self.features();
        let values = range.start * features..range.end * features;
        let byte = |&byte: &u8| binarise.shown(f32::from(byte) * (1.0 / 255.0));
        let real = |&real: &f32| binarise.shown(real);
        Ok(match &self.pixels {
            Values::Bytes(bytes) => bytes[values].iter().map(byte).collect(),
            Values::Reals(reals) => reals[values].iter().map(real).collect(),
            Values::Stored(stored) if stored.is_bytes() => {
                let mut all = vec![0; values.len()];
                let mut rows = range.zip(all.chunks_mut(features));
                rows.try_for_each(|(row, to)| stored.read_bytes(row, to))?;
                all.iter().map(byte).collect()
            }
            Values::Stored(stored) => {
                let mut all = vec![0.0; values.len()];
                let mut rows = range.zip(all.chunks_mut(features));
                rows.try_for_each(|(row, to)| stored.read_reals(row, to))?;
                all.iter().map(real).collect()
            }
        })
    }
}

/// Rows whose values are summed at a time.
const SUMMED: usize = 1000;

/// The mean of each feature over the examples, as a model is shown them.
pub(super) fn means(images: &Images, binarise: Binarise) -> Result<Vec<f64>> {
    let (count, features) = (images.count(), images.features());
    let mut sums = vec![0.0; features];
    for first in (0..count).step_by(SUMMED) {
        let values = images.shown(first..count.min(first + SUMMED), binarise)?;
        for row in values.chunks(features) {
            sums.iter_mut().zip(row).for_each(|(sum, value)| *sum += f64::from(*value));
        }
    }
    Ok(sums.into_iter().map(|sum| sum / count as f64).collect())
}

impl RunFolder {
    /// Makes a folder named by the time (UTC), `MODEL-YYYYMMDD-HHMMSS`, in `parent`; `-2`, `-3`, ... is added where that
    /// is taken.
    ///
    /// # Errors
    /// [`Error::Io`] where it can't be made or written.
    pub fn create_named(parent: &Path, config: &TrainConfig) -> Result<RunFolder> {
        std::fs::create_dir_all(parent).map_err(Error::io("creating", parent))?;
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        let name = format!("{}-{}", config.model.name(), timestamp(since.as_secs()));
        let mut path = parent.join(&name);
        let mut next = 2;
        loop {
            match std::fs::create_dir(&path) {
                Ok(()) => return RunFolder::create(&path, config),
                Err(error) if error.kind() == ErrorKind::AlreadyExists && next < 10_000 => {
                    path = parent.join(format!("{name}-{next}"));
                    next += 1;
                }
                Err(error) => return Err(Error::io("creating", &path)(error)),
            }
        }
    }
}

/// `YYYYMMDD-HHMMSS` in UTC of a time in seconds since 1970; the calendar is Hinnant's "civil_from_days".
fn timestamp(seconds: u64) -> String {
    let (days, second) = (seconds / 86_400 + 719_468, seconds % 86_400);
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153; // months from March
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = 400 * era + year_of_era + u64::from(month <= 2);
    format!("{year:04}{month:02}{day:02}-{:02}{:02}{:02}", second / 3600, second / 60 % 60, second % 60)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::ImageSize;
    use crate::tensor::DType;

    #[test]
    fn images_are_shown_as_they_are_trained_on() {
        let bytes = Images::new(ImageSize::grey(1, 2), Values::Bytes(vec![0, 51, 127, 128]));
        let reals = Images { pixels: Values::Reals(vec![-1.5, 0.2, 0.49, 0.5]), ..bytes.clone() };
        assert_eq!((bytes.dtype(), reals.dtype()), (DType::U8, DType::F32));
        assert_eq!(bytes.shown(0..1, Binarise::None).unwrap(), [0.0, 51.0 * (1.0 / 255.0)]);
        assert_eq!(bytes.shown(1..2, Binarise::Threshold).unwrap(), [0.0, 1.0]);
        assert_eq!(reals.shown(0..2, Binarise::Bernoulli).unwrap(), [-1.5, 0.2, 0.49, 0.5]);
        assert_eq!(reals.shown(1..2, Binarise::Threshold).unwrap(), [0.0, 1.0]);
    }

    #[test]
    fn times_are_calendar_dates() {
        assert_eq!(timestamp(0), "19700101-000000");
        assert_eq!(timestamp(951_782_400), "20000229-000000");
        assert_eq!(timestamp(1_735_689_599), "20241231-235959");
    }
}
