// Nearest neighbours: element i of `to` along an extent is element floor(i source / to) of `source`.

// The elements that one is made of, and the second one's weight.
struct Taps {
    first: u32,
    second: u32,
    weight: f32,
}

fn taps_of(i: u32, source: u32, to: u32) -> Taps {
    let nearest = i * source / to;
    return Taps(nearest, nearest, 0.0);
}

// The first of the elements that read element j, and the one behind the last.
fn first_reader(j: u32, source: u32, to: u32) -> u32 {
    return (j * to + source - 1u) / source;
}

fn readers_end(j: u32, source: u32, to: u32) -> u32 {
    return ((j + 1u) * to + source - 1u) / source;
}
