//! Parallel loops on rayon's pool, and workers that keep spinning for work while a submission runs.

use std::hint::spin_loop;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering::Acquire, Ordering::Relaxed, Ordering::Release};
use std::time::{Duration, Instant};

use rayon::Yield;

/// Longest time that a worker spins without finding work.
const IDLE_LIMIT: Duration = Duration::from_millis(1);
/// Longest time that a worker spins at all.
const SPIN_LIMIT: Duration = Duration::from_secs(1);

/// Spins of a thread that waits in [`join`], before it yields its core to the system.
const SPINS_BEFORE_YIELD: usize = 100;

/// Runs `f` on one worker of the pool and keeps the others spinning for its parallel loops. A sleeping worker takes dozens of
/// microseconds to wake, longer than many a dispatch, and a step has dozens of loops.
///
/// Spinning always ends by a time limit, not only when `f` returns: a job that waits for a part of itself may run a spin loop
/// in between, and if `f` waits for that job the two would wait for each other.
pub(crate) fn keep_spinning<R: Send>(f: impl FnOnce() -> R + Send) -> R {
    let done = &AtomicBool::new(false);
    rayon::scope(|scope| {
        let runs_f = rayon::current_thread_index();
        scope.spawn_broadcast(move |_, thread| {
            if Some(thread.index()) != runs_f {
                spin_for_work(done);
            }
        });
        let _done = SetOnDrop(done);
        f()
    })
}

/// Fork-join: calls both, on two threads if another one is idle.
pub(super) fn join(left: impl FnOnce() + Send, right: impl FnOnce() + Send) {
    let done = &AtomicBool::new(false);
    rayon::join(
        || {
            left();
            // As rayon waits, except that rayon lets a thread sleep after some microseconds.
            let mut tries = 0;
            while !done.load(Acquire) {
                match rayon::yield_now() {
                    Some(Yield::Executed) => {}
                    _ if tries < SPINS_BEFORE_YIELD => {
                        tries += 1;
                        spin_loop(); // yields to the other hardware thread of its core
                    }
                    _ => std::thread::yield_now(),
                }
            }
        },
        || {
            let _done = SetOnDrop(done);
            right();
        },
    );
}

/// Whether this thread takes items from the front, as even threads do, or from the back. Each keeps to its end in every loop,
/// so that what it wrote in one is mostly in its own caches in the next.
pub(super) fn takes_from_front() -> bool {
    rayon::current_thread_index().is_none_or(|thread| thread.is_multiple_of(2))
}

/// Parallel for: calls `f` with each of the items, which threads take from [their end](takes_from_front).
pub(crate) fn parallel_for<I: DoubleEndedIterator + Send>(items: I, f: impl Fn(I::Item) + Sync) {
    fn spread(threads: usize, work: &(impl Fn() + Sync)) {
        match threads {
            0 | 1 => work(),
            _ => join(|| spread(threads.div_ceil(2), work), || spread(threads / 2, work)),
        }
    }
    let threads = rayon::current_num_threads().min(items.size_hint().1.unwrap_or(usize::MAX));
    let items = &Mutex::new(items);
    spread(threads, &|| {
        let next = if takes_from_front() { I::next } else { I::next_back };
        let take = || next(&mut items.lock().expect("no iterator panics"));
        while let Some(item) = take() {
            f(item);
        }
    });
}

/// Runs other threads' jobs until `done`, or until a time limit.
fn spin_for_work(done: &AtomicBool) {
    let began = Instant::now();
    let mut last = began;
    while !done.load(Relaxed) && last.elapsed() < IDLE_LIMIT && began.elapsed() < SPIN_LIMIT {
        match rayon::yield_now() {
            Some(Yield::Executed) => last = Instant::now(),
            _ => std::thread::yield_now(),
        }
    }
}

/// Ends the other workers' spinning, also where `f` panics.
struct SetOnDrop<'a>(&'a AtomicBool);

impl Drop for SetOnDrop<'_> {
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
    fn spinning_within_a_job_that_is_waited_for_ends() {
        in_time(|| {
            let [begun, spins, over] = [const { AtomicBool::new(false) }; 3];
            threads(2).scope(|scope| {
                scope.spawn(|_| {
                    begun.store(true, Relaxed);
                    wait_for(&spins);
                    // As while it waits for a part of itself: the spin loop is all there is to run.
                    while rayon::yield_now() != Some(rayon::Yield::Executed) {}
                    over.store(true, Relaxed);
                });
                wait_for(&begun);
                keep_spinning(|| {
                    spins.store(true, Relaxed);
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
                pool.install(|| parallel_for(of_pool.iter(), |times| _ = times.fetch_add(1, Relaxed)));
                assert!(taken.iter().all(|times| times.load(Relaxed) == 1), "{count} items: {taken:?}");
            }
        }
    }

    #[test]
    fn a_panic_ends_the_wait_for_another_thread() {
        let panics = |run: fn()| in_time(move || std::panic::catch_unwind(|| threads(2).install(run)).is_err());
        assert!(panics(|| join(|| {}, || panic!("as is wanted"))));
        assert!(panics(|| join(|| panic!("as is wanted"), || {})));
        assert!(panics(|| parallel_for(0..4, |item| assert!(item < 3, "as is wanted"))));
    }

    #[test]
    fn several_at_once_do_not_wait_for_each_other() {
        let sums = || {
            (0..300).map(|round| keep_spinning(|| (0..64_u64).into_par_iter().map(|i| i * round).sum::<u64>())).sum()
        };
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
    fn a_panic_ends_the_spinning_too() {
        assert!(in_time(|| std::panic::catch_unwind(|| keep_spinning(|| panic!("as is wanted"))).is_err()));
        assert_eq!(in_time(|| keep_spinning(|| 7)), 7);
    }
}
