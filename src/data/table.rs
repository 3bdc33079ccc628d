//! Data in text tables: `.csv` (commas, or semicolons) and `.tsv`, an example a line.
//!
//! The first line is a header where none of its cells is a number. One column may be the label: that of
//! `--label-column`, by name or by number from 0, else one that the header calls label, class or target. All others are
//! numbers; an empty cell is one that is missing, which is not finite.

use std::collections::BTreeSet;
use std::path::Path;

use ::csv::{ReaderBuilder, StringRecord};

use super::reading::Found;
use super::{ImageSize, Images, Values};
use crate::error::{Error, Result};

/// What a header calls a column of labels.
const LABELS: [&str; 3] = ["label", "class", "target"];

pub(super) fn read(path: &Path, label_column: Option<&str>) -> Result<Found> {
    let bytes = std::fs::read(path).map_err(Error::io("reading", path))?;
    let images = parse(&bytes, path.extension().is_some_and(|kind| kind == "tsv"), label_column);
    let images = images.map_err(|reason| Error::format(path, reason))?;
    Ok(Found { table: true, ..Found::one(path, images) })
}

fn parse(bytes: &[u8], tabs: bool, label_column: Option<&str>) -> Result<Images, String> {
    let first_line = bytes.split(|&byte| byte == b'\n').next().unwrap_or_default();
    let delimiter = match tabs {
        true => b'\t',
        false if !first_line.contains(&b',') && first_line.contains(&b';') => b';',
        false => b',',
    };
    let mut reader = ReaderBuilder::new().has_headers(false).flexible(true).delimiter(delimiter).from_reader(bytes);
    let mut records = reader.records().map(|record| record.map_err(|error| error.to_string())).peekable();
    let Some(first) = records.peek().cloned().transpose()? else {
        return Err("it is empty: a line for each example is needed".to_owned());
    };
    let is_header = first.iter().all(|cell| cell.trim().parse::<f64>().is_err());
    if is_header {
        records.next();
    }
    let columns = first.len();
    let label = find_label(&first, is_header, label_column)?;
    let (mut values, mut labels) = (Vec::new(), Vec::new());
    for record in records {
        let record = record?;
        let line = record.position().map_or(0, ::csv::Position::line);
        if record.len() != columns {
            return Err(format!("line {line} has {} cells, the first line has {columns}: must be equal", record.len()));
        }
        for (column, cell) in record.iter().map(str::trim).enumerate() {
            if Some(column) == label {
                labels.push(cell.to_owned());
                continue;
            }
            values.push(match cell {
                "" => f32::NAN,
                _ => cell.parse::<f64>().map_err(|_| {
                    let name = if is_header { format!(" ({})", &first[column]) } else { String::new() };
                    format!("line {line}, column {column}{name} is {cell:?}: it must be a number")
                })? as f32,
            });
        }
    }
    let features = columns - usize::from(label.is_some());
    if features == 0 || values.is_empty() {
        return Err("it has no line of numbers".to_owned());
    }
    let count = values.len() / features;
    let labels = if label.is_some() { classes(&labels)? } else { vec![0; count] };
    Ok(Images { size: ImageSize::of_features(features), pixels: Values::Reals(values), labels })
}

fn find_label(first: &StringRecord, is_header: bool, wanted: Option<&str>) -> Result<Option<usize>, String> {
    let named = |name: &str| first.iter().position(|cell| is_header && cell.trim().eq_ignore_ascii_case(name));
    let Some(wanted) = wanted else {
        return Ok(LABELS.into_iter().find_map(named));
    };
    let numbered = || wanted.parse().ok().filter(|&column: &usize| column < first.len());
    match named(wanted).or_else(numbered) {
        Some(column) => Ok(Some(column)),
        None if is_header => {
            let names: Vec<&str> = first.iter().take(20).collect();
            Err(format!("--label-column {wanted} is none of its {} columns, which begin {names:?}", first.len()))
        }
        None => Err(format!(
            "--label-column {wanted} is none of its {} columns, which have no names and count from 0",
            first.len()
        )),
    }
}

/// Whole numbers from 0 to 255 as they are; other texts numbered in their order.
fn classes(texts: &[String]) -> Result<Vec<u8>, String> {
    if let Ok(numbers) = texts.iter().map(|text| text.parse()).collect::<Result<Vec<u8>, _>>() {
        return Ok(numbers);
    }
    let distinct: Vec<&String> = texts.iter().collect::<BTreeSet<_>>().into_iter().collect();
    if distinct.len() > 256 {
        return Err(format!("its labels have {} different values: at most 256 may be", distinct.len()));
    }
    let number = |text| distinct.binary_search(&text).expect("it is one of them") as u8;
    Ok(texts.iter().map(number).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reals(images: &Images) -> &[f32] {
        let Values::Reals(reals) = &images.pixels else { panic!("tables hold reals") };
        reals
    }

    #[test]
    fn headers_and_labels_are_found() {
        let plain = parse(b"1,2\n3,4.5\n", false, None).unwrap();
        assert_eq!((reals(&plain), plain.labels.as_slice()), (&[1.0, 2.0, 3.0, 4.5][..], &[0, 0][..]));
        let named = parse(b"a;Target;b\r\n1;cat;2\r\n3;ant;4\r\n", false, None).unwrap();
        assert_eq!((reals(&named), named.labels.as_slice()), (&[1.0, 2.0, 3.0, 4.0][..], &[1, 0][..]));
        let numbered = parse(b"7\t1\n9\t2", true, Some("0")).unwrap();
        assert_eq!((reals(&numbered), numbered.labels.as_slice()), (&[1.0, 2.0][..], &[7, 9][..]));
        assert!(reals(&parse(b"1,2\n,4\n", false, None).unwrap())[2].is_nan());
    }

    #[test]
    fn faults_are_named_with_their_place() {
        let message = |text: &[u8], label| parse(text, false, label).unwrap_err();
        assert!(message(b"a,b\n1,2\n1,2,3\n", None).contains("line 3 has 3 cells"));
        assert!(message(b"a,b\n1,x\n", None).contains("line 2, column 1 (b) is \"x\""));
        assert!(message(b"a,b\n1,2\n", Some("c")).contains("[\"a\", \"b\"]"));
        assert!(message(b"1,2\n", Some("2")).contains("count from 0"));
        for empty in [&b""[..], b"a,b\n"] {
            assert!(parse(empty, false, None).is_err());
        }
    }
}
