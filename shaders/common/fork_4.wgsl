// Four kernels in one dispatch: the first has GROUPS_0 workgroups, the second GROUPS_1, the third GROUPS_2, the last the rest.

override GROUPS_0: u32;
override GROUPS_1: u32;
override GROUPS_2: u32;

fn run(group: u32, lane: u32) {
    if (group < GROUPS_0) {
        run_0(group, lane);
    } else if (group < GROUPS_0 + GROUPS_1) {
        run_1(group - GROUPS_0, lane);
    } else if (group < GROUPS_0 + GROUPS_1 + GROUPS_2) {
        run_2(group - GROUPS_0 - GROUPS_1, lane);
    } else {
        run_3(group - GROUPS_0 - GROUPS_1 - GROUPS_2, lane);
    }
}
