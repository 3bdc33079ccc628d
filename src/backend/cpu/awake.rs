//! Threads that stay awake while a submission runs.

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

thread_local! {
    /// Whether this thread runs somebody's work, or looks for some: it need not look for another's.
    static AWAKE: Cell<bool> = const { Cell::new(false) };
}

/// Runs `f` on one of the pool's threads, and keeps the others looking for its parallel loops. One that has gone to sleep
/// takes some dozens of microseconds to wake, longer than many a dispatch, and a step has dozens of loops.
pub(super) fn awake<R: Send>(f: impl FnOnce() -> R + Send) -> R {
    let done = &AtomicBool::new(false);
    rayon::scope(|scope| {
        scope.spawn_broadcast(move |_, _| {
            // Where a thread waits for others inside of such an `f`, it comes by here too, and must not wait for another `f`.
            let Some(_looking) = Mark::new() else { return };
            while !done.load(Relaxed) {
                if rayon::yield_now() != Some(rayon::Yield::Executed) {
                    std::thread::yield_now();
                }
            }
        });
        let _running = Mark::new();
        let _ends = Ends(done);
        f()
    })
}

/// Marks this thread as awake.
struct Mark;

impl Mark {
    /// None where it is already.
    fn new() -> Option<Mark> {
        // Not `then_some`: a mark that was made would be dropped, which ends the first one.
        (!AWAKE.replace(true)).then(|| Mark)
    }
}

impl Drop for Mark {
    fn drop(&mut self) {
        AWAKE.set(false);
    }
}

/// Ends the others' search, also where `f` panics.
struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rayon::prelude::*;
    use std::sync::mpsc;
    use std::time::Duration;

    /// The result of `f`, which is given a minute.
    fn in_time<R: Send + 'static>(f: impl FnOnce() -> R + Send + 'static) -> R {
        let (sender, receiver) = mpsc::channel();
        std::thread::spawn(move || sender.send(f()));
        receiver.recv_timeout(Duration::from_secs(60)).expect("it waits for ever")
    }

    #[test]
    fn several_at_once_do_not_wait_for_each_other() {
        let sums = || (0..300).map(|round| awake(|| (0..64_u64).into_par_iter().map(|i| i * round).sum::<u64>())).sum();
        let all: Vec<u64> = in_time(move || {
            let threads = rayon::ThreadPoolBuilder::new().num_threads(3).build().unwrap();
            let threads = &threads;
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
