//! The MPI job that a command may be a process of: `mpirun -n N vae-gpu train`.

use std::io::{Write, stderr};
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use super::interrupt::Interrupt;
use super::told;
use crate::backend::gpu::adapters;
use crate::error::{Error, Result, shell_word};
use crate::ranks::{Alone, Ranks};

/// What launchers tell a process of the job's size, and of its place among those of its host: Open MPI, then MPICH and Intel MPI.
const SIZES: [&str; 2] = ["OMPI_COMM_WORLD_SIZE", "PMI_SIZE"];
const PLACES: [[&str; 2]; 2] =
    [["OMPI_COMM_WORLD_LOCAL_RANK", "OMPI_COMM_WORLD_LOCAL_SIZE"], ["MPI_LOCALRANKID", "MPI_LOCALNRANKS"]];

/// How long a rank has to tell why all end.
const TELLING: Duration = Duration::from_secs(10);

/// How often it is looked whether the job is to end.
const LOOKING: Duration = Duration::from_millis(50);

/// A process's place in its job.
pub(super) struct Job {
    pub(super) ranks: Rc<dyn Ranks>,
    /// Its number among the ranks of its host, and how many these are.
    place: [usize; 2],
}

impl Job {
    /// Joins the job that this process was started in, and takes its share of the host's cores; a job of one where it was not.
    ///
    /// # Errors
    /// [`Error::Usage`] where it was, and this program has no MPI.
    fn join() -> Result<Job> {
        let Some(size) = size() else {
            return Ok(Job { ranks: Rc::new(Alone), place: [0, 1] });
        };
        let place = PLACES.into_iter().find_map(|[rank, count]| Some([number(rank)?, number(count)?.max(1)]));
        let job = Job { ranks: joined(size)?, place: place.unwrap_or([0, 1]) };
        job.share_cores()?;
        Ok(job)
    }

    /// Whether this process was started as one of several.
    pub(super) fn has_others() -> bool {
        size().is_some()
    }

    /// Whether this process speaks for all.
    pub(super) fn is_first(&self) -> bool {
        self.ranks.rank() == 0
    }

    /// Where launchers don't bind ranks to cores of their own, each takes as many threads as all would have alike.
    fn share_cores(&self) -> Result<()> {
        if std::env::var_os("RAYON_NUM_THREADS").is_some() {
            return Ok(());
        }
        let bound = std::thread::available_parallelism().map_or(1, usize::from);
        let share = (online_cores().unwrap_or(bound) / self.place[1]).clamp(1, bound);
        let pool = rayon::ThreadPoolBuilder::new().num_threads(share);
        pool.build_global().map_err(|error| Error::Usage(format!("threads can't be had: {error}")))
    }

    /// The device for this rank: where `gpu` is asked for, the ranks of a host take its adapters in turn, hardware if there is any.
    pub(super) fn device(&self, choice: &str) -> String {
        let mut all = if choice == "gpu" && self.place[1] > 1 { adapters() } else { Vec::new() };
        if all.iter().any(|adapter| adapter.hardware) {
            all.retain(|adapter| adapter.hardware);
        }
        match all.len() {
            0 => choice.to_owned(),
            count => all[self.place[0] % count].index.to_string(),
        }
    }

