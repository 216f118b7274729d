//! `/records`: loads costs and deletes them.

mod body;
mod column;
mod csv;
mod instant;
mod json;
mod load;
mod mistakes;
mod part;
mod put;
mod record;
mod tags;
mod target;

#[cfg(test)]
mod tests;

use hearth_plugin::prelude::*;

use body::Format;
use column::Cells;
use mistakes::{Mistakes, Warnings};
use record::Record;
use target::Target;

/// Rows of one request. More come in parts.
const ROWS_MAX: usize = 20_000;

/// `POST /records`: FOCUS rows, as JSON lines, a JSON list or CSV. All of them or
/// none: what is wrong is named, row by row. Rows with an `x_RowId` are put under it,
/// so that the same load again changes nothing; what the others replace, and whether
/// they wait for further parts, the query says.
pub fn load(request: &Request) -> Answer {
    let target = Target::read(request.query()?)?;
    let (records, warnings) = read(request, &target)?;
    let mut loaded = load::write(&request.database(), &target, &records)?;
    metrics::count("records_loaded", records.len() as u64, &[]);
    let (named, count) = warnings.to_json();
    if let Some(members) = loaded.as_object_mut() {
        members.insert("warnings".into(), named);
        members.insert("warning_count".into(), count.into());
    }
    Response::json(200, &loaded)
}

/// `DELETE /records?source=&billing_period=`: deletes what a source has loaded of a
/// billing period, including rows with an `x_RowId`.
pub fn delete(request: &Request) -> Answer {
    let mut query = request.query()?;
    let source = target::source(&mut query);
    let period = target::billing_period(&mut query).required();
    query.finish()?;
    Response::json(200, &load::remove(&request.database(), &source, period)?)
}

fn read(request: &Request, target: &Target) -> Result<(Vec<Record>, Warnings), Problem> {
    let said = body::said(request.header("content-type"))?;
    let text = body::text(request.body())?;
    let format = body::format(said, text)?;
    let mut rows = Rows::new(target);
    match format {
        // A file without a byte says that there is nothing, where it is said of what.
        Format::Csv if text.trim().is_empty() && target.billing_period.is_some() => Ok(()),
        Format::Csv => csv::read(text, &mut |line, cells| rows.take(line, cells)),
        Format::Json if text.trim().is_empty() && target.billing_period.is_none() => Err(no_body()),
        Format::Json => json::read(text, &mut |line, cells| rows.take(line, cells)),
    }?;
    rows.finish().map_err(|problem| match format {
        Format::Json => mistakes::of_json(problem),
        Format::Csv => problem,
    })
}

/// The rows that were read, one after the other.
struct Rows<'t> {
    target: &'t Target,
    records: Vec<Record>,
    mistakes: Mistakes,
    count: usize,
}

impl<'t> Rows<'t> {
    fn new(target: &'t Target) -> Self {
        Rows {
            target,
            records: Vec::new(),
            mistakes: Mistakes::default(),
            count: 0,
        }
    }

    /// Takes the row of a line. It is not kept once another is wrong.
    fn take(&mut self, line: usize, cells: Result<Cells, String>) -> Result<(), Problem> {
        if self.count == ROWS_MAX {
            return Err(too_many());
        }
        let index = self.count;
        self.count += 1;
        let mut row = self.mistakes.of_row(index, line);
        match cells {
            Ok(cells) => {
                let record = Record::read(&cells, &mut row);
                if let Some(record) = &record {
                    self.target.check(record, &mut row);
                }
                self.records.extend(record);
            }
            Err(reason) => row.refuse("", "invalid", reason),
        }
        if !self.mistakes.is_empty() {
            self.records.clear();
        }
        Ok(())
    }

    fn finish(mut self) -> Result<(Vec<Record>, Warnings), Problem> {
        self.mistakes.refuse_twins(&self.records);
        let warnings = self.mistakes.finish()?;
        Ok((self.records, warnings))
    }
}

fn too_many() -> Problem {
    let detail = format!(
        "too many rows: one request may have at most {ROWS_MAX}, and nothing was loaded; send the \
         file in parts to POST /records?load=ID&part=1, part=2 and so on, the same ID of your own \
         with each, and last=true with the last: then they are loaded together"
    );
    Problem::new(422, "too-many-records", "Too many records").detail(detail)
}

fn no_body() -> Problem {
    let detail = "the body is empty; a file without rows is [], or a CSV header alone";
    Problem::new(422, "no-records", "No records").detail(detail)
}
