// The data in the order it lies, where nothing is shuffled. Defines the function that rng/order_shuffled.wgsl defines.

// The example that stands at `position`.
fn example_at(position: u32, n: u32) -> u32 {
    return position;
}
