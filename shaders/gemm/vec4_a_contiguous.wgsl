// A vec4 of a, which is stored [K, M], M a multiple of four: one load.

@group(0) @binding(1) var<storage, read> a: array<vec4<f32>>;

const A_K_CONTIGUOUS = false;

alias RowsA = u32;

// Where rows from `row` on begin, in vec4s; past the edge the last vec4 is repeated.
fn rows_a(row: u32) -> RowsA {
    return min(row, M - 1u) / 4u;
}

fn vec4_a(rows: RowsA, k: u32) -> vec4<f32> {
    return a[rows + k * (M / 4u)];
}
