//! Grey and colour, and from one to the other.

use serde::{Deserialize, Serialize};

use super::numbers::Numbers;

/// What a pixel has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Channels {
    /// One value; of a coloured pixel its luminance (ITU-R BT.709)
    Grey,
    /// Red, green and blue; of a grey pixel three times its value
    Rgb,
}

impl Channels {
    /// Values in a pixel.
    pub fn count(self) -> usize {
        match self {
            Channels::Grey => 1,
            Channels::Rgb => 3,
        }
    }

    /// `grey` or `RGB`.
    pub(super) fn name(count: usize) -> &'static str {
        if count == 1 { "grey" } else { "RGB" }
    }
}

/// The brightness of red, green and blue (ITU-R BT.709).
pub(super) fn luma([r, g, b]: [f64; 3]) -> f64 {
    0.2126 * r + 0.7152 * g + 0.0722 * b
}

/// Pixels of `from` channels with `to` channels, both 1 or 3.
///
/// # Panics
/// For stored rows.
pub(super) fn convert(values: Numbers, from: usize, to: usize) -> Numbers {
    fn grey<T: Copy>(values: &[T], wide: impl Fn(T) -> f64, narrow: impl Fn(f64) -> T) -> Vec<T> {
        values.as_chunks::<3>().0.iter().map(|&[r, g, b]| narrow(luma([wide(r), wide(g), wide(b)]))).collect()
    }
    fn rgb<T: Copy>(values: Vec<T>) -> Vec<T> {
        values.into_iter().flat_map(|value| [value; 3]).collect()
    }
    match (values, from, to) {
        (values, from, to) if from == to => values,
        (Numbers::Bytes(bytes), 1, _) => Numbers::Bytes(rgb(bytes)),
        (Numbers::Floats(floats), 1, _) => Numbers::Floats(rgb(floats)),
        (Numbers::Doubles(doubles), 1, _) => Numbers::Doubles(rgb(doubles)),
        (Numbers::Bytes(bytes), ..) => Numbers::Bytes(grey(&bytes, f64::from, |value| value.round() as u8)),
        (Numbers::Floats(floats), ..) => Numbers::Floats(grey(&floats, f64::from, |value| value as f32)),
        (Numbers::Doubles(doubles), ..) => Numbers::Doubles(grey(&doubles, |value| value, |value| value)),
        (Numbers::Stored(_), ..) => unreachable!("stored rows keep their channels"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_have_a_luminance_and_greys_are_colours() {
        let grey = convert(Numbers::Bytes(vec![255, 0, 0, 0, 255, 0, 0, 0, 255, 9, 9, 9]), 3, 1);
        assert_eq!(grey, Numbers::Bytes(vec![54, 182, 18, 9]));
        assert_eq!(convert(Numbers::Floats(vec![0.5, 1.0]), 1, 3), Numbers::Floats(vec![0.5, 0.5, 0.5, 1.0, 1.0, 1.0]));
        assert_eq!(convert(Numbers::Doubles(vec![1.0]), 1, 1), Numbers::Doubles(vec![1.0]));
    }
}
