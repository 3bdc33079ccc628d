// The example in row `row` of the batch, where the device holds one batch a step of the submission.

override BATCH: u32;
override EXAMPLES: u32;

fn gathered_row(row: u32) -> u32 {
    return min(step.slot * BATCH + row, EXAMPLES - 1u);
}
