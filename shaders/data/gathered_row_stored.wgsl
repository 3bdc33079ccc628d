// The example in row `row` of the batch, where nothing is shuffled; rows past the end of the set repeat its last example.

override EXAMPLES: u32;

fn gathered_row(row: u32) -> u32 {
    return min(step.first + row, EXAMPLES - 1u);
}
