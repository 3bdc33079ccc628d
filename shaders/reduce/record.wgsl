// metrics[slot, FIRST + i] = scalar i; each scalar [1, 1], metrics [slots, COLS]. One invocation.

override FIRST: u32;
override COLS: u32;

@compute @workgroup_size(1)
fn main() {
    write_from(step.slot * COLS + FIRST);
}
