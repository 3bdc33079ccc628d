//! Data in text tables: `.csv` (commas, or semicolons) and `.tsv`, an example a line.
//!
//! One column may be the label: that of `--label-column`, by name or by number from 0, else one that the header calls label,
//! class or target. `--drop-columns` are left out, and so is an index, a column without a name that counts 0, 1, 2. All
//! others are numbers; a cell that is empty, or one of the words that other programs write for it, is a value that is
//! missing, which is not finite.

use std::path::Path;

use ::csv::{ReaderBuilder, StringRecord};

use super::Condition;
use super::header::{HEAD, Header};
use super::labels::Labels;
use super::notes::{counted, quoted};
use super::numbers::Numbers;
use super::raw::Raw;
use super::reading::{Found, Reading, Set};
use super::{ImageSize, idx};
use crate::error::{Error, Result};

/// What a header calls a column of labels.
const LABELS: [&str; 3] = ["label", "class", "target"];
/// What a column's name is where pandas wrote an index and read it back.
const UNNAMED: &str = "Unnamed: 0";
/// Columns that a message lists.
const LISTED: usize = 20;

/// What is asked of a table.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted<'a> {
    pub(super) header: Header,
    /// The column of labels: its name, its number from 0, or `none`.
    pub(super) label_column: Option<&'a str>,
    /// Columns to leave out, by name or number.
    pub(super) drop_columns: &'a [String],
    /// The columns that a training set has, where this is no training set: others are left out, and neither labels nor
    /// columns to drop need to be there.
    pub(super) columns: Option<&'a [String]>,
    /// Whether labels may be numbers that are not whole.
    pub(super) numbers: bool,
}

pub(super) fn read(path: &Path, reading: &Reading, columns: Option<&[String]>) -> Result<Found> {
    let bytes = std::fs::read(path).map_err(Error::io("reading", path))?;
    let wanted = Wanted {
        header: reading.header,
        label_column: reading.label_column.as_deref(),
        drop_columns: &reading.drop_columns,
        columns,
        numbers: reading.condition == Some(Condition::Number),
    };
    let mut notes = Vec::new();
    let raw = parse(&bytes, path.extension().is_some_and(|kind| kind == "tsv"), wanted, &mut notes);
    let raw = raw.map_err(|reason| Error::format(path, reason))?;
    Ok(Found { name: idx::folder_name(path), sets: vec![(Set::All, raw)], table: true, notes })
}

/// How a column is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Value,
    Label,
    /// A value, unless it counts the lines.
    Unnamed,
    LeftOut,
}

