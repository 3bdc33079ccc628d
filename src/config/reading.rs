//! The data of a configuration: reading, allowed values, and the limit of the device.

use super::{Binarise, ImageSide, TrainConfig};
use crate::backend::Device;
use crate::data::{Dataset, Images, Reading, Schema};
use crate::error::{Error, Result};
use crate::models::{Capability, Loss, Output};
use crate::ops::logit_of_mean;

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
            classes: self.classes.clone(),
            condition: self.condition,
            known: known.cloned(),
            new_classes: false,
        }
    }

    /// Largest size in bytes of a data set that stays on a device.
    pub(crate) fn data_limit(&self, device: &dyn Device) -> Option<u64> {
        let asked = self.resident_limit.map(|mebibytes| mebibytes.saturating_mul(1 << 20));
        [asked, device.binding_limit()].into_iter().flatten().min()
    }

    /// Checks the values against the data.
    ///
    /// # Errors
    /// [`Error::Usage`] where a set is empty, too large to be counted in 32 bits, or smaller than a batch.
    pub fn validate_data(&self, data: &Dataset) -> Result<()> {
        for (what, images) in data.sets() {
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
        if data.table && self.is_convolutional() {
            return Err(Error::Usage(format!(
                "{} is a table, whose columns are no pixels: convolutions (--conv, or layers named so) are for images",
                data.name
            )));
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

    /// The option that needs values in [0, 1], where one does.
    fn takes_probabilities(&self) -> Option<String> {
        match self.loss.reads_logits() && self.model.has(Capability::Encoder) {
            true => Some(format!("--loss {}", self.loss.name())),
            false => (self.binarise != Binarise::None).then(|| "--binarise".to_owned()),
        }
    }

    /// Checks that values are what the loss takes: probabilities lie in [0, 1], levels are bytes.
    ///
    /// # Errors
    /// [`Error::Usage`] that names the first value that is not, or says that there are no levels; [`Error::Io`] where it can't be
    /// read.
    pub fn check_range(&self, name: &str, what: &str, images: &Images) -> Result<()> {
        if images.pixels.are_bytes() {
            return Ok(());
        }
        if self.loss == Loss::DiscretisedLogistic && self.model.has(Capability::Encoder) {
            return Err(Error::Usage(format!(
                "{name}: {what} examples are real numbers: --loss discretised-logistic takes the 256 levels of bytes, as of pixels of \
                 8 bits, which --scale auto or 255 leaves; --loss gaussian takes real numbers"
            )));
        }
        let probabilities = self.takes_probabilities();
        let outside = |value: &f32| !value.is_finite() || probabilities.is_some() && !(0.0..=1.0).contains(value);
        let (mut example, mut found) = (0, None);
        images.each_row(|row| {
            found = found.or_else(|| Some((example, *row.iter().find(|value| outside(value))?)));
            example += 1;
        })?;
        let Some((example, value)) = found else { return Ok(()) };
        let allowed = probabilities.map_or("finite".to_owned(), |option| format!("in [0, 1] with {option}"));
        Err(Error::Usage(format!(
            "{name}: {what} example {example} holds {value}: a value must be {allowed}; --scale minmax or 255 brings values \
             there, --loss mse or gaussian takes any finite one"
        )))
    }

    /// The output's bias that gives this mean before any weight counts.
    pub(crate) fn output_bias(&self, mean: f64) -> f64 {
        if self.output == Output::Identity {
            return mean;
        }
        if self.loss == Loss::ContinuousBernoulli {
            return logit_of_mean(mean.clamp(0.05, 0.95)); // logits within 20, from which a step can lead back
        }
        let mean = mean.clamp(1e-3, 1.0 - 1e-3);
        (mean / (1.0 - mean)).ln()
    }
}
