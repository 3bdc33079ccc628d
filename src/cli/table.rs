//! Tables of text.

use super::say;

/// Prints rows with their columns in line: the first to the left, others too unless `numbers` says they end in line.
pub(super) fn print(rows: &[Vec<String>], numbers: &[usize]) {
    let width = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
    for row in rows {
        let cells = row.iter().enumerate().map(|(column, cell)| {
            let width = width(column).unwrap_or(0);
            if numbers.contains(&column) { format!("{cell:>width$}") } else { format!("{cell:<width$}") }
        });
        say(format_args!("{}", cells.collect::<Vec<_>>().join("  ").trim_end()));
    }
}
