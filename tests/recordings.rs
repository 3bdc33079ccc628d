//! Recordings: what a plan is lowered to, as text and as a file; one that was read back runs to the same bytes.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use crate::common::{gpu, scalars};
use crate::fusion::small;
use vae_gpu::backend::gpu::{Gpu, GpuOptions};
use vae_gpu::backend::{Data, Device, Session, Values};
use vae_gpu::graph::{GRADIENTS, Graph, PARAMETERS};
use vae_gpu::ops::{AdapterClass, DeviceProfile, Subgroups};
use vae_gpu::plan::recording::{Buffer, Role};
use vae_gpu::plan::{Fusion, Options, Recording, compile, lower};
use vae_gpu::rng::Permutation;
use vae_gpu::step::Step;
use vae_gpu::tensor::Shape;

const EXAMPLES: usize = 70;
const FEATURES: usize = 65;

fn recording(graph: &Graph, profile: &DeviceProfile) -> Recording {
    lower(&compile(graph, Options::new(Fusion::All)).unwrap(), profile).unwrap()
}

#[test]
fn the_recording_of_a_small_step_is_the_known_one() {
    insta::assert_snapshot!(recording(
        &small(None)[0],
        &DeviceProfile { storage_buffers: 16, ..DeviceProfile::default() }
    ));
}

#[test]
fn a_recording_is_read_as_it_was_written() {
    let profile = DeviceProfile { subgroups: Subgroups::OfEight, ..DeviceProfile::new(AdapterClass::Software) };
    for written in small(Some(1.0)).map(|graph| recording(&graph, &profile)) {
        let read = Recording::from_json(&written.to_json().unwrap()).unwrap();
        // A file's kernels are checked when they run.
        let trusted = |recording: &Recording| recording.shaders.iter().filter(|shader| shader.is_trusted()).count();
        assert_eq!((trusted(&written), trusted(&read)), (written.shaders.len(), 0));
        assert_eq!(read.to_json().unwrap(), written.to_json().unwrap());
        assert_eq!(
            (read.buffers, read.prologue, read.dispatches),
            (written.buffers, written.prologue, written.dispatches)
        );
    }
}

#[test]
fn a_damaged_recording_is_refused() {
    let json = recording(&small(None)[0], &DeviceProfile::default()).to_json().unwrap();
    for (from, to, rule) in [
        ("\"shader\":0", "\"shader\":99", "shader 99"),
        ("\"buffer\":0", "\"buffer\":99", "no range"),
        ("\"offset\":0", "\"offset\":2", "no range"),
        ("\"workgroups\":[", "\"workgroups\":[99999", "at most 65535"),
        ("\"offset\":0", "\"offset\":18446744073709551612", "no range"),
        ("\"bytes\":", "\"bytes\":99999999", "no range"),
        ("\"metrics\":[\"loss\",", "\"metrics\":[", "metrics ring"),
        ("\"slot\":20", "\"slot\":24", "its steps are"),
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

#[test]
fn a_plan_that_does_not_fit_its_ops_is_not_lowered() {
    let mut plan = compile(&small(None)[0], Options::new(Fusion::All)).unwrap();
    plan.dispatches[0].outputs[0].shape = Shape::new(1000, 63);
    let error = lower(&plan, &DeviceProfile::default()).unwrap_err().to_string();
    assert!(error.contains("matmul: the plan's output is [1000, 63], of these inputs it must be [17, 63]"), "{error}");
}

/// What three steps of the graphs leave in the arenas and record, by their plans or by recordings.
fn trained(device: &Gpu, graphs: &[Graph; 2], recordings: Option<[Recording; 2]>) -> Vec<Vec<u32>> {
    let bytes: Vec<u8> = (0..EXAMPLES * FEATURES).map(|i| (i * 37 % 256) as u8).collect();
    let data = Data { shape: Shape::new(EXAMPLES, FEATURES), values: Values::Bytes(&bytes) };
    let mut session = device.open_session(graphs[0].layout(), &[data]).unwrap();
    session.write_arena(PARAMETERS, &graphs[0].layout().initial(1)).unwrap();
    let programs = match recordings {
        Some(recordings) => recordings.map(|recording| session.load_recording(recording).unwrap()),
        None => {
            graphs.each_ref().map(|graph| session.load(compile(graph, Options::new(Fusion::All)).unwrap()).unwrap())
        }
    };
    let order = Permutation::new(3, 0, EXAMPLES as u32).keys();
    let steps: Vec<Step> = (0..3)
        .map(|index| {
            let first = 17 * index as u32;
            Step { index, first, rows: 17, seed: 3, order, scalars: scalars(1e-3, index + 1), ..Step::default() }
        })
        .collect();
    let recorded = session.run(&programs, &steps).unwrap();
    let bits = |values: Vec<f32>| values.into_iter().map(f32::to_bits).collect();
    let arenas = [PARAMETERS, GRADIENTS, "adam.first", "adam.second"];
    let mut left: Vec<Vec<u32>> = arenas.map(|arena| bits(session.read_arena(arena).unwrap())).to_vec();
    left.push(recorded.values().iter().map(|&value| (value as f32).to_bits()).collect());
    left
}

#[test]
fn a_recording_from_a_file_runs_to_the_same_bytes() {
    let Some(device) = gpu(GpuOptions::default()) else { return };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("step.json");
    for clip in [None, Some(0.5)] {
        let graphs = small(clip);
        let wanted = trained(&device, &graphs, None);
        let read = graphs.each_ref().map(|graph| {
            std::fs::write(&file, recording(graph, device.profile().unwrap()).to_json().unwrap()).unwrap();
            Recording::from_json(&std::fs::read_to_string(&file).unwrap()).unwrap()
        });
        assert_eq!(trained(&device, &graphs, Some(read)), wanted);
        assert!(wanted[4].iter().any(|&bits| bits != 0));
    }
}

#[test]
fn a_recording_of_other_buffers_is_refused() {
    let Some(device) = gpu(GpuOptions::default()) else { return };
    let [graph, _] = small(None);
    let bytes = vec![0; FEATURES * EXAMPLES];
    let data = Data { shape: Shape::new(EXAMPLES, FEATURES), values: Values::Bytes(&bytes) };
    let mut session = device.open_session(graph.layout(), &[data]).unwrap();
    let whole = recording(&graph, device.profile().unwrap());
    let shared = |buffer: &Buffer| matches!(buffer.role, Role::Arena(_) | Role::Dataset(_));
    let shared: Vec<usize> = (0..whole.buffers.len()).filter(|&at| shared(&whole.buffers[at])).collect();
    assert_eq!(shared.len(), 3, "parameters, gradients and the data");
    for number in shared {
        let mut other = whole.clone();
        other.buffers[number].bytes += 4;
        let error = session.load_recording(other).unwrap_err().to_string();
        assert!(error.contains("bytes here"), "{error}");
    }
    session.load_recording(whole).unwrap();
}
