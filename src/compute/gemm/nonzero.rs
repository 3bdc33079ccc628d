//! Non-zero k: the indices along k that need multiplying.
//!
//! Where either operand is zero the sum stays the same, `s + 0 b = s`, unless the other is infinite or not a number. Packed
//! micro-panels list the k at which not all of their values are zero, and a micro-tile takes the shorter list of its two, or all k
//! where both are long.
//! This is for digits on black: four of five pixels of MNIST are 0, more than half of the k of six images together, and two
//! fifths of those of sixteen pixels side by side. Photographs gain nothing, and pay for the search.

use std::ops::Range;

use super::KC;

/// k that are packed together, contiguous in each row.
pub(super) const CHUNK: usize = 8;

/// Non-zero k of a micro-panel, in ascending order.
#[derive(Clone, Copy, Debug)]
pub(super) struct NonZeroK {
    listed: [u8; KC],
    count: usize,
}

impl NonZeroK {
    pub(super) const EMPTY: NonZeroK = NonZeroK { listed: [0; KC], count: 0 };

    /// Appends an index, unless it is zero there.
    #[inline(always)]
    pub(super) fn push(&mut self, p: usize, zero: bool) {
        // Branch-free: a branch would often be mispredicted.
        self.listed[self.count % KC] = p as u8;
        self.count += usize::from(!zero);
    }

    /// Appends all indices of the range.
    #[inline(always)]
    pub(super) fn push_all(&mut self, range: Range<usize>) {
        let to = &mut self.listed[self.count..][..range.len()];
        self.count += range.len();
        to.iter_mut().zip(range).for_each(|(to, p)| *to = p as u8);
    }

    /// Appends those indices of a chunk, from `from` on, whose bits are set.
    #[inline(always)]
    pub(super) fn push_chunk(&mut self, from: usize, marks: u8) {
        match marks {
            0 => {}
            0xff => self.push_all(from..from + CHUNK),
            _ => (0..CHUNK).for_each(|bit| self.push(from + bit, marks >> bit & 1 == 0)),
        }
    }

    /// Lists all of `k`, where no zeros are looked for.
    pub(super) fn set_all(&mut self, k: usize) {
        self.clear();
        self.push_all(0..k);
    }

    pub(super) fn clear(&mut self) {
        self.count = 0;
    }

    pub(super) fn listed(&self) -> &[u8] {
        &self.listed[..self.count]
    }

    /// Whether they are so many of k that going through all k is quicker.
    pub(super) fn are_most_of(&self, k: usize) -> bool {
        self.count * CHUNK >= k * (CHUNK - 1)
    }

    pub(super) fn shorter<'t>(&'t self, other: &'t NonZeroK) -> &'t [u8] {
        if self.count < other.count { self.listed() } else { other.listed() }
    }
}
