//! Rows as JSON objects: one on each line, or a list of them. They are read one at a
//! time, and only the columns that are used, whose numbers are kept as written.

use hearth_plugin::prelude::*;
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::column::{Cells, Column};

/// Hands every row over with the number of its line, or why it is none.
pub fn read(
    text: &str,
    take: &mut dyn FnMut(usize, Result<Cells, String>) -> Result<(), Problem>,
) -> Result<(), Problem> {
    if text.trim_start().starts_with('[') {
        return read_list(text, take);
    }
    for (index, line) in text.lines().enumerate() {
        if !line.trim().is_empty() {
            take(index + 1, cells(line))?;
        }
    }
    Ok(())
}

/// One row.
fn cells(text: &str) -> Result<Cells, String> {
    serde_json::from_str(text).map_err(|error| match error.is_data() {
        true => "this must be an object of columns".into(),
        false => format!("this is not valid JSON, at column {}", error.column()),
    })
}

fn read_list(
    text: &str,
    take: &mut dyn FnMut(usize, Result<Cells, String>) -> Result<(), Problem>,
) -> Result<(), Problem> {
    let mut stopped = Ok(());
    let list = List {
        text,
        line: 1,
        counted: 0,
        take,
        stopped: &mut stopped,
    };
    let mut reader = serde_json::Deserializer::from_str(text);
    let read = reader.deserialize_seq(list).and_then(|()| reader.end());
    stopped?;
    read.map_err(|error| {
        let (line, column) = (error.line(), error.column());
        let detail = format!("the body is not valid JSON at line {line}, column {column}");
        Problem::new(400, "invalid-json", "Invalid JSON").detail(detail)
    })
}

/// The items of a list, and in which line each begins.
struct List<'t, 'f> {
    text: &'t str,
    line: usize,
    counted: usize,
    take: &'f mut dyn FnMut(usize, Result<Cells, String>) -> Result<(), Problem>,
    stopped: &'f mut Result<(), Problem>,
}

impl List<'_, '_> {
    fn line_of(&mut self, item: &str) -> usize {
        let offset = (item.as_ptr() as usize).saturating_sub(self.text.as_ptr() as usize);
        let passed = self.text.get(self.counted..offset).unwrap_or_default();
        self.line += passed.bytes().filter(|byte| *byte == b'\n').count();
        self.counted = self.counted.max(offset);
        self.line
    }
}

impl<'de> Visitor<'de> for List<'de, '_> {
    type Value = ();

    fn expecting(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("a list of objects")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut items: A) -> Result<(), A::Error> {
        while let Some(item) = items.next_element::<&'de RawValue>()? {
            let line = self.line_of(item.get());
            if self.stopped.is_ok() {
                *self.stopped = (self.take)(line, cells(item.get()));
            }
        }
        Ok(())
    }
}

impl<'de> Deserialize<'de> for Cells {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Columns)
    }
}

struct Columns;

impl<'de> Visitor<'de> for Columns {
    type Value = Cells;

    fn expecting(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("an object of columns")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Cells, A::Error> {
        let mut cells = Cells::default();
        while let Some(name) = members.next_key::<Name>()? {
            match name.0 {
                Some(column) => {
                    cells.give(column);
                    take(&mut cells, column, members.next_value()?);
                }
                None => drop(members.next_value::<IgnoredAny>()?),
            }
        }
        Ok(cells)
    }
}

/// The name of a member: a column that is wanted, or none.
struct Name(Option<Column>);

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Names;
        impl Visitor<'_> for Names {
            type Value = Name;

            fn expecting(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                out.write_str("the name of a column")
            }

            fn visit_str<E>(self, name: &str) -> Result<Name, E> {
                Ok(Name(Column::parse(name)))
            }
        }
        deserializer.deserialize_str(Names)
    }
}

/// Takes a cell: of a text what it says; of numbers and tags what is written there.
fn take(cells: &mut Cells, column: Column, value: &RawValue) {
    match value.get() {
        "null" => cells.set(column, None),
        text if text.starts_with('"') => cells.set(column, serde_json::from_str(text).ok()),
        _ if !column.may_be_bare() => cells.refuse(column),
        text => cells.set(column, Some(text.into())),
    }
}
