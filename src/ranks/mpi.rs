//! The ranks of an MPI job.
//!
//! Over TCP Open MPI 4.1 gives two ranks one connection, on which the request for what goes one way waits behind what goes the other: most
//! exchanges then take one direction after the other, up to twice as long. `--mca btl_tcp_links 2 --mca btl_tcp_flags 1` (two connections,
//! and values that are sent without having been asked for) avoids that.

use std::fmt;

use mpi::collective::CommunicatorCollectives;
use mpi::datatype::{Partition, PartitionMut};
use mpi::environment::Universe;
use mpi::request::scope;
use mpi::topology::{Communicator, SimpleCommunicator};
use mpi::traits::Root;
use mpi::{Count, Threading};

use super::Ranks;

/// All processes of the job that this one was started in. Dropping it leaves the job.
pub struct Mpi {
    world: SimpleCommunicator,
    // Behind the communicator, which it outlives.
    _universe: Universe,
}

impl Mpi {
    /// Joins the job; none where this process has done so before, or MPI refuses.
    pub fn join() -> Option<Mpi> {
        // The main thread alone exchanges.
        let (universe, _) = mpi::initialize_with_threading(Threading::Funneled)?;
        Some(Mpi { world: universe.world(), _universe: universe })
    }
}

impl fmt::Debug for Mpi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "rank {} of {}", self.rank(), self.count())
    }
}

/// How many values each rank has, and where they begin, as MPI counts.
///
/// # Panics
/// Where MPI's 32 bits can't count them.
fn counts(parts: &[usize]) -> [Vec<Count>; 2] {
    let count = |values: usize| Count::try_from(values).expect("MPI counts to 2^31 values an exchange");
    let starts = parts.iter().scan(0, |at, part| {
        *at += part;
        Some(count(*at - part))
    });
    [parts.iter().map(|&part| count(part)).collect(), starts.collect()]
}

impl Ranks for Mpi {
    fn rank(&self) -> usize {
        self.world.rank() as usize
    }

    fn count(&self) -> usize {
        self.world.size() as usize
    }

    fn exchange(
        &self,
        values: &[f32],
        parts: &[usize],
        given: &[usize],
        compute: &mut dyn FnMut(&mut dyn FnMut()),
    ) -> Vec<f32> {
        let mut received = vec![0.0; given.iter().sum()];
        let ([sent, sent_from], [taken, taken_from]) = (counts(parts), counts(given));
        let send = Partition::new(values, sent, sent_from);
        let mut receive = PartitionMut::new(&mut received[..], taken, taken_from);
        scope(|scope| {
            let mut request = Some(self.world.immediate_all_to_all_varcount_into(scope, &send, &mut receive));
            // MPI moves values only where it is called.
            compute(&mut || request = request.take().and_then(|request| request.test().err()));
            if let Some(request) = request {
                request.wait();
            }
        });
        received
    }

    fn gather(&self, own: &[f32], parts: &[usize], all: &mut [f32]) {
        let [taken, taken_from] = counts(parts);
        self.world.all_gather_varcount_into(own, &mut PartitionMut::new(all, taken, taken_from));
    }

    fn gather_numbers(&self, own: &[f64], parts: &[usize]) -> Vec<f64> {
        let mut all = vec![0.0; parts.iter().sum()];
        let [taken, taken_from] = counts(parts);
        self.world.all_gather_varcount_into(own, &mut PartitionMut::new(&mut all[..], taken, taken_from));
        all
    }

    fn broadcast(&self, text: String) -> String {
        let mut len = text.len() as u64;
        let first = self.world.process_at_rank(0);
        first.broadcast_into(&mut len);
        let mut bytes = text.into_bytes();
        bytes.resize(len as usize, 0);
        first.broadcast_into(&mut bytes[..]);
        String::from_utf8_lossy(&bytes).into_owned()
    }

    fn abort(&self, code: i32) -> ! {
        self.world.abort(code)
    }
}
