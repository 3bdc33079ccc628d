// The example in row `row` of the batch, as data/batch_rows.wgsl left it; rows [steps, BATCH].

override BATCH: u32;

@group(0) @binding(TABLE) var<storage, read> batch_rows: array<u32>;

fn gathered_row(row: u32) -> u32 {
    return batch_rows[step.slot * BATCH + row];
}