    /// Checks that all ranks are of one version and have what the first has, by name and value; none goes on before all have come here.
    ///
    /// # Errors
    /// [`Error::Usage`] on the first rank that differs, with what does.
    pub(super) fn agree<const N: usize>(
        &self,
        values: impl FnOnce() -> Result<[(&'static str, String); N]>,
    ) -> Result<()> {
        if self.ranks.count() == 1 {
            return Ok(());
        }
        let version = ("version", env!("CARGO_PKG_VERSION").to_owned());
        let values: Vec<_> = std::iter::once(version).chain(values()?).collect();
        let compared = values.iter().map(|(name, own)| (name, own, self.ranks.broadcast(own.clone())));
        let compared: Vec<_> = compared.collect();
        let differs = compared.iter().find(|(_, own, first)| *own != first);
        let found = [if differs.is_some() { 1.0 } else { 0.0 }];
        let found = self.ranks.gather_shares(&found, self.ranks.count(), 1);
        match (found.iter().position(|differs| *differs != 0.0), differs) {
            (None, _) => Ok(()),
            (Some(rank), Some((name, own, first))) if rank == self.ranks.rank() => Err(Error::Usage(format!(
                "its {name} is {own}, that of rank 0 is {first}: all ranks must have the same"
            ))),
            // That rank tells, and ends this one too.
            (Some(rank), _) => {
                std::thread::sleep(TELLING);
                Err(Error::Usage(format!("rank {rank} has not what rank 0 has")))
            }
        }
    }

    /// Tells how to go on as soon as the job is to end: where a rank is gone, launchers leave the others no time for the step under
    /// way, nor would it end without that rank.
    pub(super) fn tell_how_to_go_on(&self, interrupt: &Interrupt, folder: &Path) {
        if self.ranks.count() == 1 {
            return;
        }
        let (interrupt, run) = (interrupt.clone(), shell_word(folder));
        std::thread::spawn(move || {
            while interrupt.signal().is_none() {
                std::thread::sleep(LOOKING);
            }
            let _ = writeln!(
                stderr(),
                "stopping: if a rank is gone the run is as after its last epoch; go on, with any number of ranks that divides \
                 --shards, with: mpirun -n N vae-gpu train --resume {run}"
            ); // as below
        });
    }

    /// Runs a command as a rank of the job that it was started in: the first one speaks for all, and where one fails all end.
    ///
    /// # Errors
    /// As [`Job::join`], and those of the command.
    pub(super) fn run(command: impl FnOnce(&Job) -> Result<()>) -> Result<()> {
        let job = Job::join()?;
        match command(&job) {
            // All ranks stop together where they are asked to.
            Err(error) if job.ranks.count() > 1 && !matches!(error, Error::Interrupted { .. }) => job.fail(&error),
            Err(_) if !job.is_first() => Ok(()),
            done => done,
        }
    }

    /// Tells why this rank failed, and ends all of them.
    fn fail(&self, error: &Error) -> ! {
        // All find the same numbers: the first tells, and ends this one too.
        if matches!(error, Error::NonFinite(_)) && !self.is_first() {
            std::thread::sleep(TELLING);
        }
        let (rank, count) = (self.ranks.rank(), self.ranks.count());
        let _ = writeln!(stderr(), "error: rank {rank} of {count}: {}", told(error)); // there is nowhere left to report to
        self.ranks.abort(i32::from(error.exit_code()))
    }
}

#[cfg(feature = "mpi")]
fn joined(_: usize) -> Result<Rc<dyn Ranks>> {
    match crate::ranks::Mpi::join() {
        Some(mpi) => Ok(Rc::new(mpi)),
        None => Err(Error::Usage("MPI can't be joined: it was joined already".to_owned())),
    }
}

#[cfg(not(feature = "mpi"))]
fn joined(size: usize) -> Result<Rc<dyn Ranks>> {
    Err(Error::Usage(format!(
        "this is one of {size} processes of an MPI job, and this program was built without MPI, so that each would train by itself: \
         build it with `cargo build --release --features mpi`"
    )))
}

/// A number that a launcher tells.
fn number(name: &str) -> Option<usize> {
    std::env::var(name).ok()?.parse().ok()
}

/// Processes of the job, where there are several.
fn size() -> Option<usize> {
    SIZES.into_iter().find_map(number).filter(|size| *size > 1)
}

/// Cores of this machine, whatever this process is bound to; none where the system does not say.
fn online_cores() -> Option<usize> {
    let text = std::fs::read_to_string("/sys/devices/system/cpu/online").ok()?;
    cores(&text)
}

/// How many are in a list as `0-3,8`.
fn cores(list: &str) -> Option<usize> {
    let count = |range: &str| match range.split_once('-') {
        None => range.parse::<usize>().ok().map(|_| 1),
        Some((first, last)) => last.parse::<usize>().ok()?.checked_sub(first.parse().ok()?).map(|more| more + 1),
    };
    list.trim().split(',').map(count).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_cores_are_counted() {
        assert_eq!(["0", "0-3", "0-3,8,10-11\n"].map(cores), [Some(1), Some(4), Some(7)]);
        assert_eq!(["", "x", "3-1", "0-"].map(cores), [None; 4]);
    }

    #[test]
    fn a_process_alone_is_the_first_of_one() {
        let job = Job { ranks: Rc::new(Alone), place: [0, 1] };
        assert!(job.is_first() && job.agree(|| Ok([("seed", "1".to_owned())])).is_ok());
        assert_eq!(job.device("gpu"), "gpu");
    }
}
