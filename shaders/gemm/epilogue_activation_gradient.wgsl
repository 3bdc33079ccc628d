// c = sum slope(kept), kept being y or x, as the activation needs; kept, c [M, N]

@group(0) @binding(3) var<storage, read> kept: array<f32>;
@group(0) @binding(4) var<storage, read_write> c: array<f32>;

fn epilogue(row: u32, col: u32, sums: vec4<f32>) {
    for (var i = 0u; i < min(4u, N - col); i = i + 1u) {
        let at = row * N + col + i;
        c[at] = sums[i] * slope(kept[at]);
    }
}
