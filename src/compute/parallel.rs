//! Threads that stay awake while a submission runs, and what they share.

use std::hint::spin_loop;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering::Acquire, Ordering::Relaxed, Ordering::Release};
use std::time::{Duration, Instant};

use rayon::Yield;

/// How long a thread looks for work that does not come,
const PATIENCE: Duration = Duration::from_millis(1);
/// and how long for work at all.
const STAY: Duration = Duration::from_secs(1);

/// How often a thread that waits for another one looks before it lets the system run what else there is.
const SPINS: usize = 100;

/// Runs `f` on one of the pool's threads, and keeps the others looking for its parallel loops. One that has gone to sleep
/// takes some dozens of microseconds to wake, longer than many a dispatch, and a step has dozens of loops.
///
/// Nobody looks on until `f` is done, come what may. Where a job waits for a part of itself rayon runs whatever there is, and
/// so a search may come to lie in the middle of a job that `f` waits for: each would wait for the other.
pub(crate) fn awake<R: Send>(f: impl FnOnce() -> R + Send) -> R {
    let done = &AtomicBool::new(false);
    rayon::scope(|scope| {
        let runs_f = rayon::current_thread_index();
        scope.spawn_broadcast(move |_, thread| {
            if Some(thread.index()) != runs_f {
                look(done);
            }
        });
        let _ends = Ends(done);
        f()
    })
}

/// Calls both, each on a thread of its own if another one has nothing to do.
pub(super) fn join(left: impl FnOnce() + Send, right: impl FnOnce() + Send) {
    let done = &AtomicBool::new(false);
    rayon::join(
        || {
            left();
            // As rayon would wait, but that it lets a thread sleep after some microseconds.
            let mut tries = 0;
            while !done.load(Acquire) {
                match rayon::yield_now() {
                    Some(Yield::Executed) => {}
                    _ if tries < SPINS => {
                        tries += 1;
                        spin_loop(); // leaves its core to a thread that shares it
                    }
                    _ => std::thread::yield_now(),
                }
            }
        },
        || {
            let _ends = Ends(done);
            right();
        },
    );
}

/// Whether this thread works from the front, as every other one does, or from the back. Each keeps to its end of what there is
/// to do: what it wrote in one loop it mostly finds in its own caches in the next, and need not fetch from another core's.
pub(super) fn from_front() -> bool {
    rayon::current_thread_index().is_none_or(|thread| thread.is_multiple_of(2))
}

/// Calls `f` with each of the items, which threads take from the end that is [theirs](from_front).
pub(crate) fn each<I: DoubleEndedIterator + Send>(items: I, f: impl Fn(I::Item) + Sync) {
    fn spread(threads: usize, work: &(impl Fn() + Sync)) {
        match threads {
            0 | 1 => work(),
            _ => join(|| spread(threads.div_ceil(2), work), || spread(threads / 2, work)),
        }
    }
    let threads = rayon::current_num_threads().min(items.size_hint().1.unwrap_or(usize::MAX));
    let items = &Mutex::new(items);
    spread(threads, &|| {
        let next = if from_front() { I::next } else { I::next_back };
        let take = || next(&mut items.lock().expect("no iterator panics"));
        while let Some(item) = take() {
            f(item);
        }
    });
}

/// Runs what others have to run.
fn look(done: &AtomicBool) {
    let began = Instant::now();
    let mut last = began;
    while !done.load(Relaxed) && last.elapsed() < PATIENCE && began.elapsed() < STAY {
        match rayon::yield_now() {
            Some(Yield::Executed) => last = Instant::now(),
            _ => std::thread::yield_now(),
        }
    }
}

/// Ends the others' search, also where `f` panics.
struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rayon::prelude::*;
    use rayon::{ThreadPool, ThreadPoolBuilder};
    use std::sync::atomic::AtomicUsize;
    use std::sync::mpsc;

    fn threads(count: usize) -> ThreadPool {
        ThreadPoolBuilder::new().num_threads(count).build().unwrap()
    }

    /// The result of `f`, which is given a minute.
    fn in_time<R: Send + 'static>(f: impl FnOnce() -> R + Send + 'static) -> R {
        let (sender, receiver) = mpsc::channel();
        std::thread::spawn(move || sender.send(f()));
        receiver.recv_timeout(Duration::from_secs(60)).expect("it waits for ever")
    }

    fn wait_for(flag: &AtomicBool) {
        while !flag.load(Relaxed) {
            std::thread::yield_now();
        }
    }

    #[test]
    fn a_search_within_a_job_that_is_waited_for_ends() {
        in_time(|| {
            let [begun, looks, over] = [const { AtomicBool::new(false) }; 3];
            threads(2).scope(|scope| {
                scope.spawn(|_| {
                    begun.store(true, Relaxed);
                    wait_for(&looks);
                    // As it would while it waits for a part of itself: the search is all there is to run.
                    while rayon::yield_now() != Some(rayon::Yield::Executed) {}
                    over.store(true, Relaxed);
                });
                wait_for(&begun);
                awake(|| {
                    looks.store(true, Relaxed);
                    wait_for(&over);
                });
            });
        });
    }

    #[test]
    fn each_item_is_taken_once() {
        for count in [0, 1, 2, 3, 100] {
            for pool in 1..4 {
                let taken: Vec<AtomicUsize> = (0..count).map(|_| AtomicUsize::new(0)).collect();
                let (pool, of_pool) = (threads(pool), &taken);
                pool.install(|| each(of_pool.iter(), |times| _ = times.fetch_add(1, Relaxed)));
                assert!(taken.iter().all(|times| times.load(Relaxed) == 1), "{count} items: {taken:?}");
            }
        }
    }

    #[test]
    fn a_panic_ends_the_wait_for_another_thread() {
        let panics = |run: fn()| in_time(move || std::panic::catch_unwind(|| threads(2).install(run)).is_err());
        assert!(panics(|| join(|| {}, || panic!("as is wanted"))));
        assert!(panics(|| join(|| panic!("as is wanted"), || {})));
        assert!(panics(|| each(0..4, |item| assert!(item < 3, "as is wanted"))));
    }

    #[test]
    fn several_at_once_do_not_wait_for_each_other() {
        let sums = || (0..300).map(|round| awake(|| (0..64_u64).into_par_iter().map(|i| i * round).sum::<u64>())).sum();
        let all: Vec<u64> = in_time(move || {
            let threads = &threads(3);
            std::thread::scope(|scope| {
                let runs: Vec<_> = (0..6).map(|_| scope.spawn(move || threads.install(sums))).collect();
                runs.into_iter().map(|run| run.join().unwrap()).collect()
            })
        });
        assert_eq!(all, [2016 * 44_850; 6]);
    }

    #[test]
    fn a_panic_ends_the_search_too() {
        assert!(in_time(|| std::panic::catch_unwind(|| awake(|| panic!("as is wanted"))).is_err()));
        assert_eq!(in_time(|| awake(|| 7)), 7);
    }
}
