//! Memory that programs of a session share: they run one after another, so an activation of one may lie where another's lay.
//!
//! Not shared is what the host writes or reads between runs: a program's inputs and outputs have buffers of their own.

use super::{BufferId, Plan};

/// The sizes of a session's shared buffers.
#[derive(Clone, Debug, Default)]
pub struct Pool {
    sizes: Vec<u64>,
}

impl Pool {
    /// For each of a program's buffers, of these sizes, the shared one that holds it: the smallest that is large enough and
    /// not taken by another of them; or a new one. Load the largest program first, and the others find what they need.
    pub fn assign(&mut self, sizes: &[u64]) -> Vec<usize> {
        let mut taken = vec![false; self.sizes.len()];
        let mut assigned = vec![0; sizes.len()];
        let mut order: Vec<usize> = (0..sizes.len()).collect();
        order.sort_by_key(|&at| std::cmp::Reverse(sizes[at]));
        for at in order {
            let fits = |shared: &usize| !taken[*shared] && self.sizes[*shared] >= sizes[at];
            let found = (0..self.sizes.len()).filter(fits).min_by_key(|&shared| self.sizes[shared]);
            assigned[at] = found.unwrap_or_else(|| {
                self.sizes.push(sizes[at]);
                taken.push(false);
                self.sizes.len() - 1
            });
            taken[assigned[at]] = true;
        }
        assigned
    }

    /// The sizes of all its buffers.
    pub fn sizes(&self) -> &[u64] {
        &self.sizes
    }
}

impl Plan {
    /// Whether the host writes or reads a local buffer.
    pub fn is_port(&self, local: usize) -> bool {
        let ports = self.inputs.iter().chain(&self.outputs);
        ports.into_iter().any(|(_, view)| view.buffer == BufferId::Local(local))
    }

    /// Its local buffers that other programs may share.
    pub fn shared_locals(&self) -> Vec<usize> {
        (0..self.locals.len()).filter(|&local| !self.is_port(local)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_smaller_program_takes_what_a_larger_one_has() {
        let mut pool = Pool::default();
        assert_eq!(pool.assign(&[10, 30, 20]), [2, 0, 1]);
        assert_eq!(pool.assign(&[15, 5]), [1, 2]);
        assert_eq!(pool.assign(&[25, 25]), [0, 3]);
        assert_eq!(pool.sizes(), [30, 20, 10, 25]);
    }
}
