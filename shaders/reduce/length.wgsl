// The length of each sum is known when the plan is made.

override LENGTH: u32;

fn length(row: u32) -> u32 {
    return LENGTH;
}
