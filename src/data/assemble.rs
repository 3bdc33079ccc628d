//! Sets brought to one form: the training set's, or that of the data which a model was trained on. Columns by their names,
//! channels, white, classes, scale; and what is said where that changes anything.

use std::path::PathBuf;
use std::sync::Arc;

use super::channels::Channels;
use super::labels::{Classes, Labels, Numbering};
use super::notes::{counted, digits, quoted};
use super::numbers::Numbers;
use super::picture::WHITE_REAL;
use super::raw::Raw;
use super::reading::{Reading, Set};
use super::scale::{Range, Scale, Scaling};
use super::{Condition, ImageSize, Images, Schema, Values};
use super::{classes, condition};
use crate::error::{Error, Result};

/// A largest value below this share of white is said.
const DARK: f64 = 0.5;
/// A range of this share of the training data's, or less, is said.
const NARROW: f64 = 0.02;
/// Steps between the least and the largest value of a column that f32 must tell apart.
const STEPS: f64 = 256.0;
/// Columns that a message lists.
const LISTED: usize = 10;
/// Rows from which on a square of whole numbers is a picture.
const SQUARE: usize = 4;
/// What rounding may bring beyond a range.
const ROUNDING: f64 = 1e-9;

/// A set on its way.
#[derive(Clone, Debug)]
pub(super) struct Part {
    pub(super) set: Set,
    pub(super) raw: Raw,
    /// Where it is from, for messages.
    pub(super) path: PathBuf,
}

/// The sets in the form of the first, which is trained on, or of what `reading` says is known.
///
/// # Errors
/// [`Error::Format`] where a set can't be brought to it; [`Error::Usage`] where its size is not that of a trained model's.
pub(super) fn assemble(
    reading: &Reading,
    parts: Vec<Part>,
    table: bool,
    notes: &mut Vec<String>,
) -> Result<(Vec<Images>, Schema)> {
    let form = match &reading.known {
        Some(known) => known.clone(),
        None => {
            let Raw { size, white, ref columns, .. } = parts[0].raw;
            Schema { white, columns: columns.clone(), ..Schema::new(size, false) }
        }
    };
    let parts: Vec<Part> = parts
        .into_iter()
        .map(|part| {
            let part = match_columns(part, &form.columns, notes)?;
            let part = match_channels(part, &form, notes)?;
            let (found, wanted) = (part.raw.size, form.size);
            if found != wanted {
                let what = noun(part.set);
                return Err(match reading.known {
                    // Other data could be named.
                    Some(_) => Error::Usage(format!(
                        "{}: {what}s are {found}, the model's are {wanted}: must be equal",
                        part.path.display()
                    )),
                    None => {
                        let reason = format!("{what}s are {found}, training examples are {wanted}: must be equal");
                        Error::format(&part.path, reason)
                    }
                });
            }
            match_white(part, &form, notes)
        })
        .collect::<Result<_>>()?;
    let sets: Vec<(&Labels, usize)> = parts.iter().map(|part| (&part.raw.labels, part.raw.count())).collect();
    let numbering = if reading.new_classes { Numbering::Extended(&form.classes) } else { Numbering::of(&form.classes) };
    let number = reading.condition == Some(Condition::Number);
    let real = number && sets.iter().any(|(labels, _)| labels.are_real());
    let classes = if real { Classes::none(&sets) } else { Classes::number(&sets, numbering, notes) };
    // Before the scale, which is that of what is trained on.
    let (parts, classes) = match reading.classes.as_slice() {
        [] => (parts, classes),
        wanted => classes::take(parts, classes, wanted, notes)?,
    };
    let known_classes = reading.known.as_ref().map_or(classes.names.len(), |known| known.classes.len());
    let mut form = Schema { classes: classes.names, ..form };
    let conditions: Vec<Option<Values>> = match reading.condition {
        None => vec![None; parts.len()],
        Some(Condition::Label) => {
            let of = |(part, labels): (&Part, &Vec<_>)| condition::classes(part, labels, known_classes).map(Some);
            parts.iter().zip(&classes.of).map(of).collect::<Result<_>>()?
        }
        Some(Condition::Number) => {
            let (values, moments) = condition::standardised(&parts, form.number, notes)?;
            form.number = Some(moments);
            values.into_iter().map(Some).collect()
        }
    };
    let columns = if table { form.size.features() } else { 1 };
    let schema = match &reading.known {
        Some(_) => {
            if parts[0].set != Set::Train {
                say_of_range(&parts, &form, notes)?;
            }
            form
        }
        None => {
            let numbers = &parts[0].raw.numbers;
            let range = range(numbers)?;
            let scaling = match reading.scale {
                Scale::Auto
                    if is_outside(range, form.white)
                        && let Some(option) = &reading.probabilities =>
                {
                    Some(bring_to_unit(&parts[0], range, columns, option, notes)?)
                }
                scale => Scaling::fit(scale, numbers, form.white, columns)?,
            };
            let schema = Schema { range, scaling, ..form };
            say_of_scale(reading.scale, &parts[0], &schema, table, notes)?;
            schema
        }
    };
    for part in parts.iter().filter(|part| part.set != Set::Train || reading.known.is_some()) {
        say_of_clipping(part, &schema, notes)?;
    }
    // Bytes stay bytes where they mean in all sets what a batch reads in them.
    let bytes = schema.scaling.is_none()
        && schema.white == Some(255.0)
        && parts.iter().all(|part| part.raw.numbers.are_bytes());
    let images = parts.into_iter().zip(classes.of).zip(conditions).map(|((part, labels), condition)| Images {
        size: schema.size,
        pixels: values(part.raw.numbers, bytes, &schema),
        labels,
        names: part.raw.names,
        condition,
    });
    Ok((images.collect(), schema.clone()))
}

