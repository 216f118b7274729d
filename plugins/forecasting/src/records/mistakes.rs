//! The errors in the rows of a load, and the warnings about values that were changed.

use std::collections::HashMap;

use hearth_plugin::prelude::*;
use hearth_plugin::{FieldError, problem::Location};

use super::record::Record;

/// Mistakes that are named; the rest would only grow the answer.
const MISTAKES_MAX: usize = 100;
const NAME_TWICE: &str = "given_twice";
/// Warnings that are named.
const WARNINGS_MAX: usize = 20;

/// What is wrong with the rows of a load.
#[derive(Default)]
pub struct Mistakes {
    errors: Vec<FieldError>,
    count: usize,
    warnings: Warnings,
}

/// What was changed in rows so that they could be kept.
#[derive(Default)]
pub struct Warnings {
    named: Vec<(String, String)>,
    count: usize,
}

/// What is wrong with one row.
pub struct RowMistakes<'m> {
    mistakes: &'m mut Mistakes,
    index: usize,
    line: usize,
}

impl Mistakes {
    pub fn of_row(&mut self, index: usize, line: usize) -> RowMistakes<'_> {
        RowMistakes {
            mistakes: self,
            index,
            line,
        }
    }

    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Refuses rows that have the id of an earlier one: only one could be kept.
    pub fn refuse_twins(&mut self, records: &[Record]) {
        let mut first = HashMap::new();
        for (index, record) in records.iter().enumerate() {
            let Some(id) = &record.row_id else {
                continue;
            };
            if let Some(earlier) = first.get(id) {
                let detail = format!("the row {earlier} has the same id");
                self.push(index, "x_RowId", "repeated", detail);
            } else {
                first.insert(id, index);
            }
        }
    }

    /// 422 where anything was wrong; else what was changed.
    pub fn finish(self) -> Result<Warnings, Problem> {
        if self.is_empty() {
            return Ok(self.warnings);
        }
        let detail = match self.count > self.errors.len() {
            true => format!(
                "nothing was loaded: {} mistakes, of which these are the first {MISTAKES_MAX}",
                self.count
            ),
            false => "nothing was loaded".into(),
        };
        Err(Problem::invalid_fields(self.errors).detail(detail))
    }

    fn push(&mut self, index: usize, column: &str, code: &'static str, detail: String) {
        self.count += 1;
        if self.errors.len() < MISTAKES_MAX {
            self.errors.push(FieldError {
                location: Location::Pointer(pointer(index, column)),
                code,
                detail,
            });
        }
    }
}

impl Warnings {
    /// The first of them, and how many there are.
    pub fn to_json(&self) -> (Value, usize) {
        let named = self.named.iter();
        let named = named.map(|(pointer, detail)| json!({"pointer": pointer, "detail": detail}));
        (named.collect(), self.count)
    }
}

impl RowMistakes<'_> {
    /// Names a mistake by the row's index, from 0, and its column.
    pub fn refuse(&mut self, column: &str, code: &'static str, detail: impl Into<String>) {
        let detail = format!("line {}: {}", self.line, detail.into());
        self.mistakes.push(self.index, column, code, detail);
    }

    /// Says that the row is kept, but not as it came.
    pub fn warn(&mut self, column: &str, detail: impl Into<String>) {
        let warnings = &mut self.mistakes.warnings;
        warnings.count += 1;
        if warnings.named.len() < WARNINGS_MAX {
            let detail = format!("line {}: {}", self.line, detail.into());
            warnings.named.push((pointer(self.index, column), detail));
        }
    }

    /// Names a mistake for which the body as a whole is not read.
    pub fn refuse_twice(&mut self, column: &str, detail: &str) {
        self.refuse(column, NAME_TWICE, detail);
    }

    pub fn count(&self) -> usize {
        self.mistakes.count
    }
}

/// What is to be said of a JSON body: 400 where one of its objects has a name twice.
pub fn of_json(problem: Problem) -> Problem {
    let errors = problem.field_errors();
    match errors.iter().find(|error| error.code == NAME_TWICE) {
        Some(error) => Problem::new(400, "name-given-twice", "Name given twice")
            .detail(format!("nothing was loaded: {}", location_of(error))),
        None => problem,
    }
}

fn location_of(error: &FieldError) -> String {
    match &error.location {
        Location::Pointer(pointer) => format!("{pointer}, {}", error.detail),
        Location::Parameter(_) => error.detail.clone(),
    }
}

fn pointer(index: usize, column: &str) -> String {
    let separator = if column.is_empty() { "" } else { "/" };
    format!("/{index}{separator}{column}")
}
