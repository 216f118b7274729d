//! What a deploy tells while it goes on, one line a step, and how it ended.

use std::time::Instant;

use serde::Serialize;
use tokio::sync::mpsc;

use hearth_runtime::capability::sql::Scan;
use hearth_runtime::capability::sql::gate::Definition;

/// A line of a deploy's report.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub enum Line {
    Step {
        step: &'static str,
        ms: u64,
        note: String,
    },
    Ended(DeployResult),
}

/// The last line.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "result", rename_all = "lowercase")]
pub enum DeployResult {
    Serving(Serving),
    Refused(Rejected),
}

#[derive(Clone, Debug, Serialize)]
pub struct Serving {
    pub plugin: String,
    pub number: u64,
    pub label: String,
    pub version: String,
    pub digest: String,
}

/// Why a deploy stopped, and at which step. What served before serves on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Rejected {
    /// Empty where the file does not tell.
    pub plugin: String,
    pub step: &'static str,
    pub reasons: Vec<String>,
    /// What it newly asks for and nobody approved: grants, `function:touch@sha256:…`,
    /// `shared:country` and `scan:all_notes@sha256:…`.
    pub asks: Vec<String>,
    /// The functions among them, with their bodies.
    pub functions: Vec<Definition>,
    /// The statements among them that read all rows of a customer, with their plans.
    pub scans: Vec<Scan>,
}

impl Rejected {
    pub fn new(plugin: &str, step: &'static str, reasons: Vec<String>) -> Rejected {
        Rejected {
            plugin: plugin.to_string(),
            step,
            reasons,
            asks: Vec::new(),
            functions: Vec::new(),
            scans: Vec::new(),
        }
    }

    pub fn because(plugin: &str, step: &'static str, reason: impl ToString) -> Rejected {
        Rejected::new(plugin, step, vec![reason.to_string()])
    }
}

/// How many lines wait for a client that reads slowly; a deploy has fewer.
pub const LINES_MAX: usize = 64;

/// Where the lines go. A client that went away stops no deploy.
pub struct Steps {
    lines: Option<mpsc::Sender<Line>>,
    since: Instant,
}

impl Steps {
    pub fn reporting(lines: mpsc::Sender<Line>) -> Steps {
        Steps {
            lines: Some(lines),
            since: Instant::now(),
        }
    }

    /// At the host's start nobody listens.
    pub fn silent() -> Steps {
        Steps {
            lines: None,
            since: Instant::now(),
        }
    }

    pub fn done(&mut self, step: &'static str, note: impl Into<String>) {
        let ms = u64::try_from(self.since.elapsed().as_millis()).unwrap_or(u64::MAX);
        let note = note.into();
        tracing::debug!(step, ms, note, "a step of a deploy is done");
        self.send(Line::Step { step, ms, note });
        self.since = Instant::now();
    }

    pub fn end(&self, ended: DeployResult) {
        self.send(Line::Ended(ended));
    }

    fn send(&self, line: Line) {
        if let Some(lines) = &self.lines {
            let _ = lines.try_send(line);
        }
    }
}

/// The text without characters that move the cursor or hide what stands there:
/// names and reasons come from files that strangers made.
pub fn plain(text: &str) -> String {
    let hidden = |c: char| {
        (c.is_control() && !matches!(c, '\n' | '\t'))
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.chars()
        .map(|c| if hidden(c) { '\u{fffd}' } else { c })
        .collect()
}