/// `training example`, `example`.
pub(super) fn noun(set: Set) -> &'static str {
    match set {
        Set::All => "example",
        Set::Train => "training example",
        Set::Validation => "validation example",
        Set::Test => "test example",
    }
}

/// A table's columns in this order.
fn match_columns(part: Part, wanted: &[String], notes: &mut Vec<String>) -> Result<Part> {
    let (raw, what) = (&part.raw, noun(part.set));
    if wanted.is_empty() || raw.columns == wanted {
        return Ok(part);
    }
    if raw.columns.is_empty() {
        if raw.size.features() == wanted.len() && part.set != Set::Train {
            notes.push(format!("{what}s have no names of columns: they are taken in their order"));
        }
        return Ok(part);
    }
    let missing: Vec<String> =
        wanted.iter().filter(|name| !raw.columns.contains(name)).map(|name| quoted(name)).collect();
    if let Some(first) = missing.first() {
        let found: Vec<String> = raw.columns.iter().take(LISTED).map(|name| quoted(name)).collect();
        let reason = format!(
            "it lacks {} of the training data, {first} the first; it has {}: columns are matched by name",
            counted(missing.len(), "column"),
            found.join(", ")
        );
        return Err(Error::format(&part.path, reason));
    }
    if let Some(twice) = wanted.iter().enumerate().find_map(|(at, name)| wanted[..at].contains(name).then_some(name)) {
        let reason = format!("two columns are called {}: they can't be matched by name", quoted(twice));
        return Err(Error::format(&part.path, reason));
    }
    let place = |name: &String| raw.columns.iter().position(|found| found == name).unwrap_or(0);
    let places: Vec<usize> = wanted.iter().map(place).collect();
    notes.push(format!("columns of {what}s are brought into the training data's order, by name"));
    let Part { set, raw, path } = part;
    let numbers = raw.numbers.permuted(raw.size.features(), places);
    let size = ImageSize::of_features(wanted.len());
    Ok(Part { set, raw: Raw { size, numbers, columns: wanted.to_vec(), ..raw }, path })
}

