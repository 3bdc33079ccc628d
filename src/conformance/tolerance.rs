//! How far a value may be off, and why.

/// How far a value may be off.
#[derive(Clone, Copy, Debug)]
pub struct Tolerance {
    /// Share of the value's own size.
    pub relative: f64,
    /// Added to it.
    pub absolute: f64,
}

impl Tolerance {
    /// Rounding of a sum, one after the other, of `terms` f32 terms of size about 1. Its partial sums grow as the root of
    /// their number, and each is rounded by at most `u` = epsilon / 2 of itself, so the error's standard deviation is
    /// `u terms / sqrt(6)`; `terms * epsilon` is five of them. Added: 24 units in the last place for WGSL's built-in
    /// functions (exp promises 3 + 2|x|).
    pub fn rounding(terms: usize) -> Tolerance {
        let unit = f64::from(f32::EPSILON);
        Tolerance { relative: 24.0 * unit, absolute: (terms as f64 + 8.0) * unit }
    }

    /// Rounding of a sum of `terms` products of two numbers of size about 1, each rounded to f16 first, by at most 2^-11 of itself.
    /// A product is then off by at most 2^-10 of itself, and their sum, as roundings are independent, by a standard deviation of
    /// `2^-10 sqrt(2 terms / 6)`; this is five of them, with what f32 adds.
    pub fn halves(terms: usize) -> Tolerance {
        let Tolerance { relative, absolute } = Tolerance::rounding(terms);
        Tolerance { relative, absolute: absolute + 5.0 / 1024.0 * (terms as f64 / 3.0).sqrt() }
    }

    /// The same where the value is then stored in half precision: two numbers that differ by less may be rounded apart, by 2^-10 of
    /// themselves, or by 2^-14 where one of them becomes 0.
    pub fn stored_as_half(self) -> Tolerance {
        let unit = f64::from(half::f16::EPSILON);
        Tolerance { relative: self.relative + unit, absolute: self.absolute + unit / 16.0 }
    }

    /// [`Tolerance::rounding`] of sums whose terms are of the size of the largest of these values.
    pub fn rounding_among(terms: usize, values: &[f64]) -> Tolerance {
        let size = values.iter().fold(1.0_f64, |most, value| most.max(value.abs()));
        let Tolerance { relative, absolute } = Tolerance::rounding(terms);
        Tolerance { relative, absolute: absolute * size }
    }

    /// What rounding does to the values a program computes by long chains: a few times what it does to `near`, which another
    /// program computed in f32 with the terms of each sum in another order, and as many units in the last place of the
    /// largest value.
    pub fn as_near(near: &[f64], wanted: &[f64]) -> Tolerance {
        let largest = |values: &mut dyn Iterator<Item = f64>| values.fold(0.0_f64, |most, value| most.max(value.abs()));
        let off = largest(&mut near.iter().zip(wanted).map(|(near, wanted)| near - wanted));
        let size = largest(&mut wanted.iter().copied());
        // Denormal numbers may be flushed to zero.
        let least = f64::from(f32::MIN_POSITIVE);
        Tolerance { relative: 0.0, absolute: 16.0 * (off + f64::from(f32::EPSILON) * size) + least }
    }

    /// The part of the tolerance that the worst element uses, 0 to 1.
    ///
    /// # Errors
    /// Where it uses more, or there are not as many elements: which one, what it is, and what was wanted.
    pub fn compare(self, got: &[f64], wanted: &[f64]) -> Result<f64, String> {
        if got.len() != wanted.len() {
            return Err(format!("{} values, wanted {}", got.len(), wanted.len()));
        }
        let share = |i: usize| {
            let used = (got[i] - wanted[i]).abs() / (self.absolute + self.relative * wanted[i].abs());
            if used.is_nan() { f64::INFINITY } else { used }
        };
        let Some(worst) = (0..got.len()).max_by(|&a, &b| share(a).total_cmp(&share(b))) else {
            return Ok(0.0);
        };
        let used = share(worst);
        if used <= 1.0 {
            return Ok(used);
        }
        let (count, got, wanted) = (got.len(), got[worst], wanted[worst]);
        Err(format!("element {worst} of {count} is {got}, wanted {wanted}: {used:.2} times the tolerance {self:?}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_element_counts() {
        let tolerance = Tolerance { relative: 0.0, absolute: 0.5 };
        assert_eq!(tolerance.compare(&[1.0, 2.25], &[1.0, 2.0]), Ok(0.5));
        assert_eq!(tolerance.compare(&[], &[]), Ok(0.0));
        let refused = |got: &[f64]| tolerance.compare(got, &[1.0, 2.0]).unwrap_err();
        assert!(refused(&[1.0, 3.0]).contains("element 1 of 2 is 3, wanted 2: 2.00 times"), "{}", refused(&[1.0, 3.0]));
        assert!(refused(&[f64::NAN, 2.0]).contains("element 0"));
        assert_eq!(refused(&[1.0]), "1 values, wanted 2");
        // Equal infinities differ by no number, and are no agreement.
        assert!(tolerance.compare(&[f64::INFINITY], &[f64::INFINITY]).is_err());
    }
}
