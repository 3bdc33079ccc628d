// Where a kernel that draws as it reads finds the posterior.

const POSTERIOR_BINDING = 1u;
