// a, element by element.

@group(0) @binding(1) var<storage, read> a: array<f32>;

fn load_a(at: OffsetA) -> f32 {
    return a[at];
}
