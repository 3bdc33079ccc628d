// Cooperative matrices of 8 x 8.

const SIDE = 8u;
alias MatrixA = coop_mat8x8<f16, A>;
alias MatrixB = coop_mat8x8<f16, B>;
alias Matrix = coop_mat8x8<f32, C>;
