//! The page of metrics in Prometheus's text format, for families that the registry does
//! not keep: those whose series end with what they are about, and those that are read
//! only when somebody asks.

use std::fmt::{Display, Write};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use super::distribution::Distribution;

/// Writes families of its own onto the page, as they are at that moment.
pub trait MetricsSource: Send + Sync {
    fn write(&self, page: &mut MetricsPage);
}

/// All that write onto a page. Cloning shares them.
#[derive(Clone, Default)]
pub struct Sources {
    all: Arc<Mutex<Vec<Weak<dyn MetricsSource>>>>,
}

impl Sources {
    /// Has it write for as long as somebody else keeps it.
    pub fn add<S: MetricsSource + 'static>(&self, source: &Arc<S>) {
        let source: Weak<S> = Arc::downgrade(source);
        self.all.lock().push(source);
    }

    /// The text, with what all of them have to say behind it.
    pub fn behind(&self, text: String) -> String {
        let mut page = MetricsPage { text };
        let all = self.all.lock().clone();
        for source in all.iter().filter_map(Weak::upgrade) {
            source.write(&mut page);
        }
        page.text
    }
}

/// The kind of a family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FamilyKind {
    Counter,
    Gauge,
    Histogram,
}

/// A label and its value. Values are names that the host has checked (of plugins,
/// statements and the host's own things): none has a character that would want an
/// escape.
pub type Label<'l> = (&'l str, &'l str);

/// The text, family by family.
#[derive(Default)]
pub struct MetricsPage {
    text: String,
}

impl MetricsPage {
    /// Begins a family. All its series follow before the next one begins.
    pub fn family(&mut self, name: &str, kind: FamilyKind, help: &str) {
        let kind = match kind {
            FamilyKind::Counter => "counter",
            FamilyKind::Gauge => "gauge",
            FamilyKind::Histogram => "histogram",
        };
        self.line(format_args!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
    }

    pub fn sample(&mut self, name: &str, labels: &[Label<'_>], value: impl Display) {
        let labels = braced(labels);
        self.line(format_args!("{name}{labels} {value}\n"));
    }

    pub fn histogram(&mut self, name: &str, labels: &[Label<'_>], of: &Distribution) {
        let seen = of.seen();
        let bucket = format!("{name}_bucket");
        for (bound, count) in seen.buckets {
            let bound = bound.map_or_else(|| "+Inf".to_owned(), |bound| bound.to_string());
            let all: Vec<Label<'_>> = labels.iter().copied().chain([("le", &*bound)]).collect();
            self.sample(&bucket, &all, count);
        }
        self.sample(&format!("{name}_sum"), labels, seen.sum);
        self.sample(&format!("{name}_count"), labels, seen.count);
    }

    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        // Writing to a String does not fail.
        let _ = self.text.write_fmt(line);
    }
}

fn braced(labels: &[Label<'_>]) -> String {
    if labels.is_empty() {
        return String::new();
    }
    let each = labels
        .iter()
        .map(|(name, value)| format!("{name}=\"{value}\""));
    format!("{{{}}}", each.collect::<Vec<_>>().join(","))
}
