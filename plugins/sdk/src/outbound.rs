//! Outbound HTTP requests, over the host's connections. Each destination needs a grant,
//! such as `outbound:https://*` (any host at port 443; `https://*:*` is any port, too),
//! and the host blocks addresses that plugins may not reach, whatever name leads to
//! them. Redirects are not followed.
//!
//! ```no_run
//! use std::time::Duration;
//! use hearth_plugin::outbound::{self, Request};
//! # fn example() -> Result<(), outbound::Error> {
//! let answer = Request::new("POST", "https://example.com/hook")
//!     .header("content-type", "application/json")
//!     .body(b"{}".to_vec())
//!     .timeout(Duration::from_secs(15))
//!     .max_response_bytes(16 * 1024)
//!     .send()?;
//! assert!(answer.is_success());
//! # Ok(())
//! # }
//! ```

use std::time::Duration;

use crate::host::outbound as host;

/// One request, to be sent.
#[derive(Clone, Debug)]
pub struct Request {
    inner: host::Request,
    options: host::Options,
    body_ms: u64,
}

impl Request {
    /// A request without a body; at most ten seconds and an answer of 1 MiB.
    pub fn new(method: &str, url: &str) -> Self {
        Request {
            inner: host::Request {
                method: method.into(),
                url: url.into(),
                headers: Vec::new(),
                body: Vec::new(),
            },
            options: host::Options {
                timeout_ms: 10_000,
                max_response_bytes: 1 << 20,
            },
            body_ms: u64::MAX,
        }
    }

    /// As a test sees what a handler sends.
    #[cfg(not(target_arch = "wasm32"))]
    pub(crate) fn from_host(inner: host::Request, options: host::Options) -> Self {
        Request {
            inner,
            options,
            body_ms: u64::MAX,
        }
    }

    /// `GET`, `POST` and so on.
    pub fn method(&self) -> &str {
        &self.inner.method
    }

    /// Where it goes.
    pub fn url(&self) -> &str {
        &self.inner.url
    }

    /// The bytes of its body.
    pub fn bytes(&self) -> &[u8] {
        &self.inner.body
    }

    /// The first header of a name, where it is text.
    pub fn get_header(&self, name: &str) -> Option<&str> {
        let is_own = |(own, _): &&(String, Vec<u8>)| own.eq_ignore_ascii_case(name);
        let (_, value) = self.inner.headers.iter().find(is_own)?;
        std::str::from_utf8(value).ok()
    }

    /// Adds a header.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        let header = (name.into(), value.as_bytes().to_vec());
        self.inner.headers.push(header);
        self
    }

    /// What is sent after the headers.
    pub fn body(mut self, body: Vec<u8>) -> Self {
        self.inner.body = body;
        self
    }

    /// For everything, from the look-up of the name to the last byte.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.options.timeout_ms = millis(timeout);
        self
    }

    /// For the answer's body, from its head on, where [`Request::send_partial`] sends it.
    pub fn body_timeout(mut self, timeout: Duration) -> Self {
        self.body_ms = millis(timeout);
        self
    }

    /// A longer answer is [`Error::TooLarge`].
    pub fn max_response_bytes(mut self, bytes: u64) -> Self {
        self.options.max_response_bytes = bytes;
        self
    }

    /// Whether it would be sent, as far as the host knows without sending it: its
    /// method, its URL and the grant for it, an address in it, its headers and its body.
    /// No name is looked up, and no request of the call is used up.
    pub fn check(&self) -> Result<(), Vec<Refusal>> {
        let refusals = host::check(&self.inner).err();
        let refusals = refusals.map(|all| all.into_iter().map(Refusal::from).collect());
        refusals.map_or(Ok(()), Err)
    }

    /// Sends it and waits for the whole answer.
    pub fn send(&self) -> Result<Answer, Error> {
        Ok(host::send(&self.inner, self.options)?.into())
    }

    /// Sends it for whom the status is what counts: once the answer's head has arrived,
    /// it is no error whatever becomes of its body.
    pub fn send_partial(&self) -> Result<Partial, Error> {
        let options = host::PartialOptions {
            whole: self.options,
            body_ms: self.body_ms,
        };
        let partial = host::send_partial(&self.inner, options)?;
        Ok(Partial {
            answer: partial.response.into(),
            cut: partial.cut.map(Error::from),
        })
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// One reason why a request would not be sent, with a text for its author.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The method cannot be sent.
    Method(String),
    /// The URL cannot be sent to.
    Url(String),
    /// No grant leads there.
    Denied(String),
    /// The URL's host is an address that plugins may not reach.
    BlockedAddress(String),
    /// The header of this name, and what is wrong with it.
    Header(String, String),
    /// All headers together.
    Headers(String),
    /// The body.
    Body(String),
}

