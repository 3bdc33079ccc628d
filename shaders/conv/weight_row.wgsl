// The row of weights [channels of the map * KERNEL * KERNEL, N] that row k = (ty, tx, channel of the map) of a phase's
// operand b is.

fn weight_row(k: u32) -> u32 {
    let tap = k / IMAGE_CHANNELS;
    let line = kernel_tap(phase.x, tap / taps_across());
    let pixel = kernel_tap(phase.y, tap % taps_across());
    return (k % IMAGE_CHANNELS * KERNEL + line) * KERNEL + pixel;
}
