// Patches of images in half precision, in vec4s of one pixel's channels, which are a multiple of four.

@group(0) @binding(IMAGES) var<storage, read> images: array<vec2<u32>>;

// Outside the image this loads element 0, which the caller discards by is_in_image().
fn load_vec4_of_patch(at: vec2<u32>) -> vec4<f32> {
    return of_halves(images[select(0u, at.x / 4u, is_in_image(at))]);
}
