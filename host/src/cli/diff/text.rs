//! A difference for people.

use std::io::{self, Write};

use super::compare::{Change, Diff, Migrations, Named, Scans, Statements};
use crate::cli::admin::table::{digest, line};

/// Writes a difference; what did not change is not named.
pub fn write(diff: &Diff, out: &mut dyn Write) -> io::Result<()> {
    if diff.same {
        return writeln!(out, "no difference");
    }
    let sections = [
        ("manifest", changes(&diff.manifest)),
        ("grants", named(&diff.grants)),
        ("SQL functions", functions(diff)),
        (
            "tables that all customers share",
            named(&diff.shared_tables),
        ),
        ("limits", changes(&diff.limits)),
        ("instances", changes(&diff.instances)),
        ("consumed queues", named(&diff.queues)),
        ("schedules", named(&diff.schedules)),
        ("routes", named(&diff.routes)),
        ("statements", statements(&diff.statements)),
        (
            "statements that read all rows of a customer",
            scans(&diff.scans),
        ),
        ("migrations", migrations(&diff.migrations)),
    ];
    for (title, lines) in sections.iter().filter(|(_, lines)| !lines.is_empty()) {
        writeln!(out, "{title}")?;
        for text in lines {
            writeln!(out, "  {}", line(text))?;
        }
    }
    write_file(diff, out)
}

/// The file itself, last: it differs whenever anything does, the code included.
fn write_file(diff: &Diff, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "file")?;
    if let Some(Change { before, after, .. }) = &diff.bytes {
        writeln!(out, "  ~ size: {} -> {} bytes", value(before), value(after))?;
    }
    if let Some(Change { before, after, .. }) = &diff.digest {
        let (before, after) = (digest(value(before)), digest(value(after)));
        writeln!(out, "  ~ digest: {before} -> {after}")?;
    }
    Ok(())
}

fn value(value: &Option<String>) -> &str {
    value.as_deref().unwrap_or("not given")
}

fn changes(changes: &[Change]) -> Vec<String> {
    let text = |change: &Change| {
        let (before, after) = (value(&change.before), value(&change.after));
        format!("~ {}: {before} -> {after}", change.name)
    };
    changes.iter().map(text).collect()
}

fn named(named: &Named) -> Vec<String> {
    let added = named.added.iter().map(|name| format!("+ {name}"));
    let removed = named.removed.iter().map(|name| format!("- {name}"));
    let changed = named.changed.iter().map(|name| format!("~ {name}"));
    added.chain(removed).chain(changed).collect()
}

/// Names, and of what came or changed every line: an operator approves just that.
fn functions(diff: &Diff) -> Vec<String> {
    let mut lines = named(&diff.functions);
    for body in &diff.bodies {
        lines.push(format!("the body of {}:", body.approval));
        lines.extend(body.text.lines().map(|text| format!("    {text}")));
    }
    lines
}

fn statements(statements: &Statements) -> Vec<String> {
    let mut lines = Vec::new();
    for (sign, list) in [("+", &statements.added), ("-", &statements.removed)] {
        let shown =
            |one: &super::compare::Statement| format!("{sign} {:<5} {}", one.access, one.line);
        lines.extend(list.iter().map(shown));
    }
    for retyped in &statements.changed {
        lines.push(format!("~ {}", retyped.line));
        let inner = changes(&retyped.changes);
        lines.extend(inner.iter().map(|text| format!("    {text}")));
    }
    lines
}

/// What newly reads so is shown with its plan: an operator approves it.
fn scans(scans: &Scans) -> Vec<String> {
    let mut lines = Vec::new();
    for scan in &scans.added {
        lines.push(format!("+ {}", scan.approval));
        let shown = scan.text.lines().chain(scan.plan.lines());
        lines.extend(shown.map(|text| format!("    {text}")));
    }
    let removed = scans.removed.iter().map(|approval| format!("- {approval}"));
    lines.extend(removed);
    let unjudged = scans.unjudged.iter();
    lines.extend(unjudged.map(|name| format!("? {name}: unknown until its migrations have run")));
    lines
}

fn migrations(migrations: &Migrations) -> Vec<String> {
    let added = migrations.added.iter().map(|name| format!("+ {name}"));
    let removed = migrations
        .removed
        .iter()
        .map(|name| format!("- {name}: what it did stays in the database"));
    let changed = migrations
        .changed
        .iter()
        .map(|name| format!("! {name}: its text changed; where it has run, a deploy refuses that"));
    added.chain(removed).chain(changed).collect()
}
