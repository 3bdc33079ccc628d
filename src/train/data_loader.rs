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

/// A data set on its way to the device: images, and the conditions that lie with them.
#[derive(Clone, Copy, Debug)]
pub(super) struct DataLoader<'d> {
    images: &'d Images,
    /// Which of the session's data sets the images are; their conditions are the next.
    index: usize,
    /// Examples a batch.
    rows: usize,
    /// Which examples a batch has.
    order: Order,
    /// Batches that the device holds, where it does not hold all.
    window: Option<usize>,
}

impl<'d> DataLoader<'d> {
    /// The session's data sets from `index` on, of at most `limit` bytes on the device.
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
        let most = whole.sets().map(|values| values.bytes()).max().unwrap_or(0);
        let limit = limit.filter(|limit| most as u64 > *limit).or(stored);
        let Some(limit) = limit else { return Ok(whole) };
        let batch = most / images.count() * rows;
        let batches = (limit / batch as u64).min(MAX_STEPS as u64) as usize;
        if batches == 0 {
            return Err(Error::Usage(format!(
                "a batch of {rows} examples has {batch} bytes, the device takes {limit} at once: give a smaller --batch-size"
            )));
        }
        Ok(DataLoader { window: Some(batches.min(images.count() / rows).max(1)), ..whole })
    }

    /// The values of each data set: the images, and their conditions.
    fn sets(&self) -> impl Iterator<Item = &'d data::Values> + use<'d> {
        std::iter::once(&self.images.pixels).chain(&self.images.condition)
    }

    /// The first of the session's data sets behind these.
    pub(super) fn next_index(&self) -> usize {
        self.index + self.sets().count()
    }

    /// Batches of it, as graphs of models read them: neither augmented nor corrupted.
    pub(super) fn batches(&self, pixels: Pixels) -> Batches {
        Batches {
            data: self.index,
            condition: self.images.condition.as_ref().map(|_| self.index + 1),
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
    pub(super) fn first(&self) -> Vec<First<'d>> {
        let first = |values: &'d data::Values| {
            let width = values.len() / self.images.count();
            let (shape, values_held) = (Shape::new(self.held(), width), self.held() * width);
            let values = match values {
                data::Values::Bytes(bytes) => FirstValues::Bytes(Cow::Borrowed(&bytes[..values_held])),
                data::Values::Reals(reals) => FirstValues::Reals(Cow::Borrowed(&reals[..values_held])),
                data::Values::Stored(stored) if stored.is_bytes() => {
                    FirstValues::Bytes(Cow::Owned(vec![0; values_held]))
                }
                data::Values::Stored(_) => FirstValues::Reals(Cow::Owned(vec![0.0; values_held])),
            };
            First { shape, values }
        };
        self.sets().map(first).collect()
    }

    /// Brings what a submission of these steps reads, if it is not there.
    ///
    /// # Errors
    /// Where the device fails, or a file that is streamed from.
    pub(super) fn upload(&self, session: &mut dyn Session, steps: &[Step]) -> Result<()> {
        if !self.is_streamed() {
            return Ok(());
        }
        self.sets().zip(self.index..).try_for_each(|(values, index)| self.upload_set(session, steps, values, index))
    }

    fn upload_set(&self, session: &mut dyn Session, steps: &[Step], values: &data::Values, index: usize) -> Result<()> {
        let width = values.len() / self.images.count();
        match values {
            data::Values::Bytes(bytes) => {
                let row = |example: usize, to: &mut [u8]| {
                    to.copy_from_slice(&bytes[example * width..][..width]);
                    Ok(())
                };
                session.write_data(index, Values::Bytes(&self.gathered(steps, width, row)?))
            }
            data::Values::Reals(reals) => {
                let row = |example: usize, to: &mut [f32]| {
                    to.copy_from_slice(&reals[example * width..][..width]);
                    Ok(())
                };
                session.write_data(index, Values::Reals(&self.gathered(steps, width, row)?))
            }
            data::Values::Stored(stored) if stored.is_bytes() => {
                let row = |example: usize, to: &mut [u8]| stored.read_bytes(example, to);
                session.write_data(index, Values::Bytes(&self.gathered(steps, width, row)?))
            }
            data::Values::Stored(stored) => {
                let row = |example: usize, to: &mut [f32]| stored.read_reals(example, to);
                session.write_data(index, Values::Reals(&self.gathered(steps, width, row)?))
            }
        }
    }

    /// The steps' batches, one after another, of rows of this width; `row` writes an example. Rows past the end repeat the last
    /// position, as resident batches do.
    fn gathered<T: Copy + Default + Send + Sync>(
        &self,
        steps: &[Step],
        width: usize,
        row: impl Fn(usize, &mut [T]) -> Result<()> + Sync,
    ) -> Result<Vec<T>> {
        let n = self.images.count() as u32;
        let mut all = vec![T::default(); steps.len() * self.rows * width];
        all.par_chunks_mut(self.rows * width).zip(steps).try_for_each(|(batch, step)| {
            let order = Permutation::from_keys(step.order, n);
            batch.chunks_mut(width).enumerate().try_for_each(|(at, to)| {
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
