//! The little linear algebra that densities need; square matrices of `n * n`, row-major.

/// The lower triangular L with `L L^T = a`; none where `a` is not positive definite.
pub(super) fn cholesky(a: &[f64], n: usize) -> Option<Vec<f64>> {
    let mut l = vec![0.0; n * n];
    for row in 0..n {
        for col in 0..=row {
            let (x, y) = (&l[row * n..][..col], &l[col * n..][..col]);
            let rest = a[row * n + col] - x.iter().zip(y).map(|(x, y)| x * y).sum::<f64>();
            if row == col {
                if !(rest > 0.0 && rest.is_finite()) {
                    return None;
                }
                l[row * n + col] = rest.sqrt();
            } else {
                l[row * n + col] = rest / l[col * n + col];
            }
        }
    }
    Some(l)
}

/// The inverse of a lower triangular matrix.
pub(super) fn invert_lower(l: &[f64], n: usize) -> Vec<f64> {
    let mut inverse = vec![0.0; n * n];
    for col in 0..n {
        for row in col..n {
            let unit = if row == col { 1.0 } else { 0.0 };
            let sum: f64 = (col..row).map(|k| l[row * n + k] * inverse[k * n + col]).sum();
            inverse[row * n + col] = (unit - sum) / l[row * n + row];
        }
    }
    inverse
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_factor_and_its_inverse_are_those_worked_by_hand() {
        let l = cholesky(&[4.0, 2.0, 2.0, 10.0], 2).unwrap();
        assert_eq!(l, [2.0, 0.0, 1.0, 3.0]);
        assert_eq!(invert_lower(&l, 2), [0.5, 0.0, -1.0 / 6.0, 1.0 / 3.0]);
        assert!(cholesky(&[1.0, 2.0, 2.0, 1.0], 2).is_none());
    }
}
