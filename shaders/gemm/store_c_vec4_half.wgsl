// Stores four columns of a row of c [M, N] from `col` on, together, in half precision. N is a multiple of four.

@group(0) @binding(C) var<storage, read_write> c: array<vec2<u32>>;

fn store_vec4(row: u32, col: u32, values: vec4<f32>) {
    c[(row * N + col) / 4u] = halves_of(values);
}
