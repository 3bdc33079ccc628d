// metrics[slot, FIRST + i] = scalar i; each scalar [1, 1], metrics [slots, COLS]. One invocation.

override FIRST: u32;
override COLS: u32;

fn run(group: u32, lane: u32) {
    if (lane == 0u) {
        write_from(step.slot * COLS + FIRST);
    }
}
