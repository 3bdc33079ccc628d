//! Figures of neighbourhoods: balls around examples, each as wide as its distance to its k-th nearest neighbour in its own set.
//!
//! Precision and recall by Kynkäänniemi, Karras, Laine, Lehtinen and Aila 2019 ("Improved precision and recall metric", equation 2);
//! density and coverage by Naeem, Oh, Uh, Choi and Yoo 2020 ("Reliable fidelity and diversity metrics", equations 4 and 5), which
//! one generated outlier changes less.

use super::Points;
use crate::compute::{Matrix, gemm, parallel_for};

/// Neighbours of precision and recall.
const PRECISION_K: usize = 3;
/// Neighbours of density and coverage.
const DENSITY_K: usize = 5;
/// Rows of distances that a task has.
const ROWS: usize = 64;

/// Share of generated examples in a ball of a real one, and of real ones in a ball of a generated one.
pub(super) fn precision_and_recall(real: &Points, generated: &Points) -> [f64; 2] {
    [(real, generated), (generated, real)].map(|(of, among)| {
        let radii = radii(of, PRECISION_K);
        let inside = of_each_row(among, of, |_, distances| {
            distances.iter().zip(&radii).any(|(distance, radius)| distance <= radius)
        });
        inside.iter().filter(|inside| **inside).count() as f64 / among.count() as f64
    })
}

/// Real balls around a generated example, on average, over k; and share of real balls that hold a generated example.
pub(super) fn density_and_coverage(real: &Points, generated: &Points) -> [f64; 2] {
    let radii = radii(real, DENSITY_K);
    let held = of_each_row(real, generated, |row, distances| {
        distances.iter().filter(|distance| **distance < radii[row]).count()
    });
    let density = held.iter().sum::<usize>() as f64 / (DENSITY_K * generated.count()) as f64;
    let covered = held.iter().filter(|held| **held > 0).count();
    [density, covered as f64 / real.count() as f64]
}

/// The squared distance of each point to its `k`-th nearest neighbour but itself; to the farthest where there are fewer.
fn radii(points: &Points, k: usize) -> Vec<f64> {
    let k = k.min(points.count() - 1);
    of_each_row(points, points, |row, distances| {
        distances[row] = f64::NEG_INFINITY; // the nearest, whatever rounding makes of it
        *distances.select_nth_unstable_by(k, f64::total_cmp).1
    })
}

/// For each of `a` the number of the nearest of `b`.
pub fn nearest(a: &Points, b: &Points) -> Vec<usize> {
    of_each_row(a, b, |_, distances| {
        let nearest = distances.iter().enumerate().min_by(|(_, a), (_, b)| a.total_cmp(b));
        nearest.map_or(0, |(at, _)| at)
    })
}

/// `f` of the number of each of `a` and its squared distances from all of `b`.
fn of_each_row<R: Clone + Default + Send>(a: &Points, b: &Points, f: impl Fn(usize, &mut [f64]) -> R + Sync) -> Vec<R> {
    let (dims, columns) = (a.dims, b.count());
    let square = |row: &[f64]| row.iter().map(|x| x * x).sum::<f64>();
    let squares: Vec<f64> = b.rows().map(square).collect();
    let mut results = vec![R::default(); a.count()];
    let blocks = results.chunks_mut(ROWS).zip(a.values.chunks(ROWS * dims)).enumerate();
    parallel_for(blocks, |(block, (results, rows))| {
        let mut distances = vec![0.0; results.len() * columns];
        let (left, right) = (Matrix::rows(rows, dims), Matrix::transposed(&b.values, dims));
        gemm([results.len(), columns, dims], &mut distances, left, right);
        let of_rows = distances.chunks_mut(columns).zip(rows.chunks(dims)).zip(results).enumerate();
        for (row, ((distances, values), result)) in of_rows {
            let own = square(values);
            distances.iter_mut().zip(&squares).for_each(|(x, square)| *x = own + square - 2.0 * *x);
            *result = f(block * ROWS + row, distances);
        }
    });
    results
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(values: &[f64]) -> Points {
        Points { values: values.to_vec(), dims: 1 }
    }

    #[test]
    fn radii_are_those_of_the_kth_neighbour() {
        assert_eq!(radii(&line(&[0.0, 1.0, 3.0, 7.0]), 2), [9.0, 4.0, 9.0, 36.0]);
        // Fewer than k: the farthest.
        assert_eq!(radii(&line(&[0.0, 2.0]), 3), [4.0, 4.0]);
    }

    #[test]
    fn figures_are_those_worked_by_hand() {
        let real = line(&[0.0, 1.0, 2.0, 3.0]);
        // Balls of three neighbours: all reach 3, 2, 2 and 3 far.
        let generated = line(&[-2.5, 10.0, 11.0, 12.0, 13.0]);
        // -2.5 lies in the ball of 0, the others in none. Of the generated ones' balls that of -2.5 reaches to 12, and holds all real.
        assert_eq!(precision_and_recall(&real, &generated), [0.2, 1.0]);
        // With at most three neighbours the balls are the same; -2.5 lies in one of them, which is a quarter of all.
        let [density, coverage] = density_and_coverage(&real, &generated);
        assert_eq!((density, coverage), (1.0 / 25.0, 0.25));
    }

    #[test]
    fn the_nearest_is_found() {
        assert_eq!(nearest(&line(&[0.9, 7.0]), &line(&[0.0, 1.0, 5.0])), [1, 2]);
    }
}
