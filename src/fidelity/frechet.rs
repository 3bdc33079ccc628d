//! The Fréchet distance of two Gaussians (Dowson and Landau 1982), as Heusel et al. 2017 take it of sets of features: squared,
//! `|m_1 - m_2|^2 + tr(C_1 + C_2 - 2 (C_1 C_2)^(1/2))`.
//!
//! `C_1 C_2` has the eigenvalues of the symmetric `R C_2 R`, where R is the root of C_1. So no root of a matrix that is not symmetric is
//! taken, which has imaginary parts to throw away and fails where covariances are singular.

use nalgebra::DMatrix;

use super::Points;
use crate::compute::{Matrix, gemm};

/// The squared distance.
pub(super) fn distance(a: &Points, b: &Points) -> f64 {
    let [(mean_a, cov_a), (mean_b, cov_b)] = [a, b].map(moments);
    let between: f64 = mean_a.iter().zip(&mean_b).map(|(a, b)| (a - b).powi(2)).sum();
    let root = root(cov_a.clone());
    let product = &root * &cov_b * &root;
    // Rounding leaves eigenvalues of singular matrices below 0.
    let shared: f64 = product.symmetric_eigenvalues().iter().map(|value| value.max(0.0).sqrt()).sum();
    between + cov_a.trace() + cov_b.trace() - 2.0 * shared
}

/// The mean, and the covariance with `count - 1` in its denominator.
fn moments(points: &Points) -> (Vec<f64>, DMatrix<f64>) {
    let (count, dims) = (points.count(), points.dims);
    let mut mean = vec![0.0; dims];
    for row in points.rows() {
        mean.iter_mut().zip(row).for_each(|(mean, value)| *mean += value / count as f64);
    }
    let centred: Vec<f64> =
        points.rows().flat_map(|row| row.iter().zip(&mean).map(|(value, mean)| value - mean)).collect();
    let mut covariance = vec![0.0; dims * dims];
    gemm([dims, dims, count], &mut covariance, Matrix::transposed(&centred, dims), Matrix::rows(&centred, dims));
    covariance.iter_mut().for_each(|value| *value /= count as f64 - 1.0);
    (mean, DMatrix::from_vec(dims, dims, covariance))
}

/// The symmetric root of a covariance.
fn root(covariance: DMatrix<f64>) -> DMatrix<f64> {
    let mut eigen = covariance.symmetric_eigen();
    eigen.eigenvalues.apply(|value| *value = value.max(0.0).sqrt());
    eigen.recompose()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fidelity::tests::normal;

    #[test]
    fn it_is_that_of_the_formula() {
        // One dimension: (m_1 - m_2)^2 + (s_1 - s_2)^2, of deviations 1 and 2 (of sets of two: sqrt 2 times half the distance).
        let (a, b) = (Points { values: vec![-1.0, 1.0], dims: 1 }, Points { values: vec![1.0, 5.0], dims: 1 });
        let wanted = 9.0 + (2.0_f64.sqrt() - 8.0_f64.sqrt()).powi(2);
        assert!((distance(&a, &b) - wanted).abs() < 1e-12, "{}", distance(&a, &b));
        assert!(distance(&a, &a).abs() < 1e-12);
    }

    #[test]
    fn singular_covariances_are_allowed() {
        // Three points of five dimensions span two; of the others' eigenvalues the root of rounding is left, 1e-8 of the largest.
        let few = normal(3, 5, 2, 0.0, 1.0);
        assert!(distance(&few, &few).abs() < 1e-6, "{}", distance(&few, &few));
        let same = Points { values: vec![1.0; 20], dims: 5 };
        let far = Points { values: vec![3.0; 20], dims: 5 };
        assert!((distance(&same, &far) - 20.0).abs() < 1e-9);
    }
}
