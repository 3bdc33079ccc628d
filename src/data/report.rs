//! What a data set holds, in a line: what a reader checks before training on it.

use super::notes::{counted, quoted};
use super::{Dataset, Images, Schema, Values};
use crate::error::Result;

/// Classes whose names are listed.
const LISTED: usize = 6;

/// Counts, size, kind and range of the values, how many are the same in every training example, and the classes.
///
/// # Errors
/// [`crate::Error::Io`] where values that stay in their file can't be read.
pub fn report(data: &Dataset) -> Result<String> {
    let counts = match &data.validation {
        None => format!("{} + {}", data.train.count(), data.test.count()),
        Some(validation) => {
            let (train, validation, test) = (data.train.count(), validation.count(), data.test.count());
            format!("{train} + {validation} + {test} (training, validation, test)")
        }
    };
    let (values, constant) = values(&data.train, &data.schema)?;
    let constant = match constant {
        0 => String::new(),
        count => format!(", {count} of {} the same in all training examples", data.train.features()),
    };
    Ok(format!("{counts} examples of {}: {values}{constant}{}", data.train.size, classes(&data.schema)))
}

/// Of examples that nothing is trained on.
///
/// # Errors
/// As [`report`].
pub fn report_examples(images: &Images, schema: &Schema) -> Result<String> {
    Ok(format!("{} examples of {}: {}", images.count(), images.size, values(images, schema)?.0))
}

/// Kind and range of the values, and how many are the same in all examples.
fn values(images: &Images, schema: &Schema) -> Result<(String, usize)> {
    let features = images.features();
    let (mut least, mut most) = (vec![f32::INFINITY; features], vec![f32::NEG_INFINITY; features]);
    images.each_row(|row| {
        for ((least, most), &value) in least.iter_mut().zip(&mut most).zip(row) {
            (*least, *most) = (least.min(value), most.max(value));
        }
    })?;
    let constant = least.iter().zip(&most).filter(|(least, most)| least == most).count();
    let least = least.into_iter().fold(f32::INFINITY, f32::min);
    let most = most.into_iter().fold(f32::NEG_INFINITY, f32::max);
    let kind = match (&images.pixels, &schema.scaling, schema.white) {
        (Values::Bytes(_), ..) => "bytes",
        (Values::Stored(stored), ..) if stored.is_bytes() => "bytes",
        (_, Some(_), _) => "floats, scaled,",
        (_, None, Some(white)) => return Ok((format!("shares of {white} from {least} to {most}"), constant)),
        (_, None, None) => "floats",
    };
    Ok((format!("{kind} from {least} to {most}"), constant))
}

fn classes(schema: &Schema) -> String {
    let names = &schema.classes;
    if names.is_empty() {
        return String::new();
    }
    let listed: Vec<String> = names.iter().take(LISTED).map(|name| quoted(name).trim_matches('"').to_owned()).collect();
    let more = if names.len() > LISTED { ", ..." } else { "" };
    format!("; {} ({}{more})", counted(names.len(), "class"), listed.join(", "))
}
