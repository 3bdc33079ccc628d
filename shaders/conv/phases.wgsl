// The phases of a transposed convolution of stride s = PHASES: part (py, px) computes pixels (s i + py, s j + px), which only some
// taps of the kernel reach: every TAP_STEP-th, from first_tap(p) on. Rows are (image, i, j), GRID_HEIGHT by GRID_WIDTH an image
// in every phase, of which those beside the value [batch, HEIGHT, WIDTH, N] are left out; k is (ty, tx, channel of the map).
//
// Tap t reaches pixels of phase p where t DILATION = p + PADDING modulo s. With COMMON the greatest common divisor of
// DILATION and s, and INVERSE that of DILATION / COMMON modulo TAP_STEP = s / COMMON, the first is (p + PADDING) / COMMON * INVERSE
// modulo TAP_STEP, where COMMON divides p + PADDING; else none is.

override KERNEL: u32;
override PHASES: u32;
override PADDING: u32;
override DILATION: u32;
override COMMON: u32;
override INVERSE: u32;
override TAP_STEP: u32;
override HEIGHT: u32;
override WIDTH: u32;

var<private> phase: vec2<u32>;

fn first_tap(p: u32) -> u32 {
    let first = (p + PADDING) / COMMON * INVERSE % TAP_STEP;
    return select(KERNEL, min(first, KERNEL), (p + PADDING) % COMMON == 0u);
}

fn tap_count(p: u32) -> u32 {
    return (KERNEL - first_tap(p) + TAP_STEP - 1u) / TAP_STEP;
}

// The tap of the kernel that is the t-th of a phase.
fn kernel_tap(p: u32, t: u32) -> u32 {
    return first_tap(p) + t * TAP_STEP;
}

// The map's position that it reads, relative to a pixel's i.
fn tap_offset(p: u32, t: u32) -> i32 {
    return (i32(p + PADDING) - i32(kernel_tap(p, t) * DILATION)) / i32(PHASES);
}

fn taps_across() -> u32 {
    return tap_count(phase.y);
}

fn tap_y(t: u32) -> i32 {
    return tap_offset(phase.x, t);
}

fn tap_x(t: u32) -> i32 {
    return tap_offset(phase.y, t);
}

fn part_of(tile: u32, tiles: u32) -> u32 {
    return min(tile / tiles, PHASES * PHASES - 1u);
}

fn begin(part: u32) -> vec2<u32> {
    phase = vec2<u32>(part / PHASES, part % PHASES);
    return vec2<u32>(0u, tap_count(part / PHASES) * tap_count(part % PHASES) * IMAGE_CHANNELS);
}

fn finish(row: u32, col: u32, sums: vec4<f32>) {
    let x = row % GRID_WIDTH * PHASES + phase.y;
    let y = row / GRID_WIDTH % GRID_HEIGHT * PHASES + phase.x;
    if (y < HEIGHT && x < WIDTH) {
        epilogue((row / (GRID_WIDTH * GRID_HEIGHT) * HEIGHT + y) * WIDTH + x, col, sums);
    }
}
