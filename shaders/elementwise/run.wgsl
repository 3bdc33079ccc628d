// One invocation an element: element(i) for i < COUNT.

override COUNT: u32;

fn run(group: u32, lane: u32) {
    let i = group * WORKGROUP + lane;
    if (i < COUNT) {
        element(i);
    }
}