fn parse(bytes: &[u8], tabs: bool, wanted: Wanted<'_>, notes: &mut Vec<String>) -> Result<Raw, String> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes); // a byte order mark
    let first_line = bytes.split(|&byte| byte == b'\n').next().unwrap_or_default();
    let delimiter = match tabs {
        true => b'\t',
        false if !first_line.contains(&b',') && first_line.contains(&b';') => b';',
        false => b',',
    };
    let mut reader = ReaderBuilder::new().has_headers(false).flexible(true).delimiter(delimiter).from_reader(bytes);
    let mut records = reader.records().map(|record| record.map_err(|error| error.to_string()));
    let head = records.by_ref().take(HEAD).collect::<Result<Vec<StringRecord>, String>>()?;
    let Some(first) = head.first() else {
        return Err("it is empty: a line for each example is needed".to_owned());
    };
    let named = wanted.header.is_there(&head, notes);
    let names: Vec<&str> = if named { first.iter().map(str::trim).collect() } else { Vec::new() };
    let columns = first.len();
    let mut roles = roles(&names, columns, wanted, notes)?;

    let (mut values, mut labels, mut lines) = (Vec::new(), Vec::new(), 0u32);
    let mut starts = vec![0.0; columns];
    let mut counts: Vec<bool> = roles.iter().enumerate().map(|(at, role)| *role == Role::Unnamed || at == 0).collect();
    for record in head.iter().skip(usize::from(named)).cloned().map(Ok).chain(records) {
        let record = record?;
        let line = record.position().map_or(0, ::csv::Position::line);
        if record.len() != columns {
            return Err(format!("line {line} has {} cells, the first line has {columns}: must be equal", record.len()));
        }
        for (column, cell) in record.iter().map(str::trim).enumerate() {
            match roles[column] {
                Role::Label => labels.push(if is_missing_label(cell) { String::new() } else { cell.to_owned() }),
                Role::LeftOut => {}
                Role::Value | Role::Unnamed => {
                    let value = if is_missing(cell) { f64::NAN } else { number(cell, line, column, &names)? };
                    // From 0 on as pandas counts, or from 1 as R does.
                    starts[column] = if lines == 0 { value } else { starts[column] };
                    counts[column] &=
                        [0.0, 1.0].contains(&starts[column]) && value == starts[column] + f64::from(lines);
                    values.push(value);
                }
            }
        }
        lines = lines.saturating_add(1);
    }
    let is_value = |role: &Role| matches!(role, Role::Value | Role::Unnamed);
    let kept: Vec<usize> = (0..columns).filter(|&column| is_value(&roles[column])).collect();
    let index = (lines > 2 && kept.len() > 1).then(|| kept.iter().position(|&column| counts[column])).flatten();
    let mut kept_values = Numbers::Doubles(values);
    let mut features = kept.len();
    if let Some(at) = index {
        let column = kept[at];
        if roles[column] == Role::Unnamed {
            notes.push(format!("column {column} has no name and counts the lines: an index, which is left out"));
            roles[column] = Role::LeftOut;
            let Numbers::Doubles(all) = kept_values else { unreachable!("tables hold doubles") };
            let others = all.chunks(features).flat_map(|row| row.iter().enumerate().filter(|&(of, _)| of != at));
            kept_values = Numbers::Doubles(others.map(|(_, &value)| value).collect());
            features -= 1;
        } else if !named {
            notes.push(format!(
                "column {column} counts the lines, as an index does: --drop-columns {column} leaves it out"
            ));
        }
    }
    if let Some(column) = roles.iter().position(|role| *role == Role::Unnamed) {
        notes.push(format!(
            "column {column} has no name, and is read like others: --drop-columns {column} leaves it out"
        ));
    }
    if features == 0 || kept_values.is_empty() {
        return Err("it has no line of numbers".to_owned());
    }
    let names: Vec<String> = (0..columns)
        .filter(|&column| is_value(&roles[column]))
        .filter_map(|column| names.get(column).map(|&name| name.to_owned()))
        .collect();
    let mut labels = if roles.contains(&Role::Label) { Labels::Texts(labels) } else { Labels::None };
    if labels.are_real() && !wanted.numbers {
        notes.push(
            "the column of labels holds numbers that are not whole, no classes: it is left out (--label-column none reads \
             it as a value)"
                .to_owned(),
        );
        labels = Labels::None;
    }
    let raw = Raw::numbers(ImageSize::of_features(features), kept_values);
    Ok(Raw { labels, columns: names, ..raw })
}

