// The taps of a convolution: KERNEL a line, DILATION pixels apart, the first PADDING pixels before the position.

override KERNEL: u32;
override PADDING: i32;
override DILATION: i32;

fn taps_across() -> u32 {
    return KERNEL;
}

fn tap_y(tap: u32) -> i32 {
    return i32(tap) * DILATION - PADDING;
}

fn tap_x(tap: u32) -> i32 {
    return i32(tap) * DILATION - PADDING;
}
