//! Rows as CSV (RFC 4180), the names of the columns in the first line.

use hearth_plugin::prelude::*;

use super::column::{Cells, Column};

/// Separators of other tables than these.
const FOREIGN_SEPARATORS: [char; 3] = [';', '\t', '|'];

/// Hands every row over with the number of its line, or why it is none.
pub fn read(
    text: &str,
    take: &mut dyn FnMut(usize, Result<Cells, String>) -> Result<(), Problem>,
) -> Result<(), Problem> {
    let mut lines = Lines {
        rest: text,
        line: 1,
        cells: Vec::new(),
    };
    let header = lines.advance().map(|(_, read)| read);
    let names: Vec<_> = lines.cells.iter().map(|name| parse(name)).collect();
    if !matches!(header, Some(Ok(()))) || names.iter().all(Option::is_none) {
        return Err(no_header(text.trim_start()));
    }
    let given: Vec<_> = names.iter().flatten().collect();
    if let Some(column) = given.iter().find(|own| count(&given, own) > 1) {
        return Err(column_twice(**column));
    }
    while let Some((line, read)) = lines.advance() {
        take(line, read.and_then(|()| cells(&names, &mut lines.cells)))?;
    }
    Ok(())
}

/// Whether the first line of a text names columns that are kept.
pub fn has_header(text: &str) -> bool {
    let first = text.lines().next().unwrap_or_default();
    first.split(',').filter_map(parse).next().is_some()
}

fn count(given: &[&Column], column: &Column) -> usize {
    given.iter().filter(|own| **own == column).count()
}

/// 422: of two readers one would take the first, and one the last.
fn column_twice(column: Column) -> Problem {
    let detail = format!(
        "the first line names {} twice; leave one out",
        column.name()
    );
    Problem::new(422, "column-given-twice", "Column given twice").detail(detail)
}

fn parse(name: &str) -> Option<Column> {
    Column::parse(name.trim().trim_matches('"'))
}

/// 422: what the first line is where it names no column, as far as it can be seen.
fn no_header(text: &str) -> Problem {
    let first = text.lines().next().unwrap_or_default();
    let separates = |own: &char| first.split(*own).filter_map(parse).count() > 1;
    let detail = match FOREIGN_SEPARATORS.into_iter().find(separates) {
        Some(own) => format!("the columns are separated by {own:?}; export them with commas"),
        None => "the first line must name the columns, such as BilledCost,ChargePeriodStart".into(),
    };
    Problem::new(422, "no-header", "No header").detail(detail)
}

fn cells(names: &[Option<Column>], row: &mut [String]) -> Result<Cells, String> {
    if row.len() != names.len() {
        let (has, wanted) = (row.len(), names.len());
        return Err(format!("this has {has} columns, and the header {wanted}"));
    }
    let mut cells = Cells::default();
    for (name, text) in names.iter().zip(row) {
        if let Some(column) = name {
            cells.set(*column, Some(std::mem::take(text)));
        }
    }
    Ok(cells)
}

/// The lines of a file, one at a time. A quoted cell may hold line breaks.
struct Lines<'t> {
    rest: &'t str,
    line: usize,
    cells: Vec<String>,
}

impl Lines<'_> {
    /// Reads the cells of the next line that is not empty; where it begins.
    fn advance(&mut self) -> Option<(usize, Result<(), String>)> {
        while let Some(rest) = self.rest.strip_prefix(['\r', '\n']) {
            self.line += usize::from(self.rest.starts_with('\n'));
            self.rest = rest;
        }
        if self.rest.is_empty() {
            return None;
        }
        self.cells.clear();
        let line = self.line;
        Some((line, self.read()))
    }

    fn read(&mut self) -> Result<(), String> {
        loop {
            let cell = self.cell()?;
            self.cells.push(cell);
            match self.rest.strip_prefix(',') {
                Some(rest) => self.rest = rest,
                None => return Ok(()),
            }
        }
    }

    /// One cell; what follows it is a comma, a line break or the end.
    fn cell(&mut self) -> Result<String, String> {
        let Some(quoted) = self.rest.strip_prefix('"') else {
            let end = self.rest.find([',', '\r', '\n']).unwrap_or(self.rest.len());
            let (cell, rest) = self.rest.split_at(end);
            self.rest = rest;
            return Ok(cell.into());
        };
        self.rest = quoted;
        let mut text = String::new();
        loop {
            let Some((part, rest)) = self.rest.split_once('"') else {
                self.rest = "";
                return Err("a quotation mark is not closed".into());
            };
            text.push_str(part);
            self.line += part.bytes().filter(|byte| *byte == b'\n').count();
            match rest.strip_prefix('"') {
                Some(rest) => {
                    text.push('"');
                    self.rest = rest;
                }
                None => {
                    self.rest = rest;
                    break;
                }
            }
        }
        match self.rest.is_empty() || self.rest.starts_with([',', '\r', '\n']) {
            true => Ok(text),
            false => {
                let end = self.rest.find('\n').unwrap_or(self.rest.len());
                self.rest = self.rest.get(end..).unwrap_or_default();
                Err(
                    "a closing quotation mark must be followed by a comma or the end of the line"
                        .into(),
                )
            }
        }
    }
}
