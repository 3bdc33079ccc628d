// epilogue(row, col, sum over parts of their sums): partial [PARTS, M, ceil(N / 4)], added in the order of the parts.
// An invocation owns four columns of a row.

override PARTS: u32;

@group(0) @binding(SCRATCH) var<storage, read> partial: array<vec4<f32>>;

fn element(i: u32) {
    var sums = partial[i];
    for (var part = 1u; part < PARTS; part = part + 1u) {
        sums = sums + partial[part * COUNT + i];
    }
    let vec4s = (N + 3u) / 4u;
    epilogue(i / vec4s, i % vec4s * 4u, sums);
}
