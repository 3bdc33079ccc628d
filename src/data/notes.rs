//! What is said about data: counts with their nouns, and the first of many.

use std::fmt;
use std::path::Path;

use crate::error::shown;

/// `1 image`, `2 images`.
pub(super) fn counted(count: usize, noun: &str) -> String {
    let plural = match noun.strip_suffix('s').is_some() || noun.ends_with('x') {
        true => "es",
        false => "s",
    };
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}{plural}") }
}

/// Text of an input as a message quotes it: its beginning where it is long.
pub(super) fn quoted(text: &str) -> String {
    format!("{:?}", shown(text))
}

/// A number with as many digits as it needs: those of f32 where it is one.
pub(super) fn digits(value: f64) -> String {
    let narrow = value as f32;
    if f64::from(narrow) == value { narrow.to_string() } else { value.to_string() }
}

/// How many of a kind there are, and which came first.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally {
    pub(super) count: usize,
    first: Option<String>,
}

impl Tally {
    pub(super) fn add(&mut self, name: impl fmt::Display) {
        self.count += 1;
        self.first.get_or_insert_with(|| name.to_string());
    }

    pub(super) fn add_path(&mut self, path: &Path) {
        self.add(path.display());
    }

    /// `1 image (a.png) ONE`, `2 images (the first is a.png) MANY`; nothing where there is none.
    pub(super) fn note(&self, noun: &str, one: &str, many: &str, notes: &mut Vec<String>) {
        let Some(first) = &self.first else { return };
        notes.push(match self.count {
            1 => format!("1 {noun} ({first}) {one}"),
            count => format!("{} (the first is {first}) {many}", counted(count, noun)),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_count_and_name_the_first() {
        let (mut tally, mut notes) = (Tally::default(), Vec::new());
        tally.note("image", "is left out", "are left out", &mut notes);
        tally.add("a.png");
        tally.note("image", "is left out", "are left out", &mut notes);
        tally.add("b.png");
        tally.note("image", "is left out", "are left out", &mut notes);
        assert_eq!(notes, ["1 image (a.png) is left out", "2 images (the first is a.png) are left out"]);
        assert_eq!([counted(1, "class"), counted(3, "class")], ["1 class", "3 classes"]);
    }
}