fn roles(names: &[&str], columns: usize, wanted: Wanted<'_>, notes: &mut Vec<String>) -> Result<Vec<Role>, String> {
    let find = |text: &str| {
        let named = names.iter().position(|name| name.eq_ignore_ascii_case(text));
        named.or_else(|| text.parse().ok().filter(|&column: &usize| column < columns))
    };
    let none = |option: &str, text: &str| match names.is_empty() {
        false => {
            let listed: Vec<String> = names.iter().take(LISTED).map(|name| quoted(name)).collect();
            let more = if names.len() > LISTED { " and so on" } else { "" };
            format!("{option} {text} is none of its {columns} columns: {}{more}", listed.join(", "))
        }
        true => format!("{option} {text} is none of its {columns} columns, which have no names and count from 0"),
    };
    let mut roles: Vec<Role> = (0..columns)
        .map(|column| match names.get(column) {
            Some(&"" | &UNNAMED) => Role::Unnamed,
            _ => Role::Value,
        })
        .collect();
    for text in wanted.drop_columns {
        match find(text) {
            Some(column) => roles[column] = Role::LeftOut,
            None if wanted.columns.is_some() => {}
            None => return Err(none("--drop-columns", text)),
        }
    }
    let label = match wanted.label_column {
        Some("none") => None,
        Some(text) => match find(text) {
            Some(column) => Some(column),
            None if wanted.columns.is_some() => {
                notes.push(format!("it has no column {text}: its examples have no labels"));
                None
            }
            None => return Err(none("--label-column", text)),
        },
        None => LABELS.into_iter().find_map(|label| names.iter().position(|name| name.eq_ignore_ascii_case(label))),
    };
    if let Some(column) = label {
        roles[column] = Role::Label;
    }
    if let Some(known) = wanted.columns.filter(|known| !known.is_empty() && !names.is_empty()) {
        let mut others = Vec::new();
        for (role, name) in roles.iter_mut().zip(names) {
            if matches!(role, Role::Value | Role::Unnamed) && !known.iter().any(|known| known == name) {
                *role = Role::LeftOut;
                others.push(quoted(name));
            }
        }
        if let Some(first) = others.first() {
            let count = counted(others.len(), "column");
            notes.push(format!("{count} that the training data do not have: left out ({first} the first)"));
        }
    }
    Ok(roles)
}

fn number(cell: &str, line: u64, column: usize, names: &[&str]) -> Result<f64, String> {
    cell.parse().map_err(|_| {
        let name = names.get(column).map_or(String::new(), |name| format!(" ({})", quoted(name).trim_matches('"')));
        let option = names.get(column).map_or(column.to_string(), |name| (*name).to_owned());
        let hint = if option.len() < 40 && !option.contains(' ') { option } else { column.to_string() };
        format!(
            "line {line}, column {column}{name} is {}: it must be a number; --drop-columns {hint} leaves the column out, \
             --label-column {hint} takes it for the labels",
            quoted(cell)
        )
    })
}

/// Whether a cell says that its value is missing.
pub(super) fn is_missing(cell: &str) -> bool {
    is_missing_label(cell) || ["-", "--", "none", "None", "missing"].contains(&cell)
}

