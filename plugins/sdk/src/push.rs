//! Server-sent events. A handler answers with [`hold`] and ends; the host keeps the
//! client's connection open, and [`publish`] reaches it from any host of the fleet.
//! Channels belong to the plugin and the customer. Needs the grant `push`.
//!
//! ```no_run
//! use hearth_plugin::prelude::*;
//! use hearth_plugin::push::{self, Event};
//! fn stream(_: &Request) -> Answer {
//!     Ok(push::hold(&["inbox"], None))
//! }
//! fn tell() -> Result<String, push::Error> {
//!     push::publish("inbox", &Event::new("hello").kind("greeting"))
//! }
//! ```
//!
//! A client that reconnects sends `Last-Event-ID`, and the host continues from there: a
//! handler need not do anything. If the log no longer has the events, the client gets
//! `event: reset` and reads its data again.

use crate::host::push as host;
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
    /// An event with this text.
    pub fn new(data: impl Into<String>) -> Self {
        Event {
            id: None,
            kind: None,
            data: data.into(),
        }
    }

    /// The plugin's own id, for [`hold`]'s `last_id`. Clients get the host's.
    pub fn id(mut self, id: &str) -> Self {
        self.id = Some(id.into());
        self
    }

    /// The field `event:`.
    pub fn kind(mut self, kind: &str) -> Self {
        self.kind = Some(kind.into());
        self
    }

    fn lowered(&self) -> host::Event {
        host::Event {
            id: self.id.clone(),
            kind: self.kind.clone(),
            data: self.data.clone(),
        }
    }
}

/// Why nothing was published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// Larger than an event may be.
    TooLarge,
    /// Push is unavailable. The event may be delivered all the same.
    Unavailable,
    /// A channel, id or kind that has no form on the wire.
    Invalid(String),
}

impl From<host::Error> for Error {
    fn from(error: host::Error) -> Self {
        match error {
            host::Error::TooLarge => Error::TooLarge,
            host::Error::Unavailable => Error::Unavailable,
            host::Error::Invalid(reason) => Error::Invalid(reason),
        }
    }
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

/// Publishes to a channel of the caller's customer, durably; returns the id that
/// clients get. Call it after the commit of the change that the event reports.
pub fn publish(channel: &str, event: &Event) -> Result<String, Error> {
    Ok(host::publish(channel, &event.lowered())?)
}

/// Publishes to channels of the caller's customer, all or none, in this order and for
/// the price of one; answers one id each.
pub fn publish_many(publications: &[(&str, Event)]) -> Result<Vec<String>, Error> {
    let publications: Vec<host::Publication> = publications
        .iter()
        .map(|(channel, event)| host::Publication {
            channel: (*channel).into(),
            event: event.lowered(),
        })
        .collect();
    Ok(host::publish_many(&publications)?)
}

/// An answer that becomes a stream of the events of these channels. With the last id
/// that the handler saw (the result of `publish`, or the plugin's own), later events
/// are sent first; without one, events since the client's `Last-Event-ID`, or else
/// since the handler was called. The body of the answer is sent before any event: add
/// one with [`Response::body`].
pub fn hold(channels: &[&str], last_id: Option<&str>) -> Response {
    let response = Response::new(200)
        .header("content-type", "text/event-stream")
        .header("grip-hold", "stream");
    // What a client made up never becomes another parameter of the header.
    let last_id = last_id.filter(|id| is_name(id));
    let channel = |channel: &str| match last_id {
        Some(id) => [channel, "; prev-id=", id].concat(),
        None => channel.to_owned(),
    };
    channels.iter().fold(response, |response, name| {
        response.header("grip-channel", &channel(name))
    })
}

fn is_name(id: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b',' | b';');
    !id.is_empty() && id.bytes().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn id_that_a_client_made_up_names_no_other_channel() {
        let header = |id| {
            hold(&["inbox"], Some(id))
                .get_header("grip-channel")
                .map(str::to_owned)
        };
        assert_eq!(header("psh_1").unwrap(), "inbox; prev-id=psh_1");
        for made_up in ["", "1, other", "1;x=y", "\"1\"", "1\r\nx: y"] {
            assert_eq!(header(made_up).unwrap(), "inbox", "{made_up:?}");
        }
    }
}
