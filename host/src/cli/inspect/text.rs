//! What a plugin says about itself, for people.

use std::io::{self, Write};

use super::{Field, InspectedStatement, Inspection, Section};
use crate::cli::admin::table::line;

/// What is shown of a statement's text.
const TEXT_BYTES_MAX: usize = 80;

/// Writes it; of what there is none, nothing is said.
pub fn write(inspection: &Inspection, out: &mut dyn Write) -> io::Result<()> {
    let head = format!("{} bytes, {}", inspection.bytes, inspection.digest);
    let all = [
        ("manifest", fields(&inspection.manifest)),
        ("file", vec![head]),
        (
            "sections",
            inspection.sections.iter().map(section).collect(),
        ),
        ("imports", inspection.imports.clone()),
        ("exports", inspection.exports.clone()),
        ("grants", inspection.grants.clone()),
        ("SQL functions", inspection.functions.clone()),
        (
            "tables that all customers share",
            inspection.shared_tables.clone(),
        ),
        ("limits", fields(&inspection.limits)),
        ("instances", fields(&inspection.instances)),
        ("consumed queues", inspection.queues.clone()),
        ("schedules", inspection.schedules.clone()),
        ("routes", inspection.routes.clone()),
        (
            "statements",
            inspection.statements.iter().map(statement).collect(),
        ),
        ("migrations", inspection.migrations.clone()),
    ];
    for (title, lines) in all.iter().filter(|(_, lines)| !lines.is_empty()) {
        writeln!(out, "{title}")?;
        for text in lines {
            writeln!(out, "  {}", line(text))?;
        }
    }
    Ok(())
}

fn fields(fields: &[Field]) -> Vec<String> {
    let text = |field: &Field| format!("{}: {}", field.name, field.value);
    fields.iter().map(text).collect()
}

fn section(section: &Section) -> String {
    format!("{:>9} {}", section.bytes, section.name)
}

/// The name, and how the text begins; all of it is in the JSON.
fn statement(statement: &InspectedStatement) -> String {
    let words = statement.text.split_whitespace().collect::<Vec<_>>();
    let text = words.join(" ");
    let end = text.floor_char_boundary(TEXT_BYTES_MAX.min(text.len()));
    let more = if end < text.len() { "..." } else { "" };
    let (access, name) = (statement.access, &statement.name);
    format!(
        "{access:<5} {name}: {}{more}",
        text.get(..end).unwrap_or_default()
    )
}
