//! How near a set of generated examples is to a set of real ones, in any space whose distances mean something: pixels, a model's codes,
//! the features of a classifier.
//!
//! No figure tells all. The Fréchet distance (`frechet.rs`) compares means and covariances; the kernel distance (`kernel.rs`) all
//! moments up to the third, without a bias that depends on the number of examples; precision and recall, density and coverage
//! (`neighbours.rs`) tell poor samples from missing ones. Read for this part: pytorch-fid and torch-fidelity, whose definitions these
//! are, so that figures of equal features are equal.
//!
//! All of it is f64 on the host but for pixels, which are first projected to a few components (`components.rs`). Eigenvalues come from
//! `nalgebra`; products go through the crate's own GEMM, which uses all cores.

mod components;
mod frechet;
mod kernel;
mod neighbours;

pub use components::Components;
use neighbours::Neighbourhoods;
pub use neighbours::nearest;

use serde::Serialize;

use crate::error::{Error, Result};

/// Examples `[count, dims]`, row-major.
#[derive(Clone, Debug, PartialEq)]
pub struct Points {
    values: Vec<f64>,
    dims: usize,
}

impl Points {
    /// These rows of `dims` values.
    ///
    /// # Errors
    /// [`Error::Usage`] for fewer than two rows, or values that are not whole rows, [`Error::NonFinite`] where one is not finite;
    /// `what` names them.
    pub fn new(what: &str, values: Vec<f64>, dims: usize) -> Result<Points> {
        if dims == 0 || !values.len().is_multiple_of(dims) || values.len() < 2 * dims {
            let found = values.len();
            return Err(Error::Usage(format!("{what}: {found} values are not two rows of {dims} or more")));
        }
        match values.iter().position(|value| !value.is_finite()) {
            Some(at) => Err(Error::NonFinite(format!("{what}: row {} holds {}", at / dims, values[at]))),
            None => Ok(Points { values, dims }),
        }
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.values.len() / self.dims
    }

    /// Values of each.
    pub fn dims(&self) -> usize {
        self.dims
    }

    /// Adds others of as many dimensions.
    pub fn extend(&mut self, others: &Points) {
        assert_eq!(self.dims, others.dims, "points of one space");
        self.values.extend_from_slice(&others.values);
    }

    fn rows(&self) -> impl Iterator<Item = &[f64]> {
        self.values.chunks(self.dims)
    }
}

/// How near generated examples are to real ones.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Fidelity {
    /// The squared Fréchet distance of the Gaussians with both sets' means and covariances (Heusel et al. 2017); 0 is best.
    pub frechet: f64,
    /// The squared maximum mean discrepancy by the kernel `(x y / dims + 1)^3`, unbiased (Bińkowski et al. 2018); 0 is best, and
    /// below 0 as likely as above where both sets are of one distribution.
    pub kernel: f64,
    /// Share of generated examples among real ones (Kynkäänniemi et al. 2019, of 3 neighbours); 1 is best.
    pub precision: f64,
    /// Share of real examples among generated ones, likewise.
    pub recall: f64,
    /// How many real neighbourhoods a generated example lies in, of those that it would (Naeem et al. 2020, of 5 neighbours); about 1
    /// where both sets are of one distribution.
    pub density: f64,
    /// Share of real examples in whose neighbourhood a generated one lies, likewise; 1 is best.
    pub coverage: f64,
}

impl Fidelity {
    /// Measures `generated` against `real`.
    ///
    /// # Errors
    /// [`Error::Usage`] where they have different dimensions.
    pub fn of(real: &Points, generated: &Points) -> Result<Fidelity> {
        if real.dims != generated.dims {
            let (real, generated) = (real.dims, generated.dims);
            let reason =
                format!("real examples have {real} values, generated ones {generated}: they must have as many");
            return Err(Error::Usage(reason));
        }
        let Neighbourhoods { precision, recall, density, coverage } = Neighbourhoods::of(real, generated);
        let (frechet, kernel) = (frechet::distance(real, generated), kernel::distance(real, generated));
        Ok(Fidelity { frechet, kernel, precision, recall, density, coverage })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Draw, Stream};

    /// Normal points around `middle`.
    pub(super) fn normal(count: usize, dims: usize, step: u64, middle: f64, deviation: f64) -> Points {
        let draw = Draw { seed: 6, stream: Stream::Synthetic, step };
        let value = |i: u32, e: u32| middle + deviation * f64::from(draw.normal(i, e));
        let values = (0..count as u32).flat_map(|i| (0..dims as u32).map(move |e| value(i, e))).collect();
        Points::new("points", values, dims).unwrap()
    }

    #[test]
    fn sets_of_one_distribution_are_near_and_others_are_not() {
        let real = normal(500, 4, 0, 0.0, 1.0);
        let same = Fidelity::of(&real, &normal(500, 4, 1, 0.0, 1.0)).unwrap();
        assert!(same.frechet < 0.1 && same.kernel.abs() < 0.05, "{same:?}");
        assert!(same.precision > 0.7 && same.recall > 0.7 && same.coverage > 0.9, "{same:?}");
        assert!((same.density - 1.0).abs() < 0.2, "{same:?}");
        // All around one real example: precise, and most of the rest is missing.
        let narrow = Fidelity::of(&real, &normal(500, 4, 1, 0.0, 0.1)).unwrap();
        assert!(narrow.precision > 0.95 && narrow.recall < 0.1 && narrow.coverage < 0.3, "{narrow:?}");
        let far = Fidelity::of(&real, &normal(500, 4, 1, 10.0, 1.0)).unwrap();
        assert_eq!((far.precision, far.recall, far.density, far.coverage), (0.0, 0.0, 0.0, 0.0));
        // The means are 10 apart in each of 4 dimensions.
        assert!((far.frechet - 400.0).abs() < 10.0, "{far:?}");
    }

    #[test]
    fn what_is_no_set_is_refused() {
        assert!(Points::new("x", vec![1.0; 3], 2).is_err() && Points::new("x", vec![1.0; 2], 2).is_err());
        let error = Points::new("codes", vec![0.0, 1.0, 2.0, f64::NAN], 2).unwrap_err();
        assert!(error.to_string().contains("codes: row 1 holds NaN"), "{error}");
        assert!(Fidelity::of(&normal(3, 2, 0, 0.0, 1.0), &normal(3, 3, 0, 0.0, 1.0)).is_err());
    }
}
