//! The range of an axis and its round ticks. Pure numbers: any f64 in, a range that can be drawn out.

/// Larger values can't be told apart from infinity in a picture, and their differences overflow.
const LARGEST: f64 = 1e100;

/// One axis: what it shows and where its numbers stand.
#[derive(Clone, Debug)]
pub(super) struct Axis {
    pub(super) name: &'static str,
    /// low < high, both finite.
    pub(super) low: f64,
    pub(super) high: f64,
    /// Ascending, within the range, never more than asked for plus one.
    pub(super) ticks: Vec<f64>,
    step: f64,
}

/// Whether a value has a place on an axis.
pub(super) fn is_drawable(value: f64) -> bool {
    value.abs() <= LARGEST // false for NaN
}

/// The smallest range that holds all drawable values: (0, 1) without any, and never empty.
pub(super) fn range(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let (low, high) = values
        .filter(|&value| is_drawable(value))
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)));
    if low > high {
        return (0.0, 1.0);
    }
    let size = low.abs().max(high.abs());
    if high - low > (size * 1e-6).max(1e-12) {
        return (low, high);
    }
    let half = (size * 0.01).max(0.5);
    (low - half, high + half)
}

impl Axis {
    /// An axis over `range`, widened by the fraction `padding` at both ends, with up to `ticks` + 1 numbers. With
    /// `whole`, they are whole numbers where the range holds one.
    pub(super) fn new(name: &'static str, range: (f64, f64), padding: f64, ticks: usize, whole: bool) -> Axis {
        let pad = (range.1 - range.0) * padding;
        let (low, high) = (range.0 - pad, range.1 + pad);
        let rough = (high - low) / ticks as f64;
        let power = 10f64.powi(rough.log10().floor() as i32);
        let round = [1.0, 2.0, 5.0].map(|digit| digit * power).into_iter().find(|&step| step >= rough);
        let mut step = round.unwrap_or(10.0 * power);
        if whole && high.floor() >= low.ceil() {
            step = step.max(1.0);
        }
        let (first, last) = ((low / step).ceil() as i64, (high / step).floor() as i64);
        Axis { name, low, high, ticks: (first..=last).map(|index| index as f64 * step).collect(), step }
    }

    /// A tick's number with as many decimals as the step needs.
    pub(super) fn label(&self, tick: f64) -> String {
        let largest = self.ticks.iter().fold(self.step, |largest, tick| largest.max(tick.abs()));
        let power = |value: f64| (value.log10() + 1e-9).floor() as i32;
        let (first, last) = (power(largest), power(self.step));
        if tick == 0.0 {
            "0".to_owned()
        } else if first < 6 && last >= -4 {
            format!("{tick:.0$}", last.min(0).unsigned_abs() as usize)
        } else {
            format!("{tick:.0$e}", (power(tick.abs()) - last).clamp(0, 7).unsigned_abs() as usize)
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn labels(range: (f64, f64), ticks: usize, whole: bool) -> Vec<String> {
        let axis = Axis::new("x", range, 0.0, ticks, whole);
        axis.ticks.iter().map(|&tick| axis.label(tick)).collect()
    }

    #[test]
    fn ticks_are_round_and_labelled_with_the_digits_they_need() {
        assert_eq!(labels((0.0, 10.0), 5, true), ["0", "2", "4", "6", "8", "10"]);
        assert_eq!(labels((98.3, 101.2), 6, false), ["98.5", "99.0", "99.5", "100.0", "100.5", "101.0"]);
        assert_eq!(labels((-0.3, 0.3), 3, false), ["-0.2", "0", "0.2"]);
        assert_eq!(labels((0.5, 1.5), 8, true), ["1"]);
        assert_eq!(labels((0.2, 0.4), 2, true), ["0.2", "0.3", "0.4"]);
        assert_eq!(labels((0.0, 2.5e7), 3, false), ["0", "1e7", "2e7"]);
        assert_eq!(labels((0.0, 3e-6), 3, false), ["0", "1e-6", "2e-6", "3e-6"]);
    }

    #[test]
    fn degenerate_ranges_are_widened() {
        assert_eq!(range([].into_iter()), (0.0, 1.0));
        assert_eq!(range([f64::NAN, f64::INFINITY, -1e101].into_iter()), (0.0, 1.0));
        assert_eq!(range([3.0, 3.0, f64::NAN].into_iter()), (2.5, 3.5));
        assert_eq!(range([1.0, 4.0].into_iter()), (1.0, 4.0));
    }

    proptest! {
        #[test]
        fn any_values_give_a_drawable_axis(values in proptest::collection::vec(any::<f64>(), 0..5), whole: bool) {
            let range = range(values.iter().copied());
            let axis = Axis::new("x", range, 0.05, 8, whole);
            prop_assert!(axis.low < axis.high && (axis.high - axis.low).is_finite());
            prop_assert!(axis.ticks.len() <= 9, "{:?}", axis);
            for &tick in &axis.ticks {
                prop_assert!(axis.low <= tick && tick <= axis.high, "{:?}", axis);
                prop_assert!(axis.label(tick).len() <= 16, "{}", axis.label(tick));
            }
            for value in values.into_iter().filter(|&value| is_drawable(value)) {
                prop_assert!(axis.low <= value && value <= axis.high);
            }
        }
    }
}
