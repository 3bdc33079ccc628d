// The example in row `row` of the batch; rows past the end of the set repeat its last position.

override EXAMPLES: u32;

fn gathered_row(row: u32) -> u32 {
    return example_at(min(step.first + row, EXAMPLES - 1u), EXAMPLES);
}
