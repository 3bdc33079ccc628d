//! Whether a table's first line names its columns.

use ::csv::StringRecord;
use serde::{Deserialize, Serialize};

use super::notes::quoted;
use super::table::is_missing;

/// Lines that are looked at.
pub(super) const HEAD: usize = 20;
/// Columns from which on ascending whole numbers are names, whatever the other lines hold: values rarely ascend so far.
const MANY: usize = 4;

/// What a table's first line is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Header {
    /// Names of columns, where it looks like them
    #[default]
    Auto,
    /// Names of columns
    Yes,
    /// An example
    No,
}

impl Header {
    /// Whether the first of these lines holds names.
    ///
    /// It does where none of its cells is a number; where one is text above numbers; and where all are whole numbers that
    /// ascend, as pandas names columns 0, 1, 2 or a table its years, while those below do not. That guess is said.
    pub(super) fn is_there(self, head: &[StringRecord], notes: &mut Vec<String>) -> bool {
        match self {
            Header::Yes => return true,
            Header::No => return false,
            Header::Auto => {}
        }
        let Some((first, rest)) = head.split_first() else { return false };
        if first.iter().all(|cell| number(cell).is_none()) {
            return true;
        }
        let is_text = |cell: &str| !is_missing(cell.trim()) && number(cell).is_none();
        let above_numbers = |column: usize| {
            let below = || rest.iter().filter_map(|line| line.get(column)).filter(|cell| !is_missing(cell.trim()));
            below().next().is_some() && below().all(|cell| number(cell).is_some())
        };
        if first.iter().enumerate().any(|(column, cell)| is_text(cell) && above_numbers(column)) {
            return true;
        }
        let columns = first.iter().filter(|cell| number(cell).is_some()).count();
        let fractions =
            || rest.iter().flat_map(StringRecord::iter).filter_map(number).any(|value| value.fract() != 0.0);
        let named = ascends(first)
            && !rest.is_empty()
            && !rest.iter().all(ascends)
            && columns > 1
            && (columns >= MANY || fractions())
            && first
                .iter()
                .enumerate()
                .all(|(column, cell)| !is_text(cell) || columns > 2 && is_new(column, cell, rest));
        if named {
            let shown: Vec<&str> = first.iter().take(4).collect();
            let more = if first.len() > 4 { ", ..." } else { "" };
            notes.push(format!(
                "the first line, {}{more}, ascends as names of columns do, and is taken for them; --header no reads it as \
                 an example",
                quoted(&shown.join(", ")).trim_matches('"')
            ));
        }
        named
    }
}

fn number(cell: &str) -> Option<f64> {
    cell.trim().parse().ok()
}

/// Whether a line's numbers are whole, each above the one before.
fn ascends(line: &StringRecord) -> bool {
    let cells = line.iter().filter(|cell| number(cell).is_some());
    let numbers: Option<Vec<i64>> = cells.map(|cell| cell.trim().parse().ok()).collect();
    numbers.is_some_and(|numbers| numbers.windows(2).all(|pair| pair[0] < pair[1]))
}

/// Whether no line below has this text in the same column, as lines of one class would.
fn is_new(column: usize, text: &str, below: &[StringRecord]) -> bool {
    below.iter().all(|line| line.get(column).is_none_or(|cell| cell.trim() != text.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(text: &str) -> bool {
        let mut reader = ::csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(text.as_bytes());
        let head: Vec<StringRecord> = reader.records().map(Result::unwrap).collect();
        let (mut notes, mut none) = (Vec::new(), Vec::new());
        assert!(Header::Yes.is_there(&head, &mut none) && !Header::No.is_there(&head, &mut none));
        let named = Header::Auto.is_there(&head, &mut notes);
        assert!(named || notes.is_empty(), "{notes:?}");
        named
    }

    #[test]
    fn names_are_told_from_values() {
        for text in [
            "a,b\n1,2\n",
            "0,1,2\n0.5,0.25,0.75\n",
            ",0,1\n0,0.5,0.25\n1,0.1,0.9\n",
            "2019,2020\n0.5,0.25\n",
            "0,1,2,3\n5,0,0,1\n0,0,9,1\n",
            "id,1\n7,3\n",
            "country,2019,2020,2021\nx,0.5,0.25,0.1\ny,0.5,0.2,0.3\n",
        ] {
            assert!(named(text), "{text}");
        }
        for text in [
            "0.5,0.25\n0.1,0.2\n",
            "0,1\n1,0\n",
            "1,2,3,4\n2,3,4,5\n",
            "3,1,2\n0.5,0.5,0.5\n",
            "cat,1,2\ndog,0,4\n",
            "cat,1,2,3\ndog,0.5,4,1\ncat,0.5,0,0\n",
            "1,2,3,4\n",
            "1\n0.5\n",
        ] {
            assert!(!named(text), "{text}");
        }
    }
}
