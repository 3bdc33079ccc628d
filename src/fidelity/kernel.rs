//! The kernel distance (Bińkowski, Sutherland, Arbel and Gretton 2018, "Demystifying MMD GANs", equation 4): the squared maximum mean
//! discrepancy by a kernel of third degree, by its unbiased estimate over all pairs. Other programs average it over random parts of
//! the sets, which estimates the same.

use super::Points;
use crate::compute::{Matrix, gemm};

/// Rows of products at a time.
const ROWS: usize = 512;

/// The squared distance.
pub(super) fn distance(a: &Points, b: &Points) -> f64 {
    let (m, n) = (a.count() as f64, b.count() as f64);
    let within = |points: &Points, count: f64| {
        let own: f64 = points.rows().map(|row| kernel(row.iter().map(|x| x * x).sum(), points.dims)).sum();
        (sum(points, points) - own) / (count * (count - 1.0))
    };
    within(a, m) + within(b, n) - 2.0 * sum(a, b) / (m * n)
}

/// `k(x, y)` of a product `x y`.
fn kernel(product: f64, dims: usize) -> f64 {
    (product / dims as f64 + 1.0).powi(3)
}

/// The kernel's sum over all pairs.
fn sum(a: &Points, b: &Points) -> f64 {
    let (dims, columns) = (a.dims, b.count());
    let mut products = Vec::new();
    let of_rows = |rows: &[f64]| {
        let count = rows.len() / dims;
        products.resize(count * columns, 0.0);
        gemm([count, columns, dims], &mut products, Matrix::rows(rows, dims), Matrix::transposed(&b.values, dims));
        products.iter().map(|&product| kernel(product, dims)).sum::<f64>()
    };
    a.values.chunks(ROWS * dims).map(of_rows).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_that_worked_by_hand() {
        let (a, b) = (Points { values: vec![1.0, 2.0], dims: 1 }, Points { values: vec![0.0, -1.0, 3.0], dims: 1 });
        let k = |x: f64, y: f64| (x * y + 1.0).powi(3);
        let within_b = 2.0 * (k(0.0, -1.0) + k(0.0, 3.0) + k(-1.0, 3.0)) / 6.0;
        let between = [1.0, 2.0].iter().flat_map(|&x| [0.0, -1.0, 3.0].map(|y| k(x, y))).sum::<f64>() / 6.0;
        let wanted = k(1.0, 2.0) + within_b - 2.0 * between;
        assert!((distance(&a, &b) - wanted).abs() < 1e-9, "{} {wanted}", distance(&a, &b));
    }
}
