//! Text for people: columns that stand under each other, and nothing in it that
//! a terminal would obey.

use std::io::{self, Write};

pub use hearth_server::deploy::steps::plain;

/// As [`plain`], in one line.
pub fn line(text: &str) -> String {
    plain(text).replace(['\n', '\t'], " ")
}

/// Writes rows under a head, each column as wide as its widest cell.
pub fn write<const N: usize>(
    head: [&str; N],
    rows: &[[String; N]],
    out: &mut dyn Write,
) -> io::Result<()> {
    let head = head.map(str::to_owned);
    let rows: Vec<[String; N]> = rows
        .iter()
        .map(|row| row.each_ref().map(|cell| line(cell)))
        .collect();
    let mut widths = head.each_ref().map(|cell| cell.chars().count());
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    for row in std::iter::once(&head).chain(&rows) {
        let cells = row.iter().zip(widths);
        let text: Vec<String> = cells
            .map(|(cell, width)| format!("{cell:width$}"))
            .collect();
        writeln!(out, "{}", text.join("  ").trim_end())?;
    }
    Ok(())
}

/// A time of RFC 3339 to the second, or as it came.
pub fn time(text: &str) -> String {
    match text.parse::<jiff::Timestamp>() {
        Ok(at) => at.strftime("%Y-%m-%d %H:%M:%SZ").to_string(),
        Err(_) => text.to_owned(),
    }
}

/// Enough of a digest to tell it from others.
pub fn digest(text: &str) -> String {
    const SHOWN: usize = "sha256:".len() + 12;
    text.chars().take(SHOWN).collect()
}

/// A list in one cell.
pub fn list(items: &[String]) -> String {
    match items {
        [] => "-".into(),
        items => items.join(","),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_under_each_other() {
        let rows = [
            ["tickets".to_owned(), "1".to_owned()],
            ["é".to_owned(), "22\u{1b}[2J".to_owned()],
        ];
        let mut out = Vec::new();
        write(["plugin", "n"], &rows, &mut out).unwrap();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "plugin   n\ntickets  1\né        22\u{fffd}[2J\n"
        );
    }

    #[test]
    fn times_are_shown_to_the_second() {
        assert_eq!(time("2026-01-02T03:04:05.678Z"), "2026-01-02 03:04:05Z");
        assert_eq!(time("2026-01-02T03:04:05+02:00"), "2026-01-02 01:04:05Z");
        assert_eq!(time("never"), "never");
    }
}
