//! `POST /records`: loading costs.

mod csv;
mod json;
mod load;
mod record;

#[cfg(test)]
mod tests;

use hearth_plugin::prelude::*;

use record::{Cells, Mistakes, Record};

/// Rows of one load. More come in several.
const ROWS_MAX: usize = 20_000;
/// Where costs come from if nothing is said.
const SOURCE: &str = "default";

/// `POST /records?source=`: FOCUS rows, as JSON lines, a JSON list or CSV. All of
/// them or none: what is wrong is named, row by row. Rows with an `x_RowId` are put
/// under it, so that the same load again changes nothing; of the others a load
/// replaces those of its billing periods and its source.
pub fn load(request: &Request) -> Answer {
    let mut query = request.query()?;
    let source = query.text("source").length(1..=128).or(SOURCE);
    query.finish()?;
    let records = read(request)?;
    let loaded = load::write(&request.database(), &source, &records)?;
    metrics::count("records_loaded", records.len() as u64, &[]);
    Response::json(200, &loaded.to_json(&source, &records))
}

fn read(request: &Request) -> Result<Vec<Record>, Problem> {
    let text = std::str::from_utf8(request.body()).map_err(|_| no_text())?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut rows = Rows::default();
    match format(request.header("content-type"))? {
        Format::Csv => csv::read(text, &mut |line, cells| rows.take(line, cells)),
        Format::Json => json::read(text, &mut |line, cells| rows.take(line, cells)),
    }?;
    rows.finish()
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Format {
    Csv,
    Json,
}

/// JSON where nothing else is said.
fn format(content_type: Option<&str>) -> Result<Format, Problem> {
    let media_type = content_type.unwrap_or_default();
    let media_type = media_type.split(';').next().unwrap_or_default().trim();
    match media_type.to_ascii_lowercase().as_str() {
        "text/csv" | "application/csv" => Ok(Format::Csv),
        ""
        | "application/json"
        | "text/json"
        | "text/plain"
        | "application/x-ndjson"
        | "application/ndjson"
        | "application/jsonl"
        | "application/x-jsonlines"
        | "application/jsonlines"
        | "application/x-www-form-urlencoded" => Ok(Format::Json),
        _ => {
            let detail = "send application/x-ndjson, application/json or text/csv";
            let title = "Neither JSON nor CSV";
            Err(Problem::new(415, "unsupported-media-type", title).detail(detail))
        }
    }
}

/// The rows that were read, one after the other.
#[derive(Default)]
struct Rows {
    records: Vec<Record>,
    mistakes: Mistakes,
    count: usize,
}

impl Rows {
    /// Takes the row of a line. It is not kept once another is wrong.
    fn take(&mut self, line: usize, cells: Result<Cells, String>) -> Result<(), Problem> {
        if self.count == ROWS_MAX {
            let detail = format!("one load may have {ROWS_MAX} rows; send the others after it");
            return Err(Problem::new(422, "too-many-records", "Too many records").detail(detail));
        }
        let index = self.count;
        self.count += 1;
        let mut row = self.mistakes.of_row(index, line);
        match cells {
            Ok(cells) => {
                let record = Record::read(&cells, &mut row);
                self.records.extend(record);
            }
            Err(reason) => row.refuse("", "invalid", reason),
        }
        if !self.mistakes.is_empty() {
            self.records.clear();
        }
        Ok(())
    }

    fn finish(mut self) -> Result<Vec<Record>, Problem> {
        self.mistakes.refuse_twins(&self.records);
        self.mistakes.finish()?;
        match self.records.is_empty() {
            true => Err(Problem::new(422, "no-records", "No records").detail("there is no row")),
            false => Ok(self.records),
        }
    }
}

fn no_text() -> Problem {
    Problem::new(400, "invalid-text", "Not UTF-8").detail("the body must be UTF-8")
}
