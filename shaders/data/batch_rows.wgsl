// rows[s, r] = the example in row r of the batch of step s of a submission; rows past the end of the set repeat its last
// position. rows [steps, BATCH]
// One invocation an element, once a submission.

override BATCH: u32;
override EXAMPLES: u32;

@group(0) @binding(1) var<storage, read_write> rows: array<u32>;

fn element(i: u32) {
    let slot = i / BATCH;
    rows[i] = example_at(slot, min(steps[slot].step.first + i % BATCH, EXAMPLES - 1u), EXAMPLES);
}
