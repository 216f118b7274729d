//! How far a run is, on standard error: a bar on a terminal, elsewhere a line
//! now and then.

use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use super::tally::LoadCounts;

/// Between two lines where there is no terminal.
const LINE: Duration = Duration::from_secs(5);

const TEMPLATE: &str = "{bar:40} {pos}/{len}  {per_sec}  {msg}";

/// Shows how far a run is.
pub enum Progress {
    Bar(ProgressBar),
    Lines { requests: u64, next: Instant },
}

impl Progress {
    pub fn new(requests: u64) -> Progress {
        match std::io::stderr().is_terminal() {
            true => Progress::Bar(bar(requests)),
            false => Progress::Lines {
                requests,
                next: Instant::now() + LINE,
            },
        }
    }

    pub fn show(&mut self, tally: &LoadCounts) {
        let failed = tally.done - tally.succeeded;
        match self {
            Progress::Bar(bar) => {
                bar.set_position(tally.done);
                bar.set_message(format!("{failed} failed"));
            }
            Progress::Lines { requests, next } if Instant::now() >= *next => {
                eprintln!(
                    "hearth: {} of {requests} requests done, {failed} failed",
                    tally.done
                );
                *next = Instant::now() + LINE;
            }
            Progress::Lines { .. } => {}
        }
    }

    pub fn end(self) {
        if let Progress::Bar(bar) = self {
            bar.finish_and_clear();
        }
    }
}

fn bar(requests: u64) -> ProgressBar {
    let style = ProgressStyle::with_template(TEMPLATE);
    let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(requests).with_style(style)
}
