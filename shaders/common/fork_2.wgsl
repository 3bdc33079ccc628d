// Two kernels in one dispatch: the first has GROUPS_0 workgroups, the second the rest.

override GROUPS_0: u32;

fn run(group: u32, lane: u32) {
    if (group < GROUPS_0) {
        run_0(group, lane);
    } else {
        run_1(group - GROUPS_0, lane);
    }
}