/// Pixels with the channels that are wanted.
fn match_channels(part: Part, form: &Schema, notes: &mut Vec<String>) -> Result<Part> {
    let (found, wanted) = (part.raw.size, form.size);
    if found.channels == wanted.channels || (found.height, found.width) != (wanted.height, wanted.width) {
        return Ok(part);
    }
    let [is, becomes] = [found.channels, wanted.channels].map(Channels::name);
    if let Numbers::Stored(_) = part.raw.numbers {
        let reason = format!("it is {is} and read in pieces: it must be {becomes}, as what is trained on");
        return Err(Error::format(&part.path, reason));
    }
    notes.push(format!("{} are {is}, and are brought to {becomes}", counted(part.raw.count(), noun(part.set))));
    Ok(Part { raw: part.raw.with_channels(wanted.channels), ..part })
}

/// Numbers that mean what the training data's mean.
fn match_white(part: Part, form: &Schema, notes: &mut Vec<String>) -> Result<Part> {
    let Some(white) = part.raw.white else { return Ok(part) };
    let ratio = match form.white {
        Some(wanted) => wanted / white,
        // Numbers in [0, 1] may be pixels, and pixels are shares of white.
        None if part.raw.pictures && form.scaling.is_none() && form.range[0] >= 0.0 && form.range[1] <= 1.0 => {
            1.0 / white
        }
        None => 1.0,
    };
    if ratio == 1.0 {
        return Ok(part);
    }
    let wanted = form.white.unwrap_or(1.0);
    notes.push(format!("{}s have {white} for white, and are brought to {wanted}", noun(part.set)));
    if let Numbers::Stored(_) = part.raw.numbers {
        let reason =
            format!("its white is {white} and it is read in pieces: its white must be {wanted}, the training data's");
        return Err(Error::format(&part.path, reason));
    }
    let numbers = Numbers::Doubles(part.raw.numbers.converted(1, |_, value| value * ratio));
    Ok(Part { raw: Raw { numbers, ..part.raw }, ..part })
}

/// The least and the largest number.
fn range(numbers: &Numbers) -> Result<[f64; 2]> {
    if let Numbers::Bytes(bytes) = numbers {
        let least = bytes.iter().copied().min().unwrap_or(0);
        return Ok([least, bytes.iter().copied().max().unwrap_or(0)].map(f64::from));
    }
    Ok(Range::of(numbers, 1)?.whole())
}

/// Says what looks like another scale than the training data's.
fn say_of_range(parts: &[Part], form: &Schema, notes: &mut Vec<String>) -> Result<()> {
    for part in parts {
        let ([least, most], [low, high]) = (range(&part.raw.numbers)?, form.range);
        let span = high - low;
        let far = most > high + span || least < low - span;
        if far || (most - least < NARROW * span && most < low + DARK * span) {
            let [least, most, low, high] = [least, most, low, high].map(digits);
            notes.push(format!(
                "{}s hold values from {least} to {most}, the training data from {low} to {high}: another scale?",
                noun(part.set)
            ));
        }
    }
    Ok(())
}

/// Whether numbers are no shares of white and no probabilities.
fn is_outside([least, most]: [f64; 2], white: Option<f64>) -> bool {
    white.is_none_or(|white| white == WHITE_REAL) && (least < 0.0 || most > 1.0)
}

