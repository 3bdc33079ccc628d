//! The terms that are worth multiplying.
//!
//! A term of a sum is zero where either of its factors is; sums are the same without it, `s + 0 b = s`, unless the other
//! factor is infinite or not a number. Panels and slivers list the terms in which not all of their numbers are zero, and a
//! tile takes those of the shorter list. Digits on black are what this is for: four of five pixels of MNIST are 0, and so are
//! more than half of the terms of six images, and two fifths of those of sixteen pixels side by side. Photographs gain
//! nothing, and pay for the search.

use std::ops::Range;

use super::BLOCK;

/// Terms that are laid out together, a row's side by side.
pub(super) const CHUNK: usize = 8;

/// Terms of a block, in their order.
#[derive(Clone, Copy, Debug)]
pub(super) struct Terms {
    listed: [u8; BLOCK],
    count: usize,
}

impl Terms {
    pub(super) const NONE: Terms = Terms { listed: [0; BLOCK], count: 0 };

    /// Adds a term to those before it, unless it is zero.
    #[inline(always)]
    pub(super) fn push(&mut self, term: usize, zero: bool) {
        // No branch, which would often be guessed wrong.
        self.listed[self.count % BLOCK] = term as u8;
        self.count += usize::from(!zero);
    }

    /// Adds all of these terms.
    #[inline(always)]
    pub(super) fn push_all(&mut self, terms: Range<usize>) {
        let to = &mut self.listed[self.count..][..terms.len()];
        self.count += terms.len();
        to.iter_mut().zip(terms).for_each(|(to, term)| *to = term as u8);
    }

    /// Adds a chunk's terms, from this one on, whose bits are set.
    #[inline(always)]
    pub(super) fn push_chunk(&mut self, from: usize, marks: u8) {
        match marks {
            0 => {}
            0xff => self.push_all(from..from + CHUNK),
            _ => (0..CHUNK).for_each(|bit| self.push(from + bit, marks >> bit & 1 == 0)),
        }
    }

    pub(super) fn clear(&mut self) {
        self.count = 0;
    }

    pub(super) fn listed(&self) -> &[u8] {
        &self.listed[..self.count]
    }

    pub(super) fn count(&self) -> usize {
        self.count
    }

    pub(super) fn shorter<'t>(&'t self, other: &'t Terms) -> &'t [u8] {
        if self.count < other.count { self.listed() } else { other.listed() }
    }
}
