//! What the graphics API's validation layers say ends the test that made them say it.

use log::{Level, LevelFilter, Log, Metadata, Record};
use std::io::Write;

struct Watch;

impl Log for Watch {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("wgpu_hal")
    }

    fn log(&self, record: &Record<'_>) {
        let message = record.args().to_string();
        // wgpu's words for a layer that it was told to use, at a level that is looked at only where layers are required.
        let absent = message.contains("unable to find layer");
        if absent || record.level() <= Level::Warn && message.starts_with("VALIDATION") {
            // The driver called: there is no unwinding through it. Written past what the test runner captures.
            let _ = writeln!(std::io::stderr(), "validation layers: {message}");
            std::process::abort();
        }
    }

    fn flush(&self) {}
}

/// From now on a message of the layers ends the process, and with `VAE_GPU_REQUIRE_VALIDATION=1` so do layers that are not
/// installed.
pub fn watch() {
    // Another test of the binary has set it otherwise.
    if log::set_logger(&Watch).is_ok() {
        let required = std::env::var("VAE_GPU_REQUIRE_VALIDATION").as_deref() == Ok("1");
        log::set_max_level(if required { LevelFilter::Debug } else { LevelFilter::Warn });
    }
}
