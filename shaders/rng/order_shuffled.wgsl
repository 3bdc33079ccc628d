// The order of an epoch: a keyed bijection on [0, n). Twin of Permutation::at in src/rng.rs, equal to the last bit.
// A balanced Feistel network on 2 * half bits, applied until the result is below n. Reads only the step's order.

const FEISTEL_ROUNDS: u32 = 8u;
// Most turns of the walk below n; a bijection needs on average fewer than 4.
const FEISTEL_WALKS: u32 = 1024u;

// The example that stands at `position` of the epoch of the step in `slot`; both are below n.
fn example_at(slot: u32, position: u32, n: u32) -> u32 {
    let half = max((33u - countLeadingZeros(n - 1u)) / 2u, 1u);   // smallest half >= 1 with 2^(2 half) >= n
    let mask = (1u << half) - 1u;
    var at = position;
    for (var walk = 0u; walk < FEISTEL_WALKS; walk++) {
        var left = (at >> half) & mask;
        var right = at & mask;
        for (var round = 0u; round < FEISTEL_ROUNDS; round++) {
            let mixed = left ^ (feistel_mix(right ^ steps[slot].step.order[round / 4u][round % 4u]) & mask);
            left = right;
            right = mixed;
        }
        at = (left << half) | right;
        if (at < n) {
            break;
        }
    }
    return min(at, n - 1u);
}

// The integer hash "lowbias32" (Wellons, "Prospecting for Hash Functions", 2018).
fn feistel_mix(value: u32) -> u32 {
    var x = value;
    x = (x ^ (x >> 16u)) * 0x7feb352du;
    x = (x ^ (x >> 15u)) * 0x846ca68bu;
    return x ^ (x >> 16u);
}
