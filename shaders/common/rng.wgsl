// Counter-based random numbers: bits, uniforms and normals that depend on nothing but what they are for.
// Twin of src/rng.rs, which says where the numbers come from: the same operations in the same order.
// No state, no built-in transcendental: only integers and f32 +, -, *.

// The high word of a * b, from 16-bit halves.
fn mul_hi(a: u32, b: u32) -> u32 {
    let low = (a & 0xffffu) * (b & 0xffffu);
    let left = (a >> 16u) * (b & 0xffffu) + (low >> 16u);   // at most 0xffff0000: cannot overflow
    let right = (a & 0xffffu) * (b >> 16u) + (left & 0xffffu);
    return (a >> 16u) * (b >> 16u) + (left >> 16u) + (right >> 16u);
}

// Philox4x32-10.
fn philox(counter: vec4<u32>, key: vec2<u32>) -> vec4<u32> {
    var c = counter;
    var k = key;
    for (var round = 0u; round < 10u; round++) {
        c = vec4<u32>(
            mul_hi(0xcd9e8d57u, c.z) ^ c.y ^ k.x,
            0xcd9e8d57u * c.z,
            mul_hi(0xd2511f53u, c.x) ^ c.w ^ k.y,
            0xd2511f53u * c.x,
        );
        k += vec2<u32>(0x9e3779b9u, 0xbb67ae85u);
    }
    return c;
}

// 32 bits for element `element` of example `example` at step (low, high).
fn draw_bits(seed: u32, stream: u32, step_index: vec2<u32>, example: u32, element: u32) -> u32 {
    let block = philox(vec4<u32>(element / 4u, example, step_index.x, step_index.y), vec2<u32>(seed, stream));
    return block[element % 4u];
}

// The top 24 bits as a fraction in [0, 1); exact.
fn uniform_from_bits(bits: u32) -> f32 {
    return f32(bits >> 8u) * 0x1p-24;
}

// The top 24 bits k through the inverse normal CDF at (k + 1/2) / 2^24.
fn normal_from_bits(bits: u32) -> f32 {
    let k = bits >> 8u;
    let tails = f32(min(2u * k + 1u, 0x1ffffffu - 2u * k)) * 0x1p-24;   // both tails, in (0, 1); exact
    let x = 1.0 - tails;                                                // exact
    let v = bitcast<i32>(tails * (2.0 - tails));                        // 1 - x^2

    // w = -log2(1 - x^2), with the mantissa in [2/3, 4/3)
    let exponent = (v - 0x3f2aaaab) >> 23u;
    let f = bitcast<f32>(v - (exponent << 23u)) - 1.0;
    var log2 = -0.23083088;
    log2 = log2 * f + 0.2515078;
    log2 = log2 * f - 0.23495448;
    log2 = log2 * f + 0.28469422;
    log2 = log2 * f - 0.360907;
    log2 = log2 * f + 0.48101333;
    log2 = log2 * f - 0.7213444;
    log2 = log2 * f + 1.4426942;
    let w = -(log2 * f + f32(exponent));

    var scale: f32;
    if (w < 8.0) {
        scale = -3.821672e-10;
        scale = scale * w + 1.422761e-8;
        scale = scale * w - 1.8321064e-7;
        scale = scale * w + 4.0432332e-7;
        scale = scale * w + 1.0966537e-5;
        scale = scale * w - 4.3651286e-5;
        scale = scale * w - 0.0010968258;
        scale = scale * w + 0.007845381;
        scale = scale * w + 0.22743371;
        scale = scale * w + 1.2533141;
    } else {
        let u = w - 8.0;
        scale = -2.0880756e-12;
        scale = scale * u + 1.6982676e-10;
        scale = scale * u - 6.076312e-9;
        scale = scale * u + 1.2464929e-7;
        scale = scale * u - 1.5434184e-6;
        scale = scale * u + 8.695199e-6;
        scale = scale * u + 0.00010386265;
        scale = scale * u - 0.0047391867;
        scale = scale * u + 0.20186293;
        scale = scale * u + 3.1030457;
    }
    return select(x, -x, k < 0x800000u) * scale;
}
