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

/// The figures of two sets.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Neighbourhoods {
    /// Share of generated examples in a ball of a real one.
    pub precision: f64,
    /// Share of real examples in a ball of a generated one.
    pub recall: f64,
    /// Real balls around a generated example, on average, over k.
    pub density: f64,
    /// Share of real balls that hold a generated example.
    pub coverage: f64,
}

impl Neighbourhoods {
    pub(super) fn of(real: &Points, generated: &Points) -> Neighbourhoods {
        let [of_real, wide] = radii(real, [PRECISION_K, DENSITY_K]);
        let [of_generated] = radii(generated, [PRECISION_K]);
        let in_any =
            |distances: &[f64], radii: &[f64]| distances.iter().zip(radii).any(|(distance, radius)| distance <= radius);
        // Of a real example: whether it lies in a generated ball, and how many generated ones lie in its own.
        let seen = of_each_row(real, generated, |row, distances| {
            let held = distances.iter().filter(|distance| **distance < wide[row]).count();
            (in_any(distances, &of_generated), held)
        });
        let precise = of_each_row(generated, real, |_, distances| in_any(distances, &of_real));
        let share = |count: usize, of: &Points| count as f64 / of.count() as f64;
        Neighbourhoods {
            precision: share(precise.iter().filter(|precise| **precise).count(), generated),
            recall: share(seen.iter().filter(|(recalled, _)| *recalled).count(), real),
            density: seen.iter().map(|(_, held)| held).sum::<usize>() as f64 / (DENSITY_K * generated.count()) as f64,
            coverage: share(seen.iter().filter(|(_, held)| *held > 0).count(), real),
        }
    }
}

/// The squared distance of each point to its k-th nearest neighbour but itself, for each k in their order; to the farthest where
/// there are fewer.
fn radii<const N: usize>(points: &Points, ks: [usize; N]) -> [Vec<f64>; N] {
    let of_each = of_each_row(points, points, |row, distances| {
        distances[row] = f64::NEG_INFINITY; // the nearest, whatever rounding makes of it
        let nth = |k: usize| *distances.select_nth_unstable_by(k.min(points.count() - 1), f64::total_cmp).1;
        ks.map(nth).to_vec()
    });
    std::array::from_fn(|at| of_each.iter().map(|radii| radii[at]).collect())
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
        assert_eq!(radii(&line(&[0.0, 1.0, 3.0, 7.0]), [2]), [[9.0, 4.0, 9.0, 36.0]]);
        // Fewer than k: the farthest.
        assert_eq!(radii(&line(&[0.0, 2.0]), [1, 3]), [[4.0, 4.0], [4.0, 4.0]]);
    }

    #[test]
    fn figures_are_those_worked_by_hand() {
        let real = line(&[0.0, 1.0, 2.0, 3.0]);
        // Balls of three neighbours: all reach 3, 2, 2 and 3 far.
        let generated = line(&[-2.5, 10.0, 11.0, 12.0, 13.0]);
        // -2.5 lies in the ball of 0, the others in none. Of the generated ones' balls that of -2.5 reaches to 12, and holds all real.
        let Neighbourhoods { precision, recall, density, coverage } = Neighbourhoods::of(&real, &generated);
        assert_eq!((precision, recall), (0.2, 1.0));
        // With at most three neighbours the balls are the same; -2.5 lies in one of them, which is a quarter of all.
        assert_eq!((density, coverage), (1.0 / 25.0, 0.25));
    }

    #[test]
    fn density_and_coverage_have_wider_balls_than_precision() {
        // The ball of 0 reaches 3 far with three neighbours, and 5 with five: -4 lies in the latter alone.
        let found = Neighbourhoods::of(&line(&[0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0]), &line(&[-4.0, 20.0]));
        let wanted = Neighbourhoods { precision: 0.0, recall: 1.0, density: 1.0 / 10.0, coverage: 1.0 / 7.0 };
        assert_eq!(found, wanted);
    }

    #[test]
    fn the_nearest_is_found() {
        assert_eq!(nearest(&line(&[0.9, 7.0]), &line(&[0.0, 1.0, 5.0])), [1, 2]);
    }
}
