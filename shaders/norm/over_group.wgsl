// Statistics of groups of neighbouring channels of an image; all images count.

override IMAGES: u32;
override GROUPS: u32;

fn counted() -> u32 {
    return IMAGES;
}

// The row of the statistics that a channel of an image is normalised by.
fn statistic_of(image: u32, c: u32) -> u32 {
    return image * GROUPS + c / (CHANNELS / GROUPS);
}