impl From<host::Refusal> for Refusal {
    fn from(refusal: host::Refusal) -> Self {
        match refusal {
            host::Refusal::Method(reason) => Refusal::Method(reason),
            host::Refusal::Url(reason) => Refusal::Url(reason),
            host::Refusal::Denied(reason) => Refusal::Denied(reason),
            host::Refusal::BlockedAddress(reason) => Refusal::BlockedAddress(reason),
            host::Refusal::Header((name, reason)) => Refusal::Header(name, reason),
            host::Refusal::Headers(reason) => Refusal::Headers(reason),
            host::Refusal::Body(reason) => Refusal::Body(reason),
        }
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Refusal::Header(name, reason) => write!(out, "{name}: {reason}"),
            Refusal::Method(reason)
            | Refusal::Url(reason)
            | Refusal::Denied(reason)
            | Refusal::BlockedAddress(reason)
            | Refusal::Headers(reason)
            | Refusal::Body(reason) => out.write_str(reason),
        }
    }
}

/// The answer to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The body, decoded of chunks and of nothing else.
    pub body: Vec<u8>,
}

impl Answer {
    /// Whether the status is of the class 2xx.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The first header of a name in lower case, where it is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        let (_, value) = self.headers.iter().find(|(own, _)| own == name)?;
        std::str::from_utf8(value).ok()
    }
}

impl From<host::Response> for Answer {
    fn from(response: host::Response) -> Self {
        Answer {
            status: response.status,
            headers: response.headers,
            body: response.body,
        }
    }
}

/// An answer that may not be whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partial {
    /// Its status is the server's; its headers and its body are what was read.
    pub answer: Answer,
    /// Why that is not the whole answer.
    pub cut: Option<Error>,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// The name leads to an address that plugins may not reach.
    BlockedAddress,
    /// The name has no address.
    Dns(String),
    /// The connection could not be opened.
    Connect(String),
    /// TLS failed.
    Tls(String),
    /// The time was over.
    Timeout,
    /// The answer is longer than was asked for.
    TooLarge,
    /// Too often no connection to this destination could be had, so this request was
    /// not sent; when the next is let through.
    BreakerOpen(Duration),
    /// No grant for this destination, or too many requests of one call.
    Denied(String),
    /// The answer broke HTTP, or the connection was lost.
    Protocol(String),
    /// The request is none that can be sent.
    Invalid(String),
}

impl From<host::Error> for Error {
    fn from(error: host::Error) -> Self {
        match error {
            host::Error::BlockedAddress => Error::BlockedAddress,
            host::Error::Dns(reason) => Error::Dns(reason),
            host::Error::Connect(reason) => Error::Connect(reason),
            host::Error::Tls(reason) => Error::Tls(reason),
            host::Error::Timeout => Error::Timeout,
            host::Error::TooLarge => Error::TooLarge,
            host::Error::BreakerOpen(ms) => Error::BreakerOpen(Duration::from_millis(ms)),
            host::Error::Denied(reason) => Error::Denied(reason),
            host::Error::Protocol(reason) => Error::Protocol(reason),
            host::Error::Invalid(reason) => Error::Invalid(reason),
        }
    }
}

impl std::fmt::Display for Error {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Error::BlockedAddress => out.write_str("the address is blocked"),
            Error::Dns(reason) => write!(out, "the name was not found: {reason}"),
            Error::Connect(reason) => write!(out, "the connection failed: {reason}"),
            Error::Tls(reason) => write!(out, "TLS failed: {reason}"),
            Error::Timeout => out.write_str("the request timed out"),
            Error::TooLarge => out.write_str("the answer is too large"),
            Error::BreakerOpen(_) => {
                out.write_str("the destination is suspended: requests to it failed")
            }
            Error::Denied(reason) => write!(out, "denied: {reason}"),
            Error::Protocol(reason) => write!(out, "the answer is incomplete: {reason}"),
            Error::Invalid(reason) => write!(out, "the request is invalid: {reason}"),
        }
    }
}

impl std::error::Error for Error {}
