//! Processes that train one model together, each with a share of every batch.
//!
//! What they exchange goes through a trait of a few collective operations, which every rank calls in the same order. One process alone
//! is a rank of one; several are those of an MPI job, behind the cargo feature `mpi`, on any MPI that the machine has.

#[cfg(feature = "mpi")]
mod mpi;

#[cfg(feature = "mpi")]
pub use self::mpi::Mpi;

use std::fmt::Debug;

/// A process among those that train together. Whatever is exchanged is kept to the bit.
pub trait Ranks: Debug {
    /// This process's number, from 0.
    fn rank(&self) -> usize;

    /// How many there are.
    fn count(&self) -> usize;

    /// Gives each rank its part of `values`, `parts[q]` of them to rank q, one part after another; returns what all gave to this one,
    /// `given[q]` values of rank q, in their order.
    fn exchange(&self, values: &[f32], parts: &[usize], given: &[usize]) -> Vec<f32>;

    /// Puts the values of all ranks into `all`, in their order: rank q has `parts[q]` of them.
    fn gather(&self, own: &[f32], parts: &[usize], all: &mut [f32]);

    /// The numbers of all ranks, each of which has as many, in their order.
    fn gather_numbers(&self, own: &[f64]) -> Vec<f64>;

    /// The first rank's text.
    fn broadcast(&self, text: String) -> String;

    /// Ends all of them with this exit code: one that fails would leave the others waiting for it.
    fn abort(&self, code: i32) -> !;
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

    fn exchange(&self, values: &[f32], _: &[usize], _: &[usize]) -> Vec<f32> {
        values.to_vec()
    }

    fn gather(&self, own: &[f32], _: &[usize], all: &mut [f32]) {
        all.copy_from_slice(own);
    }

    fn gather_numbers(&self, own: &[f64]) -> Vec<f64> {
        own.to_vec()
    }

    fn broadcast(&self, text: String) -> String {
        text
    }

    fn abort(&self, code: i32) -> ! {
        std::process::exit(code)
    }
}
