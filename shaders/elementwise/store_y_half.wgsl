// y[i] = value(i), in half precision: an invocation stores four.

@group(0) @binding(Y) var<storage, read_write> y: array<vec2<u32>>;

fn element(i: u32) {
    let first = 4u * i;
    y[i] = halves_of(vec4<f32>(value(first), value(first + 1u), value(first + 2u), value(first + 3u)));
}
