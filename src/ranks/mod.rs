//! Processes that train one model together, each with a share of every batch.
//!
//! What they exchange goes through a trait of a few collective operations, which every rank calls in the same order. One process alone
//! is a rank of one; several are those of an MPI job, behind the cargo feature `mpi`, on any MPI that the machine has.
//!
//! # What it costs
//!
//! Of a model of P parameters, with S shards on N ranks, each rank sends and receives `4 P (N - 1) / N (S / N + 1)` bytes a step: slices of
//! its shards' gradients to those who add them up, and its own parameters to all. With a step of T seconds on one rank and a link of B
//! bytes/s in each direction, N ranks take at most `T / N + 4 P (N - 1) / N (S / N + 1) / B`. Where there are as many shards as ranks, more of
//! them pay as long as `B > 8 P / T`, however many they are: a VAE of 784-400-20 (P = 652,824) with batches of 1024 on one core (T = 28 ms)
//! needs 187 MB/s, which 1 Gbit/s does not give; the preset conv-64 (P = 2,957,251, T = 227 ms) 104 MB/s.
//!
//! Gradients travel in halves, each while the next is computed. A rank of k = S / N shards has 2 k of them; where one takes
//! `c = T / 2 S` to compute and `u = 2 P (N - 1) / N / B` to travel, a step takes `c + (2 k - 1) max(c, u) + 3 u`: the last half and the
//! parameters have nothing to travel beside. `benches/results/2026-11-29-ranks.md` has what was measured beside that.

#[cfg(feature = "mpi")]
mod mpi;

#[cfg(feature = "mpi")]
pub use self::mpi::Mpi;

use std::fmt::Debug;
use std::ops::Range;

/// A process among those that train together. Whatever is exchanged is kept to the bit.
pub trait Ranks: Debug {
    /// This process's number, from 0.
    fn rank(&self) -> usize;

    /// How many there are.
    fn count(&self) -> usize;

    /// Gives each rank its part of `values`, `parts[q]` of them to rank q, one part after another; returns what all gave to this one,
    /// `given[q]` values of rank q, in their order.
    /// Meanwhile `compute` does something else, which calls what it is given now and then so that values go on their way.
    fn exchange(
        &self,
        values: &[f32],
        parts: &[usize],
        given: &[usize],
        compute: &mut dyn FnMut(&mut dyn FnMut()),
    ) -> Vec<f32>;

    /// Puts the values of all ranks into `all`, in their order: rank q has `parts[q]` of them.
    fn gather(&self, own: &[f32], parts: &[usize], all: &mut [f32]);

    /// The numbers of all ranks, in their order: rank q has `parts[q]` of them.
    fn gather_numbers(&self, own: &[f64], parts: &[usize]) -> Vec<f64>;

    /// The first rank's text.
    fn broadcast(&self, text: String) -> String;

    /// This rank's share of so many things: a run of them, those of one rank behind those of the other.
    fn share(&self, things: usize) -> Range<usize> {
        share(self.rank(), self.count(), things)
    }

    /// What all ranks found of so many things, a row of `width` numbers each, in their order: this one's are those of its share.
    fn gather_shares(&self, own: &[f64], things: usize, width: usize) -> Vec<f64> {
        let rows = |rank: usize| share(rank, self.count(), things).len() * width;
        self.gather_numbers(own, &(0..self.count()).map(rows).collect::<Vec<_>>())
    }

    /// Ends all of them with this exit code: one that fails would leave the others waiting for it.
    fn abort(&self, code: i32) -> !;
}

/// A rank's share of so many things.
pub fn share(rank: usize, ranks: usize, things: usize) -> Range<usize> {
    things * rank / ranks..things * (rank + 1) / ranks
}

/// One process alone.
#[derive(Clone, Copy, Debug, Default)]
pub struct Alone;

impl Ranks for Alone {
    fn rank(&self) -> usize {
        0
    }

    fn count(&self) -> usize {
        1
    }

    fn exchange(
        &self,
        values: &[f32],
        _: &[usize],
        _: &[usize],
        compute: &mut dyn FnMut(&mut dyn FnMut()),
    ) -> Vec<f32> {
        compute(&mut || {});
        values.to_vec()
    }

    fn gather(&self, own: &[f32], _: &[usize], all: &mut [f32]) {
        all.copy_from_slice(own);
    }

    fn gather_numbers(&self, own: &[f64], _: &[usize]) -> Vec<f64> {
        own.to_vec()
    }

    fn broadcast(&self, text: String) -> String {
        text
    }

    fn abort(&self, code: i32) -> ! {
        std::process::exit(code)
    }
}
