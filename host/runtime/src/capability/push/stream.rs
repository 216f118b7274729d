//! A stream: the body of an answer, as one client gets it piece by piece.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::{Stream as Pieces, stream::unfold};
use tokio::time::{Instant, sleep, sleep_until};
use uuid::Uuid;

use super::frame;
use super::hub::Joining;
use super::listener::{Ending, Listener, Taken};
use super::{PushInner, Start, StreamLimit, StreamRequest};
use hearth_backend::postgres::events::{ChannelPosition, LogError, Position};

/// How long a stream that is behind waits before it asks a Postgres again that did
/// not answer.
const AGAIN: Duration = Duration::from_millis(500);

/// The client did not read: what it got is not the whole.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the client reads too slowly")]
pub struct Cut;

/// One open stream. Dropped, its place is free.
pub struct Stream {
    shared: Arc<PushInner>,
    listener: Arc<Listener>,
    /// What goes first.
    opening: Option<Bytes>,
    /// Where to read on, while it is behind.
    starts: Vec<(Uuid, Start)>,
    ended: bool,
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.shared.hub.leave(&self.listener);
    }
}

impl Stream {
    /// Begins with `opening`, which is the plugin's.
    pub(super) fn open(
        shared: Arc<PushInner>,
        hold: StreamRequest,
        opening: Bytes,
    ) -> Result<Stream, StreamLimit> {
        let starts: Vec<(Uuid, Start)> = hold
            .channels
            .into_iter()
            .map(|(name, start)| (hold.space.channel(&name), start))
            .collect();
        let joining = Joining {
            channels: starts.iter().map(|(channel, _)| *channel).collect(),
            places: places(&starts),
            space: hold.space,
            key: hold.key,
        };
        let (listener, known) = shared.hub.join(joining)?;
        let opening = first(opening, shared.config.retry_ms, known);
        Ok(Stream {
            starts: if known.is_some() { Vec::new() } else { starts },
            opening: Some(opening),
            ended: false,
            listener,
            shared,
        })
    }

