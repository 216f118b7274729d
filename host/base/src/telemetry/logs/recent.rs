//! The latest lines of the log, for `hearth logs`.
//!
//! They are kept as they were written, without their secrets, up to a number of bytes.
//! Readers who follow remember the number of the line that they want next: slow ones cost
//! no memory, but miss lines, and are told how many.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use crate::telemetry::{Config, LogFormat};

/// The latest lines. Cloning shares them.
#[derive(Clone)]
pub struct RecentLines {
    lines: Arc<Mutex<Lines>>,
    /// The number of the next line.
    next: Arc<watch::Sender<u64>>,
    followers: Arc<Semaphore>,
    format: LogFormat,
}

struct Lines {
    all: VecDeque<Arc<str>>,
    /// The number of the first of them.
    first: u64,
    bytes: usize,
    bytes_max: usize,
}

/// Some lines.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct ReadLines {
    pub lines: Vec<Arc<str>>,
    /// Where to go on.
    pub next: u64,
    /// Lines that were gone before they could be read.
    pub missed: u64,
}

impl RecentLines {
    pub(super) fn new(config: &Config) -> Self {
        let lines = Lines {
            all: VecDeque::new(),
            first: 0,
            bytes: 0,
            bytes_max: config.log_recent_bytes_max,
        };
        RecentLines {
            lines: Arc::new(Mutex::new(lines)),
            next: Arc::new(watch::Sender::new(0)),
            followers: Arc::new(Semaphore::new(config.log_followers_max)),
            format: config.log_format,
        }
    }

    /// Adds lines, each with its end.
    pub(super) fn add(&self, text: &str) {
        let mut lines = self.lines.lock();
        text.split_inclusive('\n').for_each(|line| lines.add(line));
        let next = lines.first + lines.all.len() as u64;
        drop(lines);
        self.next.send_replace(next);
    }

    /// The last `count` lines, of one plugin if it is named.
    pub fn last(&self, count: usize, plugin: Option<&str>) -> ReadLines {
        let lines = self.lines.lock();
        let wanted = lines.all.iter().rev();
        let wanted = wanted.filter(|line| self.is_wanted(line, plugin));
        let mut last: Vec<_> = wanted.take(count).cloned().collect();
        last.reverse();
        ReadLines {
            lines: last,
            next: lines.first + lines.all.len() as u64,
            missed: 0,
        }
    }

    /// The right to follow, unless enough readers do.
    pub fn follow(&self) -> Option<OwnedSemaphorePermit> {
        self.followers.clone().try_acquire_owned().ok()
    }

    /// Those from a number on; waits for a line where there is none yet.
    pub async fn after(&self, next: u64, plugin: Option<&str>) -> ReadLines {
        let mut written = self.next.subscribe();
        // The sender lives as long as `self`.
        let _ = written.wait_for(|written| *written > next).await;
        let lines = self.lines.lock();
        let first = next.max(lines.first);
        let skipped = usize::try_from(first - lines.first).unwrap_or(usize::MAX);
        let wanted = lines.all.iter().skip(skipped);
        let wanted = wanted.filter(|line| self.is_wanted(line, plugin));
        ReadLines {
            lines: wanted.cloned().collect(),
            next: lines.first + lines.all.len() as u64,
            missed: first - next,
        }
    }

    fn is_wanted(&self, line: &str, plugin: Option<&str>) -> bool {
        plugin.is_none_or(|plugin| is_of(self.format, line, plugin))
    }
}

impl Lines {
    /// A line that is larger than all may be is not kept.
    fn add(&mut self, line: &str) {
        self.bytes += line.len();
        self.all.push_back(line.into());
        while self.bytes > self.bytes_max {
            let gone = self.all.pop_front();
            self.bytes -= gone.map_or(self.bytes, |gone| gone.len());
            self.first += 1;
        }
    }
}

/// Whether a line names the plugin as its own.
fn is_of(format: LogFormat, line: &str, plugin: &str) -> bool {
    let (before, after) = match format {
        LogFormat::Human => (" plugin=", [' ', '\n']),
        LogFormat::Json => ("\"plugin\":\"", ['"', '"']),
    };
    let mut places = line.match_indices(before);
    places.any(|(place, _)| {
        let rest = line.get(place + before.len()..).unwrap_or_default();
        let rest = rest.strip_prefix(plugin).unwrap_or_default();
        rest.starts_with(after)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recent(bytes_max: usize) -> RecentLines {
        RecentLines::new(&Config {
            log_recent_bytes_max: bytes_max,
            ..Config::default()
        })
    }

    fn texts(read: &ReadLines) -> Vec<&str> {
        read.lines.iter().map(|line| line.trim_end()).collect()
    }

    #[test]
    fn last_lines_are_read_in_their_order() {
        let recent = recent(100);
        recent.add("1\n2\n");
        recent.add("3\n");
        assert_eq!(texts(&recent.last(2, None)), ["2", "3"]);
        assert_eq!(texts(&recent.last(9, None)), ["1", "2", "3"]);
    }

    #[tokio::test]
    async fn reader_who_is_late_is_told_how_many_lines_are_gone() {
        let recent = recent(6);
        recent.add("1\n2\n");
        let read = recent.last(9, None);
        recent.add("3\n4\n5\n");
        let read = recent.after(read.next, None).await;
        assert_eq!((texts(&read), read.missed), (vec!["3", "4", "5"], 0));
        recent.add("6\n7\n8\n9\n");
        let read = recent.after(read.next, None).await;
        assert_eq!((texts(&read), read.missed), (vec!["7", "8", "9"], 1));
    }

    #[test]
    fn lines_have_no_more_bytes_than_they_may() {
        let recent = recent(10);
        recent.add("123456\n123\n");
        assert_eq!(texts(&recent.last(9, None)), ["123"]);
        recent.add("a line that is longer\n");
        assert_eq!(texts(&recent.last(9, None)), [""; 0]);
        recent.add("4\n");
        assert_eq!(texts(&recent.last(9, None)), ["4"]);
    }

    #[test]
    fn plugin_has_the_lines_that_name_it() {
        for (format, line) in [
            (LogFormat::Human, "INFO a: b plugin=web deployment=1\n"),
            (LogFormat::Human, "INFO a: b plugin=web\n"),
            (LogFormat::Json, r#"{"plugin":"web","deployment":1}"#),
        ] {
            assert!(is_of(format, line, "web"), "{line}");
            for other in ["we", "webhooks", "b", ""] {
                assert!(!is_of(format, line, other), "{line} {other}");
            }
        }
    }
}
