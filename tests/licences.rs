//! The licences of everything that is linked: each is one that this crate's own go with, and `assets/licences.md` lists them.
//! `VAE_GPU_WRITE_LICENCES=1 cargo test --test main licences` writes that file anew.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

/// What a program under MIT or Apache-2.0 may be linked with, on the conditions that the texts be passed on.
const COMPATIBLE: [&str; 12] = [
    "MIT",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "ISC",
    "Zlib",
    "0BSD",
    "CC0-1.0",
    "Unlicense",
    "Unicode-3.0",
    "BSL-1.0",
];

/// Whether one of the choices that an SPDX expression without nested brackets leaves is compatible in all its parts.
fn allowed(expression: &str) -> bool {
    let plain = expression.replace('/', " OR ");
    let parts = |text: &str| -> Vec<String> {
        text.split(" AND ").map(|part| part.trim_matches(['(', ')', ' ']).to_owned()).collect()
    };
    let fits = |licence: &str| COMPATIBLE.contains(&licence);
    match plain.contains('(') {
        // (A OR B) AND C: each part has a choice of its own.
        true => parts(&plain).iter().all(|part| part.split(" OR ").any(|one| fits(one.trim()))),
        false => plain.split(" OR ").any(|choice| parts(choice).iter().all(|part| fits(part))),
    }
}

/// Every crate that the release of this one links or builds with, on any system: its licence by name and version. None
/// where other systems' crates were never fetched.
fn linked() -> Option<BTreeMap<String, String>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let arguments = ["metadata", "--format-version", "1", "--offline", "--locked"];
    let output = Command::new(env!("CARGO")).args(arguments).current_dir(root).output().unwrap();
    if !output.status.success() {
        let reason = String::from_utf8_lossy(&output.stderr);
        assert!(std::env::var_os("CI").is_none(), "{reason}");
        eprintln!("SKIPPED: `cargo fetch` brings what is missing: {reason}");
        return None;
    }
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let nodes: BTreeMap<&str, &serde_json::Value> = metadata["resolve"]["nodes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|node| (node["id"].as_str().unwrap(), node))
        .collect();
    let own = metadata["resolve"]["root"].as_str().unwrap();
    let (mut seen, mut next) = (BTreeSet::new(), vec![own]);
    while let Some(id) = next.pop() {
        if !seen.insert(id) {
            continue;
        }
        for dependency in nodes[id]["deps"].as_array().unwrap() {
            let tests = dependency["dep_kinds"].as_array().unwrap().iter().all(|kind| kind["kind"] == "dev");
            if !tests {
                next.push(dependency["pkg"].as_str().unwrap());
            }
        }
    }
    let packages = metadata["packages"].as_array().unwrap().iter();
    let packages = packages.filter(|package| package["id"] != own && seen.contains(package["id"].as_str().unwrap()));
    let text = |value: &serde_json::Value| value.as_str().unwrap_or("none").to_owned();
    let linked = packages.map(|package| {
        (format!("{} {}", text(&package["name"]), text(&package["version"])), text(&package["license"]))
    });
    Some(linked.collect())
}

#[test]
fn licences_are_compatible_and_listed() {
    let Some(linked) = linked() else { return };
    for (package, licence) in &linked {
        assert!(allowed(licence), "{package} is under {licence}: it must leave a choice of {COMPATIBLE:?}");
    }
    let mut wanted =
        "# Licences of what this program links or is built with\n\nWritten by `VAE_GPU_WRITE_LICENCES=1 cargo test \
                      --test main licences`; of optional parts and other systems too.\n\n| crate | licence |\n|---|---|\n"
            .to_owned();
    linked.iter().for_each(|(package, licence)| wanted.push_str(&format!("| {package} | {licence} |\n")));
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/licences.md");
    if std::env::var("VAE_GPU_WRITE_LICENCES").as_deref() == Ok("1") {
        std::fs::write(&path, &wanted).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        found == wanted,
        "assets/licences.md is out of date: VAE_GPU_WRITE_LICENCES=1 cargo test --test main licences"
    );
}

#[test]
fn expressions_are_read() {
    for good in [
        "MIT",
        "MIT OR Apache-2.0",
        "MIT/Apache-2.0",
        "(MIT OR GPL-3.0) AND Unicode-3.0",
        "GPL-3.0 OR MIT",
        "MIT AND ISC",
    ] {
        assert!(allowed(good), "{good}");
    }
    for bad in ["GPL-3.0", "none", "MIT AND GPL-3.0", "(MIT OR ISC) AND GPL-3.0"] {
        assert!(!allowed(bad), "{bad}");
    }
}
