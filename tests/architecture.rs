//! The invariants that `lib.rs` states, read off the sources.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};
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
const UNCHECKED: &str = "src/unchecked.rs";

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
fn numerics_graph_ops_and_plan_do_no_io() {
    let parts = ["tensor", "compute", "kernel", "gemm", "graph", "ops", "plan"];
    let files: Vec<_> = src("").into_iter().filter(|(path, _)| parts.contains(&top(path).as_str())).collect();
    assert!(parts.iter().all(|part| files.iter().any(|(path, _)| top(path) == *part)));
    none_says(&files, &["std::fs", "std::io", "println!", "File::"]);
}

#[test]
fn models_name_no_kernel() {
    none_says(&src("models"), &[".wgsl", "Kernel"]);
}

/// A file's code without its tests, which close it.
fn untested(code: &str) -> &str {
    code.split("#[cfg(test)]\nmod ").next().unwrap()
}

#[test]
fn only_models_name_a_model() {
    let inside = src("models");
    let others = src("").into_iter().filter(|(path, _)| !inside.iter().any(|(model, _)| model == path));
    let others: Vec<_> = others.map(|(path, code)| (path, untested(&code).to_owned())).collect();
    none_says(&others, &["ModelKind::"]);
    let asked = |word: &str| others.iter().any(|(_, code)| code.contains(word));
    assert!(asked("Capability::") && asked("ModelKind"), "the rule must have something to find");
    assert!(inside.iter().any(|(_, code)| code.contains("ModelKind::")), "the rule must have something to find");
}

/// The top modules, each with those it may name, lowest first. All name lower rows only, so that there is no circle.
const EDGES: &[(&str, &[&str])] = &[
    ("tensor", &[]),
    ("unchecked", &[]),
    ("error", &[]),
    ("step", &["error"]),
    ("compute", &["tensor", "unchecked"]),
    ("rng", &["compute"]),
    ("files", &["error"]),
    ("kernel", &[]),
    ("gemm", &["kernel"]),
    ("ops", &["compute", "error", "gemm", "kernel", "rng", "step", "tensor"]),
    ("graph", &["error", "ops", "rng", "tensor"]),
    ("plan", &["error", "graph", "ops", "step", "tensor"]),
    ("backend", &["compute", "error", "files", "graph", "ops", "plan", "step", "tensor", "unchecked"]),
    ("optim", &["error", "graph", "ops", "step", "tensor"]),
    ("models", &["error", "graph", "ops", "optim", "rng", "tensor"]),
    ("data", &["error", "files", "rng", "tensor"]),
    ("fidelity", &["compute", "error", "rng"]),
    ("density", &["compute", "error", "files", "rng"]),
    ("plot", &["data", "error", "files"]),
    ("ranks", &[]),
    ("config", &["backend", "data", "error", "models", "ops", "optim", "rng"]),
    (
        "train",
        &[
            "backend", "config", "data", "density", "error", "fidelity", "files", "graph", "models", "ops", "optim",
            "plan", "plot", "ranks", "rng", "step", "tensor",
        ],
    ),
    (
        "conformance",
        &["backend", "data", "error", "graph", "models", "ops", "optim", "plan", "rng", "step", "tensor", "train"],
    ),
    (
        "export",
        &["backend", "config", "data", "density", "error", "files", "graph", "models", "ops", "plan", "plot", "train"],
    ),
    (
        "cli",
        &[
            "backend",
            "config",
            "conformance",
            "data",
            "error",
            "export",
            "fidelity",
            "files",
            "models",
            "ops",
            "plan",
            "plot",
            "ranks",
            "train",
        ],
    ),
];

/// The module of a file, as `train` of `src/train/bench/mod.rs`.
fn top(path: &Path) -> String {
    let inside = path.strip_prefix(Path::new(env!("CARGO_MANIFEST_DIR")).join("src")).unwrap();
    inside.iter().next().unwrap().to_string_lossy().trim_end_matches(".rs").to_owned()
}

/// The word that a text begins with.
fn word(text: &str) -> &str {
    text.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap()
}

/// What each occurrence of `start` is followed by.
fn after<'a>(code: &'a str, start: &'a str) -> impl Iterator<Item = &'a str> {
    code.match_indices(start).map(move |(at, _)| &code[at + start.len()..])
}