/// Whether a cell says so where a class might be called `none`.
fn is_missing_label(cell: &str) -> bool {
    ["", "NA", "N/A", "n/a", "na", "#N/A", "NaN", "nan", "NULL", "null", "?"].contains(&cell)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Wanted<'_> =
        Wanted { header: Header::Auto, label_column: None, drop_columns: &[], columns: None, numbers: false };

    fn read(text: &str, tabs: bool, wanted: Wanted<'_>) -> (Vec<f64>, Raw, Vec<String>) {
        let mut notes = Vec::new();
        let raw = parse(text.as_bytes(), tabs, wanted, &mut notes).unwrap();
        let Numbers::Doubles(values) = raw.numbers.clone() else { panic!("tables hold doubles") };
        (values, raw, notes)
    }

    fn texts(labels: &Labels) -> Vec<&str> {
        match labels {
            Labels::Texts(texts) => texts.iter().map(String::as_str).collect(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn headers_and_labels_are_found() {
        let (values, raw, _) = read("1,2\n3,1\n", false, PLAIN);
        assert_eq!((values, raw.labels), (vec![1.0, 2.0, 3.0, 1.0], Labels::None));
        let (values, raw, _) = read("a;Target;b\r\n1;cat;2\r\n3;ant;4\r\n", false, PLAIN);
        assert_eq!((values, texts(&raw.labels)), (vec![1.0, 2.0, 3.0, 4.0], vec!["cat", "ant"]));
        assert_eq!(raw.columns, ["a", "b"]);
        let (values, raw, _) = read("7\t1\n9\t2", true, Wanted { label_column: Some("0"), ..PLAIN });
        assert_eq!((values, texts(&raw.labels)), (vec![1.0, 2.0], vec!["7", "9"]));
        let (values, raw, _) = read("a,label\n1,2\n3,4\n", false, Wanted { label_column: Some("none"), ..PLAIN });
        assert_eq!((values, raw.labels), (vec![1.0, 2.0, 3.0, 4.0], Labels::None));
        let (values, ..) =
            read("\u{feff}a,b,c\n1,2,3\n4,5,6\n", false, Wanted { drop_columns: &["b".into(), "0".into()], ..PLAIN });
        assert_eq!(values, [3.0, 6.0]);
    }

    #[test]
    fn what_other_programs_write_for_a_missing_value_is_one() {
        let (values, raw, _) = read("a,b,label\n,NA,x\n?,null,\nN/A,na,NA\n-,nan,none\n", false, PLAIN);
        assert!(values.len() == 8 && values.iter().all(|value| value.is_nan()), "{values:?}");
        assert_eq!(texts(&raw.labels), ["x", "", "", "none"]);
    }

    #[test]
    fn an_index_is_left_out_or_said() {
        let (values, raw, notes) = read(",a,b\n0,5,6\n1,7,8\n2,9,10\n", false, PLAIN);
        assert_eq!((values, raw.columns), (vec![5.0, 6.0, 7.0, 8.0, 9.0, 10.0], vec!["a".to_owned(), "b".to_owned()]));
        assert!(notes[0].contains("an index, which is left out"), "{notes:?}");
        let (values, _, notes) = read(",a,b\n1,5,6\n2,7,8\n3,9,10\n", false, PLAIN);
        assert!(values.len() == 6 && notes[0].contains("left out"), "{notes:?}");
        let (values, _, notes) = read(",a\n7,5\n2,7\n3,9\n", false, PLAIN);
        assert!(values.len() == 6 && notes[0].contains("column 0 has no name, and is read like others"), "{notes:?}");
        let (values, _, notes) = read("0,5\n1,7\n2,9\n", false, PLAIN);
        assert!(values.len() == 6 && notes[0].contains("--drop-columns 0"), "{notes:?}");
        let (values, _, notes) = read("step,a\n0,5\n1,7\n2,9\n", false, PLAIN);
        assert!(values.len() == 6 && notes.is_empty(), "{notes:?}");
    }

    #[test]
    fn numbers_that_are_no_classes_are_no_labels() {
        let (values, raw, notes) = read("a,target\n1,0.5\n2,1\n", false, PLAIN);
        assert_eq!((values, raw.labels), (vec![1.0, 2.0], Labels::None));
        assert!(notes[0].contains("no classes") && notes[0].contains("--label-column none"), "{notes:?}");
    }

    #[test]
    fn other_data_need_only_have_the_columns_of_the_training_data() {
        let known = ["b".to_owned(), "a".to_owned()];
        let wanted = Wanted { label_column: Some("kind"), drop_columns: &["x".into()], columns: Some(&known), ..PLAIN };
        let (values, raw, notes) = read("a,remark,b\n1,good,2\n", false, wanted);
        assert_eq!((values, raw.columns), (vec![1.0, 2.0], vec!["a".to_owned(), "b".to_owned()]));
        assert!(notes[0].contains("no column kind") && notes[1].contains("1 column that"), "{notes:?}");
    }

    #[test]
    fn faults_are_named_with_their_place() {
        let message = |text: &str, label_column| {
            parse(text.as_bytes(), false, Wanted { label_column, ..PLAIN }, &mut Vec::new()).unwrap_err()
        };
        assert!(message("a,b\n1,2\n1,2,3\n", None).contains("line 3 has 3 cells"));
        let error = message("a,b\n1,2\n1,x\n", None);
        assert!(error.contains("line 3, column 1 (b) is \"x\"") && error.contains("--drop-columns b"), "{error}");
        assert!(message("a,b\n1,2\n", Some("c")).contains("\"a\", \"b\""));
        assert!(message("1,0\n", Some("2")).contains("count from 0"));
        for empty in ["", "a,b\n"] {
            assert!(parse(empty.as_bytes(), false, PLAIN, &mut Vec::new()).is_err());
        }
        // A quote that is never closed makes the rest of the file one cell.
        let error = message(&format!("a,b\n1,\"{}", "x".repeat(100_000)), None);
        assert!(error.len() < 400, "{error}");
    }
}
