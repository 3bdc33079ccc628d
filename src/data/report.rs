//! What a data set holds, in a line: what a reader checks before training on it.

use super::scale::ranges;
use super::{Dataset, Values};

/// Counts, size, kind and range of the values, and how many are the same in every training example.
pub fn report(data: &Dataset) -> String {
    let (train, test) = (&data.train, &data.test);
    let (least, most) = ranges(train, train.features());
    let constant = least.iter().zip(&most).filter(|(least, most)| least == most).count();
    let least = least.iter().copied().fold(f32::INFINITY, f32::min);
    let most = most.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let kind = match (&train.pixels, &data.scaling) {
        (Values::Bytes(_), _) => "bytes",
        (Values::Reals(_), None) => "floats",
        (Values::Reals(_), Some(_)) => "floats, scaled,",
    };
    let constant = match constant {
        0 => String::new(),
        count => format!(", {count} of {} the same in all training examples", train.features()),
    };
    format!("{} + {} examples of {}: {kind} from {least} to {most}{constant}", train.count(), test.count(), train.size)
}
