// The values of all steps of a submission, for kernels that run once for all of them: the uniform buffer of common/step.wgsl,
// whose rows are 256 bytes apart.

struct StepRow {
    @size(256) step: Step,
}

@group(0) @binding(0) var<storage, read> steps: array<StepRow>;
