//! Recordings: what a plan is lowered to, as text and as a file; one that was read back runs to the same bytes.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use crate::common::gpu;
use crate::fusion::small;
use vae_gpu::backend::gpu::{Gpu, GpuOptions};
use vae_gpu::backend::{Data, Device, Session, Values};
use vae_gpu::graph::Graph;
use vae_gpu::ops::DeviceProfile;
use vae_gpu::plan::{Arena, Fusion, Options, Recording, compile, lower};
use vae_gpu::rng::Permutation;
use vae_gpu::step::Step;
use vae_gpu::tensor::Shape;

const EXAMPLES: usize = 70;
const FEATURES: usize = 65;

fn recording(graph: &Graph, profile: &DeviceProfile) -> Recording {
    lower(&compile(graph, Options { fuse: Fusion::All }).unwrap(), profile).unwrap()
}

#[test]
fn the_recording_of_a_small_step_is_the_known_one() {
    insta::assert_snapshot!(recording(
        &small(None),
        &DeviceProfile { storage_buffers: 16, ..DeviceProfile::default() }
    ));
}

#[test]
fn a_recording_is_read_as_it_was_written() {
    let profile = DeviceProfile { subgroups_of_eight: true, ..DeviceProfile::new(true) };
    let written = recording(&small(Some(1.0)), &profile);
    let mut read = Recording::from_json(&written.to_json().unwrap()).unwrap();
    // A file's kernels are checked when they run.
    assert!(written.shaders.iter().all(|shader| shader.trusted) && read.shaders.iter().all(|shader| !shader.trusted));
    read.shaders.iter_mut().for_each(|shader| shader.trusted = true);
    assert_eq!(read, written);
}

#[test]
fn a_damaged_recording_is_refused() {
    let json = recording(&small(None), &DeviceProfile::default()).to_json().unwrap();
    for (from, to, rule) in [
        ("\"shader\":0", "\"shader\":99", "shader 99"),
        ("\"buffer\":0", "\"buffer\":99", "no range"),
        ("\"offset\":0", "\"offset\":2", "no range"),
        ("\"offset\":0", "\"offset\":18446744073709551612", "no range"),
        ("\"bytes\":", "\"bytes\":1", "no range"),
        ("\"source\":", "\"text\":", "text"),
        ("\"dispatches\"", "\"colour\"", "colour"),
        ("{", "[", "damaged"),
    ] {
        // The last place: buffers come before what is bound of them.
        let at = json.rfind(from).unwrap();
        let damaged = [&json[..at], to, &json[at + from.len()..]].concat();
        let error = Recording::from_json(&damaged).err().unwrap_or_else(|| panic!("{to} is taken")).to_string();
        assert!(error.contains(rule), "{to}: {error}");
    }
}

/// What three steps of the graph leave in the arenas and record, by its plan or by a recording.
fn trained(device: &Gpu, graph: &Graph, recording: Option<Recording>) -> Vec<Vec<u32>> {
    let bytes: Vec<u8> = (0..EXAMPLES * FEATURES).map(|i| (i * 37 % 256) as u8).collect();
    let data = Data { shape: Shape::new(EXAMPLES, FEATURES), values: Values::Bytes(&bytes) };
    let mut session = device.open_session(graph.layout(), &[data]).unwrap();
    session.write_arena(Arena::Parameters, &graph.layout().initial(1)).unwrap();
    let program = match recording {
        Some(recording) => session.load_recording(recording).unwrap(),
        None => session.load(compile(graph, Options { fuse: Fusion::All }).unwrap()).unwrap(),
    };
    let order = Permutation::new(3, 0, EXAMPLES as u32).keys();
    let steps: Vec<Step> = (0..3)
        .map(|index| {
            let first = 17 * index as u32;
            Step {
                index,
                first,
                rows: 17,
                seed: 3,
                order,
                step_size: 1e-3,
                second_scale: 1.0,
                beta: 0.5,
                ..Step::default()
            }
        })
        .collect();
    let recorded = session.run(&[program], &steps).unwrap().concat();
    let bits = |values: Vec<f32>| values.into_iter().map(f32::to_bits).collect();
    let mut left: Vec<Vec<u32>> = Arena::ALL.map(|arena| bits(session.read_arena(arena).unwrap())).to_vec();
    left.push(recorded.into_iter().map(|value| (value as f32).to_bits()).collect());
    left
}

#[test]
fn a_recording_from_a_file_runs_to_the_same_bytes() {
    let Some(device) = gpu(GpuOptions::default()) else { return };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("step.json");
    for clip in [None, Some(0.5)] {
        let graph = small(clip);
        std::fs::write(&file, recording(&graph, device.profile().unwrap()).to_json().unwrap()).unwrap();
        let wanted = trained(&device, &graph, None);
        let read = Recording::from_json(&std::fs::read_to_string(&file).unwrap()).unwrap();
        assert_eq!(trained(&device, &graph, Some(read)), wanted);
        assert!(wanted[4].iter().any(|&bits| bits != 0));
    }
}

#[test]
fn a_recording_of_other_buffers_is_refused() {
    let Some(device) = gpu(GpuOptions::default()) else { return };
    let graph = small(None);
    let bytes = vec![0; FEATURES * EXAMPLES];
    let data = Data { shape: Shape::new(EXAMPLES, FEATURES), values: Values::Bytes(&bytes) };
    let mut session = device.open_session(graph.layout(), &[data]).unwrap();
    let whole = recording(&graph, device.profile().unwrap());
    for number in [0, 5] {
        let mut other = whole.clone();
        other.buffers[number].bytes += 4;
        let error = session.load_recording(other).unwrap_err().to_string();
        assert!(error.contains("bytes here"), "{error}");
    }
    session.load_recording(whole).unwrap();
}
