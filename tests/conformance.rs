//! The conformance suite reports what is broken, and nothing else.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use crate::common::gpu;
use assert_cmd::Command;
use predicates::prelude::*;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU32, Ordering};
use vae_gpu::backend::Device;
use vae_gpu::backend::cpu::Cpu;
use vae_gpu::backend::gpu::GpuOptions;
use vae_gpu::conformance::{Outcome, Part, Subject, check};
use vae_gpu::ops::Kernel;

/// Adams that were built.
static ADAMS: AtomicU32 = AtomicU32::new(0);

/// Leaves an element out of each `scale`, a term out of each sum by thread tiles of 8x8, and gives each Adam an epsilon of its own.
fn broken(kernel: &mut Kernel) {
    let has = |name: &str| kernel.fragments.iter().any(|fragment| fragment.name == name);
    let (name, by) = match () {
        () if has("elementwise/scale.wgsl") => ("COUNT", -1.0),
        () if has("gemm/thread_8x8.wgsl") => ("K", -1.0),
        () if has("optim/adam.wgsl") => ("EPSILON", 1e-2 * f64::from(1 + ADAMS.fetch_add(1, Ordering::Relaxed))),
        () => return,
    };
    let found: Vec<&mut f64> =
        kernel.constants.iter_mut().filter(|(known, _)| *known == name).map(|(_, value)| value).collect();
    assert!(!found.is_empty(), "no {name}");
    found.into_iter().for_each(|value| *value += by);
}

fn failed(checks: &[Outcome], part: Part) -> BTreeSet<&str> {
    let failed = checks.iter().filter(|check| check.part == part && !check.failures.is_empty());
    failed.map(|check| check.name.as_str()).collect()
}

#[test]
fn what_is_broken_is_reported_and_nothing_else() {
    let Some(device) = gpu(GpuOptions { fault: Some(broken), ..GpuOptions::default() }) else { return };
    let mut seen = 0;
    let checks = check(&Subject { device: &device, checked: None, half: None }, true, |_| seen += 1);
    assert_eq!(seen, checks.len());
    assert_eq!(failed(&checks, Part::Op), ["scale"].into());
    assert_eq!(failed(&checks, Part::Algorithm), ["square-8x8", "tiled-8x8"].into());
    assert_eq!(failed(&checks, Part::Limit), ["workgroups"].into());
    for part in [Part::Model, Part::Determinism, Part::Work] {
        let all = checks.iter().filter(|check| check.part == part).map(|check| check.name.as_str()).collect();
        assert_eq!(failed(&checks, part), all, "{part:?}");
    }
}

#[test]
fn a_lost_device_ends_the_suite() {
    let Some(device) = gpu(GpuOptions::default()) else { return };
    device.lose();
    let checks = check(&Subject { device: &device, checked: None, half: None }, true, |_| {});
    let [only] = &checks[..] else { panic!("{checks:?}") };
    let last = only.failures.last().unwrap();
    assert!(last.contains("nothing runs any more, so nothing else was tried"), "{last}");
}

#[test]
fn the_cpu_path_conforms() {
    let cpu = Cpu::<f32>::new();
    let checks = check(&Subject { device: &cpu as &dyn Device, checked: None, half: None }, true, |_| {});
    let failures: Vec<&String> = checks.iter().flat_map(|check| &check.failures).collect();
    assert!(failures.is_empty(), "{failures:?}");
    // Nothing on the CPU chooses between algorithms.
    assert!(checks.iter().all(|check| check.part != Part::Algorithm && check.cases > 0));
}

#[test]
fn the_command_writes_a_report() {
    let vae_gpu = |args: &[&str]| {
        let mut command = Command::cargo_bin("vae-gpu").unwrap();
        command.arg("check").args(args).assert()
    };
    let output = vae_gpu(&["--device", "cpu", "--quick", "--json"]).success().get_output().stdout.clone();
    let report: serde_json::Value = serde_json::from_slice(&output).unwrap();
    let checks = report["checks"].as_array().unwrap();
    let cases: u64 = checks.iter().map(|check| check["cases"].as_u64().unwrap()).sum();
    assert_eq!((report["cases"].as_u64(), report["failed"].as_u64()), (Some(cases), Some(0)));
    assert!(checks.iter().any(|check| check["part"] == "op" && check["name"] == "matmul"), "{report}");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("check.json");
    let named = ["--device", "cpu", "--quick", "--json", file.to_str().unwrap()];
    vae_gpu(&named).success().stdout(predicate::str::contains("comparisons failed, in"));
    let written: serde_json::Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    assert_eq!(written["cases"], report["cases"]);
    vae_gpu(&["--device", "99"]).code(2).stderr(predicate::str::contains("no such adapter"));
}
