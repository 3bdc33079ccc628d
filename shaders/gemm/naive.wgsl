// finish(row, col, sums over k of a b), M x N x K, without any reuse: what the other algorithms are measured against.
// An invocation computes four neighbouring sums, one after the other.

fn run(group: u32, lane: u32) {
    let vec4s = (N + 3u) / 4u;
    let part = part_of(group * WORKGROUP + lane, M * vec4s);
    let i = group * WORKGROUP + lane - part * M * vec4s;
    if (i >= M * vec4s) {
        return;
    }
    let ks = begin(part);
    let row = i / vec4s;
    let first = i % vec4s * 4u;
    let from_a = a_row(row);
    var sums: vec4<f32>;
    for (var c = 0u; c < min(4u, N - first); c = c + 1u) {
        let from_b = b_col(first + c);
        var sum = 0.0;
        for (var k = ks.x; k < ks.y; k = k + 1u) {
            sum = sum + load_a(from_a + a_k(k)) * load_b(from_b + b_k(k));
        }
        // FXC unrolls loops around a written index into a vector, or refuses.
        sums = select(sums, vec4<f32>(sum), vec4<u32>(0u, 1u, 2u, 3u) == vec4<u32>(c));
    }
    finish(row, first, sums);
}
