// Patches of images [batch, IMAGE_HEIGHT, IMAGE_WIDTH, IMAGE_CHANNELS] as a matrix: row (n, y, x) of positions, GRID_HEIGHT by
// GRID_WIDTH an image and STEP pixels apart, column (ty, tx, channel) of taps, taps_across() a line, whose offsets from the
// position are tap_y(ty) and tap_x(tx). Beside the image an element is 0.
//
// An element is found by the sum of two offsets (address; line << 16 | pixel): of its row, and of its column, whose lines and
// pixels are MARGIN more, so that none is negative.

override IMAGE_HEIGHT: u32;
override IMAGE_WIDTH: u32;
override IMAGE_CHANNELS: u32;
override GRID_HEIGHT: u32;
override GRID_WIDTH: u32;
override STEP: u32;

const MARGIN = 0x4000u;

fn patch_row(row: u32) -> vec2<u32> {
    let x = row % GRID_WIDTH * STEP;
    let y = row / GRID_WIDTH % GRID_HEIGHT * STEP;
    let image = row / (GRID_WIDTH * GRID_HEIGHT);
    return vec2<u32>(((image * IMAGE_HEIGHT + y) * IMAGE_WIDTH + x) * IMAGE_CHANNELS, (y << 16u) | x);
}

fn patch_col(col: u32) -> vec2<u32> {
    let tap = col / IMAGE_CHANNELS;
    let y = tap_y(tap / taps_across());
    let x = tap_x(tap % taps_across());
    let address = u32((y * i32(IMAGE_WIDTH) + x) * i32(IMAGE_CHANNELS)) + col % IMAGE_CHANNELS;
    return vec2<u32>(address, ((u32(y) + MARGIN) << 16u) | (u32(x) + MARGIN));
}

// Whether the pixel at the sum of the offsets of a row and of a column is in its image.
fn is_in_image(at: vec2<u32>) -> bool {
    return (at.y >> 16u) - MARGIN < IMAGE_HEIGHT && (at.y & 0xffffu) - MARGIN < IMAGE_WIDTH;
}
