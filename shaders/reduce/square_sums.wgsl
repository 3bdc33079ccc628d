// y[p] = sum_i gradient[i]^2, i in part p: elements [p SPAN, (p + 1) SPAN); gradient [1, COUNT], y [1, PARTS]
// One workgroup a part.

override COUNT: u32;
override SPAN: u32;

@group(0) @binding(1) var<storage, read> gradient: array<f32>;

fn length(row: u32) -> u32 {
    return min(SPAN, COUNT - row * SPAN);
}

fn summand(row: u32, i: u32) -> f32 {
    let g = gradient[row * SPAN + i];
    return g * g;
}