/// Numbers that are no probabilities, brought to [0, 1] as `--scale minmax` does it. Whole numbers from 0 on that fill a
/// square are the pixels of one picture: all have the same white.
fn bring_to_unit(
    train: &Part,
    [least, most]: [f64; 2],
    columns: usize,
    option: &str,
    notes: &mut Vec<String>,
) -> Result<Scaling> {
    let size = train.raw.size;
    let [shown_least, shown_most] = [least, most].map(digits);
    let mut whole = least >= 0.0;
    train.raw.numbers.each(|value| whole &= value.fract() == 0.0)?;
    let pixels = columns == 1 || whole && size.height >= SQUARE && size.height == size.width;
    let (scaling, how) = match (pixels, whole) {
        (true, true) => (Scaling::by_largest(most), format!("{most} is white")),
        (true, false) => (Scaling::minmax(&train.raw.numbers, 1)?, "all alike (--scale minmax)".to_owned()),
        (false, _) => {
            (Scaling::minmax(&train.raw.numbers, columns)?, "each column by itself (--scale minmax)".to_owned())
        }
    };
    notes.push(format!("values from {shown_least} to {shown_most} are brought to [0, 1], which {option} needs: {how}"));
    Ok(scaling)
}

/// Says what training on these values would not show.
fn say_of_scale(scale: Scale, train: &Part, schema: &Schema, table: bool, notes: &mut Vec<String>) -> Result<()> {
    let [_, most] = schema.range;
    if let (Some(white), Scale::Auto) = (schema.white, scale) {
        let what = if white == 255.0 { "byte" } else { "value" };
        if most < DARK * white {
            notes.push(format!(
                "the largest {what} is {most} of {white}: what is trained on is dark; --scale minmax brings it to [0, 1]"
            ));
        }
    }
    let Numbers::Doubles(_) = train.raw.numbers else { return Ok(()) };
    let columns = if table { schema.size.features() } else { 1 };
    let Range { least, most } = Range::of(&train.raw.numbers, columns)?;
    let coarse: Vec<usize> = (0..columns)
        .filter(|&at| {
            let (low, high) = (schema.value(at, least[at]), schema.value(at, most[at]));
            let unit = f64::from(f32::EPSILON) * low.abs().max(high.abs());
            least[at] < most[at] && (high - low).abs() < STEPS * unit
        })
        .collect();
    if let Some(&first) = coarse.first() {
        let name = train.raw.columns.get(first).map_or(first.to_string(), |name| name.clone());
        notes.push(format!(
            "values of {} ({} the first) lie so close together that f32 hardly tells them apart: --scale minmax or standard \
             does",
            counted(coarse.len(), "column"),
            quoted(&name).trim_matches('"')
        ));
    }
    Ok(())
}

/// Says how many values are clipped to the training set's range.
fn say_of_clipping(part: &Part, schema: &Schema, notes: &mut Vec<String>) -> Result<()> {
    let Some(scaling) = schema.scaling.as_ref().filter(|scaling| scaling.clips()) else { return Ok(()) };
    let (features, mut at, mut clipped) = (schema.size.features(), 0, 0);
    part.raw.numbers.each(|number| {
        let value = scaling.scaled(at, number);
        clipped += usize::from(!(-ROUNDING..=1.0 + ROUNDING).contains(&value));
        at = if at + 1 == features { 0 } else { at + 1 };
    })?;
    if clipped > 0 {
        notes.push(format!(
            "{clipped} of {} of {}s lie outside the training set's range, and are clipped to it (--scale minmax)",
            counted(part.raw.numbers.len(), "value"),
            noun(part.set)
        ));
    }
    Ok(())
}

/// Numbers as a model has them.
fn values(numbers: Numbers, bytes: bool, schema: &Schema) -> Values {
    let clip = schema.scaling.as_ref().is_some_and(Scaling::clips);
    let form = schema.clone();
    let value = move |at: usize, number: f64| {
        let value = form.value(at, number);
        (if clip { value.clamp(0.0, 1.0) } else { value }) as f32
    };
    let as_they_are = schema.scaling.is_none() && schema.white.is_none();
    match numbers {
        Numbers::Bytes(all) if bytes => Values::Bytes(all),
        Numbers::Stored(stored) if bytes => Values::Stored(stored),
        Numbers::Stored(stored) => Values::Stored(stored.converted(Arc::new(value))),
        Numbers::Floats(all) if as_they_are => Values::Reals(all),
        numbers => Values::Reals(numbers.converted(schema.size.features(), value)),
    }
}
