//! How a data set reaches the device: whole and once, or, where it is too large for that, batch by batch.
//!
//! What is streamed goes in the order in which the steps read it, a submission's batches at a time, while the submission
//! before is still computed. Which examples a batch has, and every draw, follow from the step alone, so that a streamed
//! run ends in the same bytes as one whose data are resident.

use std::borrow::Cow;

use rayon::prelude::*;

use crate::backend::{Data, MAX_STEPS, Session, Values};
use crate::data::{self, Images};
use crate::error::{Error, Result};
use crate::models::Batches;
use crate::ops::{Order, Pixels};
use crate::rng::Permutation;
use crate::step::Step;
use crate::tensor::Shape;

/// Bytes of batches that are brought at once from a file, where the device sets no limit.
const STREAMED: u64 = 1 << 26;

/// A data set on its way to the device.
#[derive(Clone, Copy, Debug)]
pub(super) struct DataLoader<'d> {
    images: &'d Images,
    /// Which of the session's data sets.
    index: usize,
    /// Examples a batch.
    rows: usize,
    /// Which examples a batch has.
    order: Order,
    /// Batches that the device holds, where it does not hold all.
    window: Option<usize>,
}

impl<'d> DataLoader<'d> {
    /// The session's data set `index`, of at most `limit` bytes on the device.
    ///
    /// # Errors
    /// [`Error::Usage`] where not even a batch fits.
    pub(super) fn new(
        images: &'d Images,
        index: usize,
        rows: usize,
        order: Order,
        limit: Option<u64>,
    ) -> Result<DataLoader<'d>> {
        let whole = DataLoader { images, index, rows, order, window: None };
        // What is not in memory can't stay on the device whole either.
        let stored = matches!(images.pixels, data::Values::Stored(_)).then_some(STREAMED);
        let limit = limit.filter(|limit| images.pixels.bytes() as u64 > *limit).or(stored);
        let Some(limit) = limit else { return Ok(whole) };
        let batch = images.pixels.bytes() / images.count() * rows;
        let batches = (limit / batch as u64).min(MAX_STEPS as u64) as usize;
        if batches == 0 {
            return Err(Error::Usage(format!(
                "a batch of {rows} examples has {batch} bytes, the device takes {limit} at once: give a smaller --batch-size"
            )));
        }
        Ok(DataLoader { window: Some(batches.min(images.count() / rows).max(1)), ..whole })
    }

    /// Which of the session's data sets it is.
    pub(super) fn index(&self) -> usize {
        self.index
    }

    /// Batches of it, as graphs of models read them: neither augmented nor corrupted.
    pub(super) fn batches(&self, pixels: Pixels) -> Batches {
        Batches {
            data: self.index,
            examples: self.held(),
            dtype: self.images.dtype(),
            rows: self.rows,
            streamed: self.is_streamed(),
            pixels,
            augment: None,
            noise: None,
        }
    }

    /// Whether batches are brought one after another.
    pub(super) fn is_streamed(&self) -> bool {
        self.window.is_some()
    }

    /// Examples that the session holds.
    fn held(&self) -> usize {
        self.window.map_or(self.images.count(), |batches| batches * self.rows)
    }

    /// Steps that a submission may have.
    pub(super) fn most_steps(&self) -> usize {
        self.window.unwrap_or(MAX_STEPS)
    }

    /// What a session begins with: all of a set that stays on the device, anything of the right size of one that is
    /// streamed from its file.
    pub(super) fn first(&self) -> First<'d> {
        let values = self.held() * self.images.features();
        let shape = Shape::new(self.held(), self.images.features());
        match &self.images.pixels {
            data::Values::Bytes(bytes) => First { shape, values: FirstValues::Bytes(Cow::Borrowed(&bytes[..values])) },
            data::Values::Reals(reals) => First { shape, values: FirstValues::Reals(Cow::Borrowed(&reals[..values])) },
            data::Values::Stored(stored) if stored.is_bytes() => {
                First { shape, values: FirstValues::Bytes(Cow::Owned(vec![0; values])) }
            }
            data::Values::Stored(_) => First { shape, values: FirstValues::Reals(Cow::Owned(vec![0.0; values])) },
        }
    }

    /// Brings what a submission of these steps reads, if it is not there.
    ///
    /// # Errors
    /// Where the device fails, or a file that is streamed from.
    pub(super) fn upload(&self, session: &mut dyn Session, steps: &[Step]) -> Result<()> {
        if !self.is_streamed() {
            return Ok(());
        }
        let features = self.images.features();
        match &self.images.pixels {
            data::Values::Bytes(bytes) => {
                let row = |example: usize, to: &mut [u8]| {
                    to.copy_from_slice(&bytes[example * features..][..features]);
                    Ok(())
                };
                session.write_data(self.index, Values::Bytes(&self.gathered(steps, row)?))
            }
            data::Values::Reals(reals) => {
                let row = |example: usize, to: &mut [f32]| {
                    to.copy_from_slice(&reals[example * features..][..features]);
                    Ok(())
                };
                session.write_data(self.index, Values::Reals(&self.gathered(steps, row)?))
            }
            data::Values::Stored(stored) if stored.is_bytes() => {
                let row = |example: usize, to: &mut [u8]| stored.read_bytes(example, to);
                session.write_data(self.index, Values::Bytes(&self.gathered(steps, row)?))
            }
            data::Values::Stored(stored) => {
                let row = |example: usize, to: &mut [f32]| stored.read_reals(example, to);
                session.write_data(self.index, Values::Reals(&self.gathered(steps, row)?))
            }
        }
    }

    /// The steps' batches, one after another; `row` writes an example. Rows past the end repeat the last position, as
    /// resident batches do.
    fn gathered<T: Copy + Default + Send + Sync>(
        &self,
        steps: &[Step],
        row: impl Fn(usize, &mut [T]) -> Result<()> + Sync,
    ) -> Result<Vec<T>> {
        let (n, features) = (self.images.count() as u32, self.images.features());
        let mut all = vec![T::default(); steps.len() * self.rows * features];
        all.par_chunks_mut(self.rows * features).zip(steps).try_for_each(|(batch, step)| {
            let order = Permutation::from_keys(step.order, n);
            batch.chunks_mut(features).enumerate().try_for_each(|(at, to)| {
                let position = step.first.saturating_add(at as u32).min(n - 1);
                let example = if self.order == Order::Shuffled { order.at(position) } else { position };
                row(example as usize, to)
            })
        })?;
        Ok(all)
    }
}

/// What a session's data set begins as.
#[derive(Debug)]
pub(super) struct First<'d> {
    shape: Shape,
    values: FirstValues<'d>,
}

#[derive(Debug)]
enum FirstValues<'d> {
    Bytes(Cow<'d, [u8]>),
    Reals(Cow<'d, [f32]>),
}

impl First<'_> {
    /// As a session takes it.
    pub(super) fn data(&self) -> Data<'_> {
        let values = match &self.values {
            FirstValues::Bytes(bytes) => Values::Bytes(bytes),
            FirstValues::Reals(reals) => Values::Reals(reals),
        };
        Data { shape: self.shape, values }
    }
}
