// state' = KEPT state + MOMENTUM value; both of one shape, the state updated in place. One invocation an element.

override MOMENTUM: f32;
override KEPT: f32;   // 1 - MOMENTUM, rounded once

@group(0) @binding(1) var<storage, read> value: array<f32>;
@group(0) @binding(2) var<storage, read_write> state: array<f32>;

fn element(i: u32) {
    state[i] = KEPT * state[i] + MOMENTUM * value[i];
}
