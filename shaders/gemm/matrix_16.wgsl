// Cooperative matrices of 16 x 16.

const SIDE = 16u;
alias MatrixA = coop_mat16x16<f16, A>;
alias MatrixB = coop_mat16x16<f16, B>;
alias Matrix = coop_mat16x16<f32, C>;
