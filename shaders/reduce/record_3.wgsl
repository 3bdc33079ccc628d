// Three scalars to record, from element `at` of the ring on

@group(0) @binding(1) var<storage, read> a: array<f32>;
@group(0) @binding(2) var<storage, read> b: array<f32>;
@group(0) @binding(3) var<storage, read> c: array<f32>;
@group(0) @binding(4) var<storage, read_write> metrics: array<f32>;

fn write_from(at: u32) {
    metrics[at] = a[0];
    metrics[at + 1u] = b[0];
    metrics[at + 2u] = c[0];
}
