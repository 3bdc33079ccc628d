// Statistics of a channel over the images that count: those of the step's rows, SAMPLES each.

override IMAGES: u32;
override SAMPLES: u32;

fn counted() -> u32 {
    return min(step.rows * SAMPLES, IMAGES);
}

// The row of the statistics that a channel of an image is normalised by.
fn statistic_of(image: u32, c: u32) -> u32 {
    return c;
}