    /// All pieces, for as long as the client wants them.
    pub fn pieces(self) -> impl Pieces<Item = Result<Bytes, Cut>> + Send + 'static {
        unfold(self, |mut stream| async move {
            let piece = stream.next().await?;
            Some((piece, stream))
        })
    }

    async fn next(&mut self) -> Option<Result<Bytes, Cut>> {
        if let Some(opening) = self.opening.take() {
            return Some(Ok(opening));
        }
        let beat = Instant::now() + Duration::from_millis(self.shared.config.heartbeat_ms);
        let mut late = false;
        loop {
            let known = self.shared.hub.position();
            match self.listener.take() {
                Taken::Frame(frame) => return Some(Ok(frame)),
                Taken::Ended(ending) => return self.end(ending),
                Taken::Behind(_) if late => return Some(Ok(frame::BEAT)),
                Taken::Nothing if late => return known.map(|known| Ok(frame::mark(known))),
                taken => {
                    let listener = self.listener.clone();
                    let read = tokio::select! {
                        read = self.read_on(&taken) => read,
                        () = listener.wait() => None,
                        () = sleep_until(beat) => { late = true; None }
                    };
                    if let Some(read) = read {
                        return Some(Ok(read));
                    }
                }
            }
        }
    }

    /// The last words, then the end.
    fn end(&mut self, ending: Ending) -> Option<Result<Bytes, Cut>> {
        if std::mem::replace(&mut self.ended, true) {
            return None;
        }
        self.shared.metrics.ended(ending.reason()).increment(1);
        match ending {
            Ending::Slow => Some(Err(Cut)),
            // Not all at once: another host has to take them.
            Ending::Drained => {
                let soon = self.shared.config.retry_ms;
                let retry = rand::random_range(soon..=soon.saturating_mul(3));
                Some(Ok(frame::retry(retry)))
            }
            Ending::Gone | Ending::KeyEnded => None,
        }
    }

    /// What the log has for a listener that is behind; never ends for one that is
    /// not.
    async fn read_on(&mut self, taken: &Taken) -> Option<Bytes> {
        let Taken::Behind(from) = taken else {
            return std::future::pending().await;
        };
        if self.starts.is_empty() {
            let from = |channel: &Uuid| (*channel, Start::After(*from));
            self.starts = self.listener.channels.iter().map(from).collect();
        }
        match self.page().await {
            Ok(read) => read,
            Err(error) => {
                tracing::debug!(%error, "the events that a stream missed could not be read");
                sleep(AGAIN).await;
                None
            }
        }
    }

    async fn page(&mut self) -> Result<Option<Bytes>, LogError> {
        let shared = self.shared.clone();
        let customer = self.listener.space.customer.clone();
        let _turn = shared.pages.enter(customer).await;
        let config = &shared.config;
        let placed = self.find().await?;
        let places = placed.as_deref().unwrap_or_default();
        let page = shared
            .log
            .page(places, config.page_events_max, config.page_bytes_max)
            .await?;
        let future = places.iter().any(|place| place.after > page.clock);
        let reset = match () {
            () if placed.is_none() || future => Some("unknown"),
            () if page.lost => Some("gone"),
            () => None,
        };
        if let Some(reason) = reset {
            let anew = |(channel, _): &(Uuid, Start)| (*channel, Start::After(page.clock));
            self.starts = self.starts.iter().map(anew).collect();
            shared.metrics.reset(reason).increment(1);
            return Ok(Some(frame::reset(page.clock, reason)));
        }
        self.move_to(page.reached);
        if page.complete {
            self.caught_up(page.clock);
        }
        if page.events.is_empty() {
            return Ok(Some(frame::mark(page.clock)));
        }
        let frames = page.events.iter().map(frame::event);
        let mut read = BytesMut::new();
        frames.for_each(|frame| read.extend_from_slice(&frame));
        Ok(Some(read.freeze()))
    }

    /// The places that the starts name; `None` where one is not known.
    async fn find(&mut self) -> Result<Option<Vec<ChannelPosition>>, LogError> {
        let channels: Vec<Uuid> = self.starts.iter().map(|(channel, _)| *channel).collect();
        for (_, start) in &mut self.starts {
            let Start::Named(id) = start else { continue };
            *start = match self.shared.log.find(&channels, id).await? {
                Some(position) => Start::After(position),
                None => Start::Unknown,
            };
        }
        Ok(places(&self.starts))
    }

    /// Everything up to here was sent. What a channel is known beyond it stays.
    fn move_to(&mut self, reached: Position) {
        for (_, start) in &mut self.starts {
            *start = match start {
                Start::After(after) => Start::After(reached.max(*after)),
                _ => Start::After(reached),
            };
        }
    }

    fn caught_up(&mut self, reached: Position) {
        self.shared.hub.go_live(&self.listener, reached);
        if self.listener.is_live() {
            self.starts = Vec::new();
        }
    }
}

fn places(starts: &[(Uuid, Start)]) -> Option<Vec<ChannelPosition>> {
    let place = |(channel, start): &(Uuid, Start)| match start {
        Start::After(after) => Some(ChannelPosition {
            channel: *channel,
            after: *after,
        }),
        _ => None,
    };
    starts.iter().map(place).collect()
}

/// The plugin's text, ended as an event is, and the host's own first words.
fn first(opening: Bytes, retry_ms: u64, known: Option<Position>) -> Bytes {
    let mut text = BytesMut::from(opening);
    if !text.is_empty() && !text.ends_with(b"\n\n") {
        text.extend_from_slice(b"\n\n");
    }
    text.extend_from_slice(&frame::retry(retry_ms));
    if let Some(known) = known {
        text.extend_from_slice(&frame::mark(known));
    }
    text.freeze()
}
