// An image's pixels in PARTS of PART_PIXELS, the last one what is left.

override PIXELS: u32;
override PARTS: u32;
override PART_PIXELS: u32;

fn pixels_of(part: u32) -> u32 {
    return min(PART_PIXELS, PIXELS - part * PART_PIXELS);
}
