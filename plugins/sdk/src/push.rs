//! Server-sent events. A handler answers with [`hold`] and ends; the host keeps the
//! client's connection, and [`publish`] reaches it from any host of the fleet.
//! Channels are the plugin's and the customer's own. Wants the grant `push`.
//!
//! ```no_run
//! use hearth_plugin::prelude::*;
//! use hearth_plugin::push::{self, Event};
//! fn stream(request: &Request) -> Answer {
//!     Ok(push::hold(&["inbox"], request.header("last-event-id")))
//! }
//! fn tell() -> Result<String, push::Error> {
//!     push::publish("inbox", &Event::new("hello").kind("greeting"))
//! }
//! ```

use crate::bindings::imports::hearth::plugin::push as host;
use crate::problem::Problem;
use crate::response::Response;

/// One event, as listeners get it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    id: Option<String>,
    kind: Option<String>,
    data: String,
}

impl Event {
    /// An event with this text. The host gives it an id.
    pub fn new(data: impl Into<String>) -> Self {
        Event {
            id: None,
            kind: None,
            data: data.into(),
        }
    }

    /// What a client sends back as `Last-Event-ID`.
    pub fn id(mut self, id: &str) -> Self {
        self.id = Some(id.into());
        self
    }

    /// The field `event:`.
    pub fn kind(mut self, kind: &str) -> Self {
        self.kind = Some(kind.into());
        self
    }
}

/// Why an event was not published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// Larger than an event may be.
    TooLarge,
    /// The fleet cannot be told now.
    Unavailable,
    /// A channel, id or kind that has no form on the wire.
    Invalid(String),
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        match error {
            Error::Unavailable => Problem::new(503, "unavailable", "Push unavailable")
                .detail("try again in a moment")
                .header("retry-after", "1"),
            Error::TooLarge => Problem::new(413, "event-too-large", "Event too large"),
            Error::Invalid(_) => Problem::internal(),
        }
    }
}

/// Publishes to a channel of the caller's customer; answers the event's id.
pub fn publish(channel: &str, event: &Event) -> Result<String, Error> {
    let event = host::Event {
        id: event.id.clone(),
        kind: event.kind.clone(),
        data: event.data.clone(),
    };
    host::publish(channel, &event).map_err(|error| match error {
        host::Error::TooLarge => Error::TooLarge,
        host::Error::Unavailable => Error::Unavailable,
        host::Error::Invalid(reason) => Error::Invalid(reason),
    })
}

/// An answer that becomes a stream of these channels' events. With the last id that
/// the handler saw, or that the client sent as `Last-Event-ID`, what came since is
/// sent first. The headers are those of GRIP, with `prev-id` for that id.
pub fn hold(channels: &[&str], last_id: Option<&str>) -> Response {
    let response = Response::new(200)
        .header("content-type", "text/event-stream")
        .header("grip-hold", "stream");
    let channel = |channel: &str| match last_id {
        Some(id) => [channel, "; prev-id=", id].concat(),
        None => channel.to_owned(),
    };
    channels.iter().fold(response, |response, name| {
        response.header("grip-channel", &channel(name))
    })
}
