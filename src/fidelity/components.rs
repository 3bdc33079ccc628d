//! Principal components: what distances of pixels are taken of, which are many, and of which most say little.
//!
//! Found by subspace iteration from a random start (Halko, Martinsson and Tropp 2011, algorithm 4.4), whose cost grows with the number
//! of components, not with the square of that of pixels.

use nalgebra::DMatrix;

use super::Points;
use crate::compute::{Matrix, gemm};
use crate::error::Result;
use crate::rng::{Draw, Stream};

/// Directions beyond those that are wanted: with them those that are wanted are found sooner.
const MORE: usize = 32;
/// Rounds of the iteration.
const ROUNDS: usize = 8;

/// The mean of some examples, and the orthogonal directions in which they vary most.
#[derive(Clone, Debug)]
pub struct Components {
    /// `[features]`.
    mean: Vec<f32>,
    /// `[features, count]`, orthonormal columns.
    directions: Vec<f32>,
    count: usize,
}

impl Components {
    /// At most `count` components of `rows` `[n, features]`.
    pub fn of(rows: &[f32], features: usize, count: usize) -> Components {
        let n = rows.len() / features;
        let mut mean = vec![0.0_f64; features];
        for row in rows.chunks(features) {
            mean.iter_mut().zip(row).for_each(|(mean, &x)| *mean += f64::from(x) / n as f64);
        }
        let mean: Vec<f32> = mean.into_iter().map(|x| x as f32).collect();
        let centred: Vec<f32> =
            rows.chunks(features).flat_map(|row| row.iter().zip(&mean).map(|(x, mean)| x - mean)).collect();
        let count = count.min(features).min(n);
        let wide = (count + MORE).min(features).min(n);
        let draw = Draw { seed: 0, stream: Stream::Synthetic, step: u64::MAX };
        let start = (0..features as u32).flat_map(|i| (0..wide as u32).map(move |e| draw.normal(i, e)));
        let mut directions = orthonormal(start.collect(), features, wide);
        let mut projected = vec![0.0; n * wide];
        for _ in 0..ROUNDS {
            project(&centred, &directions, [n, wide, features], &mut projected);
            let (left, right) = (Matrix::transposed(&centred, features), Matrix::rows(&projected, wide));
            gemm([features, wide, n], &mut directions, left, right);
            directions = orthonormal(directions, features, wide);
        }
        // Within the subspace, the directions by their variance.
        project(&centred, &directions, [n, wide, features], &mut projected);
        let inside = DMatrix::from_row_slice(n, wide, &projected).map(f64::from);
        let eigen = inside.tr_mul(&inside).symmetric_eigen();
        let mut order: Vec<usize> = (0..wide).collect();
        order.sort_by(|&a, &b| eigen.eigenvalues[b].total_cmp(&eigen.eigenvalues[a]));
        let turn: Vec<f32> = (0..wide)
            .flat_map(|row| order[..count].iter().map(move |&at| (row, at)))
            .map(|at| eigen.eigenvectors[at] as f32)
            .collect();
        let mut turned = vec![0.0; features * count];
        gemm([features, count, wide], &mut turned, Matrix::rows(&directions, wide), Matrix::rows(&turn, count));
        Components { mean, directions: turned, count }
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Where these examples `[n, features]` lie: `[n, count]`; `what` names them.
    ///
    /// # Errors
    /// Those of [`Points::new`].
    pub fn project(&self, what: &str, rows: &[f32]) -> Result<Points> {
        let features = self.mean.len();
        let n = rows.len() / features;
        let centred: Vec<f32> =
            rows.chunks(features).flat_map(|row| row.iter().zip(&self.mean).map(|(x, mean)| x - mean)).collect();
        let mut projected = vec![0.0; n * self.count];
        project(&centred, &self.directions, [n, self.count, features], &mut projected);
        Points::new(what, projected.into_iter().map(f64::from).collect(), self.count)
    }
}

fn project(rows: &[f32], directions: &[f32], [n, count, features]: [usize; 3], to: &mut [f32]) {
    gemm([n, count, features], to, Matrix::rows(rows, features), Matrix::rows(directions, count));
}

/// An orthonormal basis of the space of these columns `[features, wide]`.
fn orthonormal(columns: Vec<f32>, features: usize, wide: usize) -> Vec<f32> {
    let q = DMatrix::from_row_slice(features, wide, &columns).map(f64::from).qr().q();
    q.transpose().iter().map(|&x| x as f32).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directions_are_those_of_most_variance() {
        let draw = Draw { seed: 3, stream: Stream::Synthetic, step: 0 };
        // Deviations 5, 2 and 0.1 of seventy, in turned coordinates of the first two.
        let row = |i: u32| {
            let [a, b] = [5.0 * draw.normal(i, 0), 2.0 * draw.normal(i, 1)];
            let rest = (2..70).map(move |e| 0.1 * draw.normal(i, e));
            [0.6 * a - 0.8 * b + 7.0, 0.8 * a + 0.6 * b].into_iter().chain(rest).collect::<Vec<f32>>()
        };
        let rows: Vec<f32> = (0..2000).flat_map(row).collect();
        let components = Components::of(&rows, 70, 2);
        let points = components.project("rows", &rows).unwrap();
        let variance = |e: usize| points.rows().map(|row| row[e] * row[e]).sum::<f64>() / 2000.0;
        assert!((variance(0) - 25.0).abs() < 2.5 && (variance(1) - 4.0).abs() < 0.4, "{} {}", variance(0), variance(1));
        let column = |e: usize| (0..70).map(|row| f64::from(components.directions[row * 2 + e])).collect::<Vec<f64>>();
        let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        assert!((dot(&column(0), &column(0)) - 1.0).abs() < 1e-5 && dot(&column(0), &column(1)).abs() < 1e-5);
        assert!((column(0)[0].abs() - 0.6).abs() < 0.02 && (column(0)[1].abs() - 0.8).abs() < 0.02);
        // No more than there are.
        assert_eq!(Components::of(&rows[..3 * 70], 70, 64).count(), 3);
    }
}
