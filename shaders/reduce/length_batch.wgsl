// Sums over the rows of the batch that count, WIDTH summands each.

override BATCH: u32;
override WIDTH: u32;

fn length(row: u32) -> u32 {
    return min(step.rows, BATCH) * WIDTH;
}
