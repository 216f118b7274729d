//! docs/plugins/manifest.md has every key of plugin.toml with its default, and none that
//! does not exist.

use std::collections::{BTreeMap, BTreeSet};

use hearth::plugin::manifest::Manifest;

use super::page::{Page, Row};

const PAGE: &str = "docs/plugins/manifest.md";
const TOP: &str = "Top level";
/// Tables of which there may be several.
const LISTS: [&str; 5] = [
    "response_cache",
    "queues",
    "schedule",
    "sql.statements",
    "sql.statements.columns",
];

/// Something for each key that must be there.
fn sample(row: &Row) -> &'static str {
    match (row.section.as_str(), row.key.as_str()) {
        (_, "version") => "\"1.0.0\"",
        (_, "mount") => "\"/x\"",
        (_, "world") => "\"full\"",
        (_, "access") => "\"read\"",
        (_, "type") => "\"text\"",
        (_, "ttl_ms") => "1",
        (_, "method") => "\"GET\"",
        (_, "path") => "\"/x\"",
        (_, "cron") => "\"0 0 * * *\"",
        (_, "for") => "\"none\"",
        _ => "\"x\"",
    }
}

/// A manifest of these keys, each with what is said of it.
fn manifest(value: impl Fn(&Row) -> Option<String>, more: &str) -> String {
    let rows = Page::named(PAGE).rows();
    let sections: BTreeSet<&str> = rows.iter().map(|row| row.section.as_str()).collect();
    // A key that is the name of a table is said by the table.
    let is_table = |row: &Row| {
        let path = match row.section.as_str() {
            TOP => row.key.clone(),
            section => format!("{section}.{}", row.key),
        };
        sections.contains(path.as_str())
    };
    let mut lines: BTreeMap<&str, String> = BTreeMap::new();
    for row in &rows {
        let text = lines.entry(&row.section).or_default();
        if let Some(value) = value(row).filter(|_| !is_table(row)) {
            text.push_str(&format!("{} = {value}\n", row.key));
        }
    }
    let mut text = format!("{}{more}", lines.remove(TOP).unwrap());
    for (section, lines) in lines {
        let head = match LISTS.contains(&section) {
            true => format!("[[{section}]]\n"),
            false => format!("[{section}]\n"),
        };
        text.push_str(&format!("{head}{lines}{more}"));
    }
    text
}

fn needed(row: &Row) -> Option<String> {
    row.required.then(|| sample(row).to_owned())
}

#[test]
fn every_default_is_the_one_that_holds_where_nothing_is_said() {
    let silent = Manifest::parse(&manifest(needed, "")).unwrap_or_else(|told| panic!("{told}"));
    let said = manifest(|row| row.default.clone().or_else(|| needed(row)), "");
    let said = Manifest::parse(&said).unwrap_or_else(|told| panic!("{told}"));
    assert_eq!(said, silent);
}

/// The reader of manifests names what it knows in each table.
#[test]
fn reference_has_every_key_and_no_other() {
    let told = Manifest::parse(&manifest(needed, "zz = 1\n")).unwrap_err();
    let mut known: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for mistake in told.mistakes {
        let reason = mistake.reason;
        let Some(path) = reason
            .strip_prefix("unknown field `")
            .and_then(|rest| rest.split_once("zz`"))
        else {
            panic!("{reason}");
        };
        let section = match path.0.trim_end_matches('.') {
            "" => TOP,
            section => section,
        };
        let names = path.1.trim_start_matches(" (known: ").trim_end_matches(')');
        let names = names.split(", ").map(str::to_owned).collect();
        known.insert(section.to_owned(), names);
    }
    let mut told: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for row in Page::named(PAGE).rows() {
        told.entry(row.section).or_default().insert(row.key);
    }
    assert_eq!(told, known);
}
