// A window that moves over images [batch, HEIGHT, WIDTH, CHANNELS]; its positions are [batch, OUT_HEIGHT, OUT_WIDTH, CHANNELS].

override HEIGHT: u32;
override WIDTH: u32;
override CHANNELS: u32;
override OUT_HEIGHT: u32;
override OUT_WIDTH: u32;
override KERNEL: u32;
override STRIDE: u32;
override PADDING: u32;
override DILATION: u32;

// The row or column of the image that a tap of the window at a position reads; one before the first wraps to a large number.
fn pixel(position: u32, tap: u32) -> u32 {
    return position * STRIDE + tap * DILATION - PADDING;
}

// The first of the positions whose windows may reach a row or column.
fn first_position(pixel: u32) -> u32 {
    let reach = DILATION * (KERNEL - 1u) + 1u;
    return select(0u, (pixel + PADDING - reach) / STRIDE + 1u, pixel + PADDING >= reach);
}

// The number of an element of the images.
fn element_of(image: u32, y: u32, x: u32, c: u32) -> u32 {
    return ((image * HEIGHT + y) * WIDTH + x) * CHANNELS + c;
}

// The number of an element of the positions.
fn position_of(image: u32, y: u32, x: u32, c: u32) -> u32 {
    return ((image * OUT_HEIGHT + y) * OUT_WIDTH + x) * CHANNELS + c;
}
