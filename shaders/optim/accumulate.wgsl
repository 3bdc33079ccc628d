// sum' = KEEP sum + x, x alone where KEEP is 0; parts of two arenas, [1, 4 COUNT], the sum updated in place
// One invocation a vec4.

override KEEP: u32;   // number of the scalar

@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> sum: array<vec4<f32>>;

fn element(i: u32) {
    if scalar(KEEP) == 0.0 {
        sum[i] = x[i];
    } else {
        sum[i] = sum[i] + x[i];
    }
}