/// The parts of a list, `a, b::{c, d}}`, up to the brace that closes it.
fn parts(list: &str) -> Vec<&str> {
    let (mut depth, mut from, mut parts) = (0, 0, Vec::new());
    for (at, c) in list.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth > 0 => depth -= 1,
            ',' | '}' if depth == 0 => {
                parts.push(list[from..at].trim());
                from = at + 1;
            }
            _ => {}
        }
        if c == '}' && from == at + 1 {
            break;
        }
    }
    parts
}

/// The top modules that code names: `crate::module` and `crate::{module, ...}`.
fn named(code: &str) -> BTreeSet<String> {
    let paths = after(code, "crate::").flat_map(|path| match path.strip_prefix('{') {
        Some(list) => parts(list),
        None => vec![path],
    });
    paths
        .map(word)
        .filter(|name| !name.is_empty())
        .map(|name| if matches!(name, "Error" | "Result") { "error" } else { name }.to_owned())
        .collect()
}

/// The types that code takes from other top modules by `use crate::module::...`, with their modules.
fn imported(code: &str) -> BTreeMap<String, String> {
    let mut types = BTreeMap::new();
    for path in after(code, "use crate::") {
        let path = path.split(';').next().unwrap();
        for name in path.split(|c: char| !c.is_alphanumeric() && c != '_') {
            if name.starts_with(char::is_uppercase) {
                types.insert(name.to_owned(), word(path).to_owned());
            }
        }
    }
    types
}

/// The types that have inherent impls here.
fn inherent(code: &str) -> impl Iterator<Item = &str> {
    let heads = code.lines().filter(|line| line.starts_with("impl") && !line.contains(" for "));
    heads.map(|line| {
        let mut depth = 0;
        let name = line["impl".len()..].trim_start_matches(|c: char| {
            depth += i32::from(c == '<') - i32::from(c == '>');
            depth > 0 || c == '>' || c == ' '
        });
        word(name)
    })
}

/// Every edge between two top modules, with a file that has it. An inherent impl on another module's type is an edge from
/// that module: what it offers is then written here.
fn edges() -> BTreeMap<(String, String), PathBuf> {
    let mut edges = BTreeMap::new();
    for (path, code) in src("") {
        let here = top(&path);
        if matches!(here.as_str(), "lib" | "main") {
            continue;
        }
        let types = imported(&code);
        let outside = inherent(&code).filter_map(|name| types.get(name).map(|home| (home.clone(), here.clone())));
        let there = named(&code).into_iter().map(|name| (here.clone(), name));
        for edge in there.chain(outside).filter(|(from, to)| from != to) {
            edges.entry(edge).or_insert_with(|| path.clone());
        }
    }
    edges
}

#[test]
fn modules_name_what_they_may() {
    let allowed: BTreeSet<(String, String)> =
        EDGES.iter().flat_map(|(from, all)| all.iter().map(move |to| ((*from).to_owned(), (*to).to_owned()))).collect();
    let found = edges();
    for ((from, to), path) in &found {
        assert!(
            allowed.contains(&(from.clone(), to.clone())),
            "{}: {from} must not name {to}; EDGES has what it may",
            path.display()
        );
    }
    for (from, to) in allowed {
        assert!(found.contains_key(&(from.clone(), to.clone())), "{from} no longer names {to}: take it from EDGES");
    }
}

#[test]
fn arrows_point_down() {
    let row = |name: &str| EDGES.iter().position(|(from, _)| *from == name).unwrap();
    for (from, all) in EDGES {
        for to in *all {
            assert!(row(to) < row(from), "{from} names {to}, which is above it");
        }
    }
}

#[test]
fn edges_are_read_from_paths_and_inherent_impls() {
    let code = "use crate::{Result, data::{Images, idx::Header}, plan::Plan};\nlet x = crate::rng::f();";
    assert_eq!(named(code), ["data", "error", "plan", "rng"].map(str::to_owned).into());
    let code = "use crate::data::{Images, Values};\nimpl<T: Into<X>> Images<T> {\nimpl Shown for Values {";
    assert_eq!(inherent(code).collect::<Vec<_>>(), ["Images"]);
    assert_eq!(imported(code)["Images"], "data");
}
