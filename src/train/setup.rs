//! What a run needs before its first step: checks against the data, a place, and what a resumed run must keep.

use std::io::ErrorKind;
use std::ops::Range;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::run::RunFolder;
use crate::backend::{self, Data, Device};
use crate::config::{Binarise, ImageSide, TrainConfig};
use crate::data::{Dataset, Images, Reading, Schema, Values};
use crate::error::{Error, Result};
use crate::models::{Loss, ModelKind, Output};
use crate::tensor::{DType, Shape};

impl Images {
    /// How the pixels are stored on a device.
    pub fn dtype(&self) -> DType {
        if self.pixels.are_bytes() { DType::U8 } else { DType::Real }
    }

    /// The set as a session takes it.
    ///
    /// # Panics
    /// For pixels that stay in their file: these are streamed.
    pub fn resident(&self) -> Data<'_> {
        let values = match &self.pixels {
            Values::Bytes(bytes) => backend::Values::Bytes(bytes),
            Values::Reals(reals) => backend::Values::Reals(reals),
            Values::Stored(_) => panic!("pixels in a file are not resident"),
        };
        Data { shape: Shape::new(self.count(), self.features()), values }
    }

    /// These images as a model is shown them outside training, `[range, features]`: bytes over 255, reals as they are;
    /// 0 or 1 where they are thresholded.
    ///
    /// # Errors
    /// [`Error::Io`] where pixels that stay in their file can't be read.
    ///
    /// # Panics
    /// If the range does not lie within the images.
    pub fn shown(&self, range: Range<usize>, binarise: Binarise) -> Result<Vec<f32>> {
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

impl TrainConfig {
    /// The data, scaled as the configuration says.
    ///
    /// # Errors
    /// Those of [`Reading::read`].
    pub fn dataset(&self) -> Result<Dataset> {
        self.reading(None).read(self.data.as_ref())
    }

    /// How data are read: as the configuration says, and in the form that a trained model knows.
    pub fn reading(&self, known: Option<&Schema>) -> Reading {
        Reading {
            image_size: self.image_size.map(|ImageSide { height, width }| (height, width)),
            channels: self.channels,
            background: self.background,
            header: self.header,
            label_column: self.label_column.clone(),
            drop_columns: self.drop_columns.clone(),
            drop_bad: self.drop_bad,
            split: self.split,
            test_data: self.test_data.clone(),
            seed: self.seed,
            scale: self.scale,
            probabilities: self.takes_probabilities(),
            in_memory: self.resident_limit.map(|mebibytes| mebibytes.saturating_mul(1 << 20)),
            known: known.cloned(),
        }
    }

    /// Bytes of a data set that may stay on a device.
    pub(super) fn data_limit(&self, device: &dyn Device) -> Option<u64> {
        let asked = self.resident_limit.map(|mebibytes| mebibytes.saturating_mul(1 << 20));
        [asked, device.binding_limit()].into_iter().flatten().min()
    }

    /// Checks the values against the data.
    ///
    /// # Errors
    /// [`Error::Usage`] where a set is empty, too large to be counted in 32 bits, or smaller than a batch.
    pub fn validate_data(&self, data: &Dataset) -> Result<()> {
        let sets =
            [("training", Some(&data.train)), ("validation", data.validation.as_ref()), ("test", Some(&data.test))];
        for (what, images) in sets.into_iter().filter_map(|(what, images)| Some((what, images?))) {
            let (count, features) = (images.count(), images.features());
            if count == 0 || u32::try_from(count).is_err() || features == 0 {
                return Err(Error::Usage(format!(
                    "{}: the {what} set has {count} images of {features} pixels: both must be at least 1",
                    data.name
                )));
            }
            self.check_range(&data.name, what, images)?;
        }
        let size = data.train.size;
        if let Some(augment) = self.augment
            && (data.table || augment.shift as usize >= size.height.max(size.width))
        {
            let reason = if data.table { "a table is no image".to_owned() } else { format!("its images are {size}") };
            return Err(Error::Usage(format!("--augment {augment} does not fit {}: {reason}", data.name)));
        }
        let count = data.train.count();
        if self.batch_size > count {
            return Err(Error::Usage(format!(
                "--batch-size is {}: it must be at most the number of training images, {count} in {}",
                self.batch_size, data.name
            )));
        }
        Ok(())
    }

    /// Whether values must lie in [0, 1].
    fn takes_probabilities(&self) -> bool {
        self.loss == Loss::Bce && self.model != ModelKind::Gan || self.binarise != Binarise::None
    }

    /// Checks that values are what the loss takes: probabilities lie in [0, 1].
    ///
    /// # Errors
    /// [`Error::Usage`] that names the first value that is not; [`Error::Io`] where it can't be read.
    pub fn check_range(&self, name: &str, what: &str, images: &Images) -> Result<()> {
        if images.pixels.are_bytes() {
            return Ok(());
        }
        let probabilities = self.takes_probabilities();
        let outside = |value: &f32| !value.is_finite() || probabilities && !(0.0..=1.0).contains(value);
        let (mut example, mut found) = (0, None);
        images.each_row(|row| {
            found = found.or_else(|| Some((example, *row.iter().find(|value| outside(value))?)));
            example += 1;
        })?;
        let Some((example, value)) = found else { return Ok(()) };
        let allowed = if probabilities { "in [0, 1] with --loss bce or --binarise" } else { "finite" };
        Err(Error::Usage(format!(
            "{name}: {what} example {example} holds {value}: a value must be {allowed}; --scale minmax or 255 brings values \
             there, --loss mse or gaussian takes any finite one"
        )))
    }

    /// The output's bias that gives this mean before any weight counts.
    pub(super) fn output_bias(&self, mean: f64) -> f64 {
        if self.output == Output::Identity {
            return mean;
        }
        let mean = mean.clamp(1e-3, 1.0 - 1e-3);
        (mean / (1.0 - mean)).ln()
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

    #[test]
    fn images_are_shown_as_they_are_trained_on() {
        let bytes = Images::new(ImageSize::grey(1, 2), Values::Bytes(vec![0, 51, 127, 128]));
        let reals = Images { pixels: Values::Reals(vec![-1.5, 0.2, 0.49, 0.5]), ..bytes.clone() };
        assert_eq!((bytes.dtype(), reals.dtype()), (DType::U8, DType::Real));
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
