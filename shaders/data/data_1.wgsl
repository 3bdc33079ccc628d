// Where a kernel finds the data set.

const DATA_BINDING = 1u;
