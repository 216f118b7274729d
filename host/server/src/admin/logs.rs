//! The latest lines of the log, and those that follow.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use bytes::Bytes;
use http::Response;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::Frame;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout;
use tokio_stream::Stream;

use super::api::COME_AGAIN;
use super::{Admin, AdminAnswer, whole};
use crate::edge::problem::Problem;
use crate::server::Edge;
use hearth_base::telemetry::RecentLines;

/// Lines that are shown where the request does not say how many.
const LINES: usize = 100;

/// How often a follower looks whether the host drains.
const LOOK: Duration = Duration::from_secs(1);

/// What a request wants.
#[derive(Debug, PartialEq, Eq)]
struct Wanted {
    plugin: Option<String>,
    lines: usize,
    follows: bool,
}

/// Someone who reads what is written from now on.
struct Follower {
    recent: RecentLines,
    edge: Arc<Edge>,
    plugin: Option<String>,
    next: u64,
    _permit: OwnedSemaphorePermit,
}

impl Admin {
    /// Answers `/logs`: plain text, each line as the log has it.
    pub(super) fn logs(&self, query: &str) -> Result<AdminAnswer, Problem> {
        let Wanted {
            plugin,
            lines,
            follows,
        } = wanted(query)?;
        let read = self.recent.last(lines, plugin.as_deref());
        let text = Bytes::from(read.lines.concat());
        if !follows {
            return Ok(plain(whole(Response::new(Full::new(text)))));
        }
        let permit = self.recent.follow().ok_or_else(too_many)?;
        let follower = Follower {
            recent: self.recent.clone(),
            edge: self.edge.clone(),
            plugin,
            next: read.next,
            _permit: permit,
        };
        let body = StreamBody::new(frames(text, follower));
        Ok(plain(Response::new(body.boxed_unsync())))
    }
}

fn plain(mut answer: AdminAnswer) -> AdminAnswer {
    let headers = answer.headers_mut();
    let kind = HeaderValue::from_static("text/plain; charset=utf-8");
    headers.insert(CONTENT_TYPE, kind);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}

fn frames(
    first: Bytes,
    follower: Follower,
) -> impl Stream<Item = Result<Frame<Bytes>, Infallible>> + Send + 'static {
    futures_util::stream::unfold((Some(first), follower), |(first, mut follower)| async {
        let text = match first {
            Some(first) => first,
            None => follower.more().await?,
        };
        Some((Ok(Frame::data(text)), (None, follower)))
    })
}

impl Follower {
    /// What is written next. `None` once the host drains: it would wait for the reader.
    async fn more(&mut self) -> Option<Bytes> {
        loop {
            let read = self.recent.after(self.next, self.plugin.as_deref());
            let read = timeout(LOOK, read).await;
            if let Ok(read) = read {
                self.next = read.next;
                let mut text = read.lines.concat();
                if read.missed > 0 {
                    let note = format!("{} lines of this log were missed\n", read.missed);
                    text.insert_str(0, &note);
                }
                if !text.is_empty() {
                    return Some(Bytes::from(text));
                }
            }
            if self.edge.draining.load(Relaxed) {
                return None;
            }
        }
    }
}

fn wanted(query: &str) -> Result<Wanted, Problem> {
    let mut wanted = Wanted {
        plugin: None,
        lines: LINES,
        follows: false,
    };
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        match &*name {
            "plugin" => wanted.plugin = Some(value.into_owned()),
            "lines" => {
                let lines = value.parse();
                wanted.lines = lines
                    .map_err(|_| Problem::bad_request("`lines` must be a number of lines."))?;
            }
            "follow" => wanted.follows = value == "true",
            _ => {}
        }
    }
    Ok(wanted)
}

fn too_many() -> Problem {
    let mut problem = Problem::overloaded(COME_AGAIN);
    problem.detail = "too many followers of the log (telemetry.log_followers_max)".into();
    problem
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn query_says_which_lines_are_wanted() {
        let expected = Wanted {
            plugin: Some("tickets".into()),
            lines: 7,
            follows: true,
        };
        let read = wanted("plugin=tickets&lines=7&follow=true");
        assert_eq!(read.ok(), Some(expected));
        assert_eq!(wanted("").unwrap().lines, LINES);
        assert!(wanted("lines=many").is_err());
    }
}
