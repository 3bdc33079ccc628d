// y = activate(x); both of one shape
// One invocation an element.

fn value(i: u32) -> f32 {
    return activate(load_x(i));
}
