//! What a run needs before its first step: checks against the data, a place, and what a resumed run must keep.

use std::io::ErrorKind;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::run::RunFolder;
use crate::config::{Binarise, TrainConfig};
use crate::data::Dataset;
use crate::error::{Error, Result};

impl Binarise {
    /// A byte as a model is shown it outside training; where training draws it, its expectation.
    pub fn shown(self, byte: u8) -> f32 {
        match self {
            Binarise::Threshold => f32::from(u8::from(byte >= 128)),
            Binarise::None | Binarise::Bernoulli => f32::from(byte) * (1.0 / 255.0),
        }
    }
}

impl TrainConfig {
    /// The data: the folder's, or the embedded MNIST.
    ///
    /// # Errors
    /// Those of [`Dataset::from_idx_dir`] and [`Dataset::embedded`].
    pub fn dataset(&self) -> Result<Dataset> {
        match &self.data {
            Some(folder) => Dataset::from_idx_dir(folder),
            None => Dataset::embedded(),
        }
    }

    /// Checks the values against the data.
    ///
    /// # Errors
    /// [`Error::Usage`] where a set is empty, too large to be counted in 32 bits, or smaller than a batch.
    pub fn validate_data(&self, data: &Dataset) -> Result<()> {
        for (what, images) in [("training", &data.train), ("test", &data.test)] {
            let (count, features) = (images.count(), images.features());
            if count == 0 || u32::try_from(count).is_err() || features == 0 {
                return Err(Error::Usage(format!(
                    "{}: the {what} set has {count} images of {features} pixels: both must be at least 1",
                    data.name
                )));
            }
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

    /// Checks that `changed` keeps all that a resumed run must keep: everything but epochs, device and data folder.
    ///
    /// # Errors
    /// [`Error::Usage`] that names the first flag that differs, with both values.
    pub fn check_resumable(&self, changed: &TrainConfig) -> Result<()> {
        for ((flag, ours), (_, theirs)) in kept(self).into_iter().zip(kept(changed)) {
            if ours != theirs {
                return Err(Error::Usage(format!(
                    "--{flag} {theirs} contradicts the run that is resumed, which has {ours}: \
                     only --epochs, --device, --data and --no-fuse may change"
                )));
            }
        }
        Ok(())
    }
}

fn kept(config: &TrainConfig) -> [(&'static str, String); 9] {
    let word = |value: &dyn std::fmt::Debug| format!("{value:?}").to_lowercase();
    [
        ("hidden", word(&config.hidden)),
        ("latent", word(&config.latent)),
        ("activation", word(&config.activation)),
        ("loss", word(&config.loss)),
        ("beta", word(&config.beta)),
        ("batch-size", word(&config.batch_size)),
        ("lr", word(&config.lr)),
        ("seed", word(&config.seed)),
        ("binarise", word(&config.binarise)),
    ]
}

impl RunFolder {
    /// Makes a folder named by the time (UTC), `vae-YYYYMMDD-HHMMSS`, in `parent`; `-2`, `-3`, ... is added where that
    /// is taken.
    ///
    /// # Errors
    /// [`Error::Io`] where it can't be made or written.
    pub fn create_named(parent: &Path, config: &TrainConfig) -> Result<RunFolder> {
        std::fs::create_dir_all(parent).map_err(Error::io("creating", parent))?;
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        let name = format!("vae-{}", timestamp(since.as_secs()));
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

    #[test]
    fn times_are_calendar_dates() {
        assert_eq!(timestamp(0), "19700101-000000");
        assert_eq!(timestamp(951_782_400), "20000229-000000");
        assert_eq!(timestamp(1_735_689_599), "20241231-235959");
    }
}
