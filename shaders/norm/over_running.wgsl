// Statistics of a channel that do not depend on the images; all images count.

override IMAGES: u32;

fn counted() -> u32 {
    return IMAGES;
}

// The row of the statistics that a channel of an image is normalised by.
fn statistic_of(image: u32, c: u32) -> u32 {
    return c;
}
