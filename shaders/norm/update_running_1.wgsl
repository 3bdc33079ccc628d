// The statistics [channels, 2] that an update takes.

const UPDATES = 1u;

@group(0) @binding(1) var<storage, read> a: array<f32>;

fn statistic(number: u32, at: u32) -> f32 {
    return a[at];
}
