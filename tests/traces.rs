//! Traces: one from a request to the last thing that came of it, for a collector that
//! speaks OTLP; nothing of what customers sent is in them.

mod hop;
mod limits;
mod outside;
mod sampling;
mod tree;

use serde_json::Value;

use crate::harness::collector::{CollectedSpan, Collector};
use crate::harness::host::Host;

/// What a client says of its trace.
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";

/// With these flags.
fn traceparent(flags: &str) -> String {
    format!("00-{TRACE}-{PARENT}-{flags}")
}

/// The lines of the log with that target.
fn lines(host: &Host, target: &str) -> Vec<Value> {
    let log = host.log();
    let lines = log
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok());
    lines
        .filter(|line: &Value| line["target"] == target)
        .collect()
}

/// The names from a span up to the one that began here, that one last.
fn ancestors(spans: &[CollectedSpan], of: &CollectedSpan) -> Vec<String> {
    let mut names = vec![of.name().to_owned()];
    let mut parent = of.parent();
    while let Some(span) = spans.iter().find(|span| span.id() == parent) {
        names.push(span.name().to_owned());
        parent = span.parent();
    }
    names
}

fn named<'s>(spans: &'s [CollectedSpan], name: &str) -> &'s CollectedSpan {
    let found = spans.iter().find(|span| span.name() == name);
    found.unwrap_or_else(|| panic!("no {name}: {:?}", names(spans)))
}

fn names(spans: &[CollectedSpan]) -> Vec<&str> {
    spans.iter().map(CollectedSpan::name).collect()
}

/// Whether all of that name have come.
async fn until_named(collector: &Collector, name: &str, count: usize) {
    crate::harness::postgres::until(async || {
        let spans = collector.spans();
        names(&spans).iter().filter(|one| **one == name).count() >= count
    })
    .await;
}
