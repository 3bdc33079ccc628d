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
        (!AWAKE.replace(true)).then_some(Mark)
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
