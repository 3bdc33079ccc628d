//! The invariants that `lib.rs` states, read off the sources.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};

fn sources(folder: &Path) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(&path).unwrap();
            let code: String =
                text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
            found.push((path, code));
        }
    }
    found
}

fn src(part: &str) -> Vec<(PathBuf, String)> {
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(part))
}

fn none_says(files: &[(PathBuf, String)], words: &[&str]) {
    assert!(!files.is_empty());
    for (path, code) in files {
        for word in words {
            assert!(!code.contains(word), "{} must not say {word}", path.display());
        }
    }
}

/// The one module with unsafe code.
const UNCHECKED: &str = "backend/unchecked.rs";

#[test]
fn one_module_is_unsafe() {
    let (unchecked, others): (Vec<_>, Vec<_>) = src("").into_iter().partition(|(path, _)| path.ends_with(UNCHECKED));
    none_says(&others, &["unsafe {", "unsafe fn", "unsafe impl", "unsafe extern", "allow(unsafe_code"]);
    let [(_, code)] = unchecked.as_slice() else { panic!("there is one {UNCHECKED}") };
    assert!(code.contains("unsafe {") && code.lines().count() < 200, "it stays small: {}", code.lines().count());
}

#[test]
fn only_the_gpu_backend_names_wgpu() {
    let of_gpus = |path: &Path| path.to_string_lossy().contains("backend/gpu") || path.ends_with(UNCHECKED);
    let others: Vec<_> = src("").into_iter().filter(|(path, _)| !of_gpus(path)).collect();
    none_says(&others, &["wgpu::"]);
    assert!(src("backend/gpu").iter().any(|(_, code)| code.contains("wgpu::")), "the rule must have something to find");
}

#[test]
fn graph_ops_and_plan_do_no_io() {
    for part in ["graph", "ops", "plan"] {
        none_says(&src(part), &["std::fs", "std::io", "println!", "File::", "backend::gpu"]);
    }
}

#[test]
fn models_name_no_kernel() {
    none_says(&src("models"), &[".wgsl", "Kernel", "backend", "plan::"]);
}
