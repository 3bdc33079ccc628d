//! Faults in sums by subgroups, which hardware has; here on whatever adapter has them.

use super::*;
use vae_gpu::ops::Subgroups;

const IN_SUMS: [(&str, Fault); 2] = [
    ("a barrier dropped between subgroups", |kernel| {
        edit(kernel, "common/tree_subgroups.wgsl", "    workgroupBarrier();\n    var sum", "    var sum");
    }),
    ("a subgroup left out", |kernel| edit(kernel, "common/tree_subgroups.wgsl", "id = 1u", "id = 2u")),
];

#[test]
fn faults_in_sums_by_subgroups_are_reported() {
    let case = Op::cases().into_iter().rfind(|case| case.op.name() == "kl").unwrap();
    let wanted = reference(&case);
    for (what, fault) in [("no fault", None)].into_iter().chain(IN_SUMS.map(|(what, fault)| (what, Some(fault)))) {
        let Some(mut device) = gpu(GpuOptions { checks: true, fault, ..GpuOptions::default() }) else { return };
        if device.profile().unwrap().subgroups == Subgroups::None {
            return eprintln!("SKIPPED: no subgroups that can add");
        }
        device.change_profile(|profile| profile.subgroups = Subgroups::OfAnySize);
        let got = run(&case, &device).unwrap();
        let reported = panics(|| Tolerance::rounding(case.terms).check(what, &got, &wanted));
        assert_eq!(reported, fault.is_some(), "{what}");
    }
}
