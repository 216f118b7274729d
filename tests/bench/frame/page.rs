//! docs/performance.md and its picture: what is written by hand stays, and what lies
//! between two markers is the last run's.

use std::path::{Path, PathBuf};

use super::chart;
use super::report::{BENCH, HEAD, Report};
use super::row::Measurement;

fn docs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs")
}

/// Puts a report between its markers, and its picture beside the page.
pub fn publish(name: &str, report: &Report) {
    let file = docs().join("performance.md");
    let page = std::fs::read_to_string(&file).unwrap();
    let mut text = text(report);
    if name == BENCH {
        let picture = chart::svg(&report.rows, &measured(report));
        std::fs::write(docs().join("performance.svg"), picture).unwrap();
        text = format!("![How far each is from its bar](performance.svg)\n\n{text}");
    }
    let page = between(&page, name, &text).unwrap_or_else(|| {
        panic!(
            "{} has no markers `<!-- {name} -->` and `<!-- /{name} -->`",
            file.display()
        )
    });
    std::fs::write(file, page).unwrap();
}

fn measured(report: &Report) -> String {
    format!("{}; {}", report.machine, report.measured_at)
}

fn text(report: &Report) -> String {
    let line = |cells: &[String; 6]| format!("| {} |\n", cells.join(" | "));
    let rows: String = report
        .rows
        .iter()
        .map(Measurement::columns)
        .map(|row| line(&row))
        .collect();
    format!(
        "Measured on {}: {} rounds, {} s of load in each turn.\n\n{}|{}\n{rows}",
        measured(report),
        report.rounds,
        report.seconds,
        line(&HEAD.map(String::from)),
        "---|".repeat(HEAD.len())
    )
}

fn between(page: &str, name: &str, text: &str) -> Option<String> {
    let (first, last) = (format!("<!-- {name} -->"), format!("<!-- /{name} -->"));
    let (before, rest) = page.split_once(&first)?;
    let (_, after) = rest.split_once(&last)?;
    Some(format!("{before}{first}\n{text}{last}{after}"))
}

#[test]
fn what_lies_between_the_markers_is_replaced_and_nothing_else() {
    let page = "by hand\n<!-- a -->\nold\n<!-- /a -->\nmore <!-- b --><!-- /b -->";
    let wanted = "by hand\n<!-- a -->\nnew\n<!-- /a -->\nmore <!-- b --><!-- /b -->";
    assert_eq!(between(page, "a", "new\n").as_deref(), Some(wanted));
    assert_eq!(between(page, "c", "new\n"), None);
}
