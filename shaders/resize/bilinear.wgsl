// Linear between centres: element i of `to` along an extent lies at (i + 1/2) source / to - 1/2 among those of `source`, and not
// before the first.

// The elements that one is made of, and the second one's weight.
struct Taps {
    first: u32,
    second: u32,
    weight: f32,
}

fn taps_of(i: u32, source: u32, to: u32) -> Taps {
    // In units of 1 / (2 to).
    let at = max((2u * i + 1u) * source, to) - to;
    let first = at / (2u * to);
    let weight = f32(at % (2u * to)) / f32(2u * to);
    return Taps(first, min(first + 1u, source - 1u), weight);
}

// The first of the elements that lie at j - 1 or behind it, and the first that lies at j + 1 or behind it: those between read
// element j.
fn first_reader(j: u32, source: u32, to: u32) -> u32 {
    if (j == 0u) {
        return 0u;
    }
    let least = max((2u * j - 1u) * to, source) - source;
    return (least + 2u * source - 1u) / (2u * source);
}

fn readers_end(j: u32, source: u32, to: u32) -> u32 {
    let end = max((2u * j + 3u) * to, source) - source;
    return min((end + 2u * source - 1u) / (2u * source), to);
}
