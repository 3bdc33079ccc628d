// Three statistics [channels, 2] that an update takes in turn.

const UPDATES = 3u;

@group(0) @binding(1) var<storage, read> a: array<f32>;
@group(0) @binding(2) var<storage, read> b: array<f32>;
@group(0) @binding(3) var<storage, read> c: array<f32>;

fn statistic(number: u32, at: u32) -> f32 {
    if (number == 0u) {
        return a[at];
    }
    if (number == 1u) {
        return b[at];
    }
    return c[at];
}
