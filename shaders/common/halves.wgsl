// Values in half precision, two to a word, the first in the low bits. Rounded to nearest, ties to even, in integers, so that all devices
// store the same: what WGSL's own packing makes of a number that f16 does not hold is up to them. Larger than 65504 becomes an
// infinity, as does what is no number; smaller than 2^-14 becomes 0, as on devices without denormal numbers.

const INFINITY = 0x7f800000u;       // the bits of f32
const LEAST_NORMAL = 0x38800000u;   // 2^-14
const BEYOND = 0x47800000u;         // 65536, to which rounding brings what is larger than 65504

fn half_bits(values: vec4<f32>) -> vec4<u32> {
    let bits = bitcast<vec4<u32>>(values);
    let magnitude = min(bits & vec4<u32>(0x7fffffffu), vec4<u32>(INFINITY));
    let rounded = magnitude + 0xfffu + ((magnitude >> vec4<u32>(13u)) & vec4<u32>(1u));
    // f16 has 10 bits of a fraction and 15 for its zero exponent, f32 23 and 127.
    let half = select((rounded >> vec4<u32>(13u)) - (112u << 10u), vec4<u32>(), magnitude < vec4<u32>(LEAST_NORMAL));
    return select(half, vec4<u32>(0x7c00u), rounded >= vec4<u32>(BEYOND)) | ((bits >> vec4<u32>(16u)) & vec4<u32>(0x8000u));
}

fn halves_of(values: vec4<f32>) -> vec2<u32> {
    let bits = half_bits(values);
    return bits.xz | (bits.yw << vec2<u32>(16u));
}

fn of_halves(words: vec2<u32>) -> vec4<f32> {
    return vec4<f32>(unpack2x16float(words.x), unpack2x16float(words.y));
}

// Element `at`, of the word that holds it.
fn half_in(word: u32, at: u32) -> f32 {
    let pair = unpack2x16float(word);
    return select(pair.x, pair.y, at % 2u == 1u);
}
