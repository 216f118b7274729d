//! The access log: one line for each request, when its answer has been sent.
//!
//! It contains no key, no body and no query, as a query may contain secrets. The lines
//! have the target `access`, so that `log_filter` can drop them, and use the same
//! bounded queue as every other line.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use http::header::USER_AGENT;
use http::{HeaderMap, Method, Request, StatusCode, Uri, Version};
use opentelemetry::trace::TraceId;
use serde::Deserialize;

use crate::edge::keys::Caller;
use hearth_base::bounds;
use hearth_base::section::{Mistakes, Section};
use hearth_runtime::capability::Spent;

/// Characters of a path and of a user agent that a line repeats.
const PATH_CHARS_MAX: usize = 512;
const AGENT_CHARS_MAX: usize = 200;

/// Section `[access_log]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    pub enabled: bool,
    /// One request in so many is logged. Answers of 500 and more always are.
    pub one_in: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            enabled: true,
            one_in: 1,
        }
    }
}

impl Section for Config {
    fn validate(&self, mistakes: &mut Mistakes) {
        bounds! { self, mistakes =>
            one_in in 1..=1_000_000,
        }
    }
}

/// Decides which requests are logged.
pub struct AccessLog {
    config: Config,
    seen: AtomicU64,
}

impl AccessLog {
    pub fn new(config: Config) -> AccessLog {
        AccessLog {
            config,
            seen: AtomicU64::new(0),
        }
    }

    /// A record of a request that has just come.
    pub fn begin<B>(&self, request: &Request<B>, peer: SocketAddr) -> Option<Record> {
        let config = &self.config;
        let turn = || {
            self.seen
                .fetch_add(1, Relaxed)
                .is_multiple_of(config.one_in)
        };
        config.enabled.then(|| Record {
            of: Arc::new(Facts {
                began: Instant::now(),
                method: request.method().clone(),
                path: shown_path(request.uri()),
                version: request.version(),
                peer,
                user_agent: user_agent(request.headers()),
                sampled: turn(),
                plugin: OnceLock::new(),
                caller: OnceLock::new(),
                spent: OnceLock::new(),
                trace: OnceLock::new(),
            }),
        })
    }
}

struct Facts {
    began: Instant,
    method: Method,
    path: String,
    version: Version,
    peer: SocketAddr,
    user_agent: Option<String>,
    sampled: bool,
    plugin: OnceLock<(Arc<str>, u64)>,
    caller: OnceLock<(String, String)>,
    /// Of the plugin's call, where there was one.
    spent: OnceLock<Arc<Spent>>,
    trace: OnceLock<TraceId>,
}

/// What is known of one request; it travels in the request's extensions. Cloning
/// shares it.
#[derive(Clone)]
pub struct Record {
    of: Arc<Facts>,
}

impl Record {
    /// The deployment that answers: the plugin's name and the number.
    pub fn note_plugin(&self, plugin: Arc<str>, deployment: u64) {
        let _ = self.of.plugin.set((plugin, deployment));
    }

    pub fn note_caller(&self, caller: &Caller) {
        let (customer, key) = (caller.customer_id.to_string(), caller.key_id.to_string());
        let _ = self.of.caller.set((customer, key));
    }

    pub fn note_trace(&self, trace: TraceId) {
        let _ = self.of.trace.set(trace);
    }

    /// Where the time of the plugin's call goes. One that is asked twice, for HEAD and
    /// then for GET, has it all in one account.
    pub fn spent(&self) -> Arc<Spent> {
        self.of.spent.get_or_init(Arc::default).clone()
    }

    /// The value that logs the request when the answer's body is dropped.
    pub fn end(
        self,
        status: StatusCode,
        request_id: Arc<str>,
        length: Option<u64>,
    ) -> EndedRequest {
        EndedRequest {
            record: self,
            status,
            request_id,
            length,
            bytes: 0,
        }
    }
}

/// The end of a request's way. Dropped, it writes the line.
pub struct EndedRequest {
    record: Record,
    status: StatusCode,
    request_id: Arc<str>,
    length: Option<u64>,
    bytes: u64,
}

impl EndedRequest {
    /// So many more bytes of the body went to the connection.
    pub fn add(&mut self, bytes: usize) {
        self.bytes = self.bytes.saturating_add(bytes as u64);
    }

    /// A body that was asked for and did not go as a whole.
    fn is_cut_off(&self) -> bool {
        let bodyless = self.record.of.method == Method::HEAD;
        !bodyless && self.length.is_some_and(|length| self.bytes < length)
    }
}

impl Drop for EndedRequest {
    fn drop(&mut self) {
        let of = &self.record.of;
        if !of.sampled && !self.status.is_server_error() {
            return;
        }
        let (customer, key) = of.caller.get().map_or((None, None), |(customer, key)| {
            (Some(customer.as_str()), Some(key.as_str()))
        });
        let spent = of.spent.get().map(|spent| spent.microseconds());
        // Values that a client chose are given as text: a line for people then has
        // them quoted and escaped, a line of JSON as strings.
        tracing::info!(
            target: "access",
            method = of.method.as_str(),
            path = of.path,
            plugin = of.plugin.get().map(|(plugin, _)| tracing::field::display(plugin)),
            deployment = of.plugin.get().map(|(_, number)| number),
            status = self.status.as_u16(),
            bytes = self.bytes,
            cut_off = self.is_cut_off(),
            duration_ms = of.began.elapsed().as_millis() as u64,
            wait_us = spent.map(|spent| spent.turn),
            cpu_us = spent.map(|spent| spent.cpu),
            sql_us = spent.map(|spent| spent.sql),
            sql_wait_us = spent.map(|spent| spent.sql_wait),
            request_id = &*self.request_id,
            trace_id = of.trace.get().map(tracing::field::display),
            customer,
            key,
            peer = %of.peer,
            protocol = ?of.version,
            user_agent = of.user_agent,
        );
    }
}

/// As much of a path as a line or a span repeats.
pub fn shown_path(uri: &Uri) -> String {
    cut(uri.path(), PATH_CHARS_MAX)
}

fn user_agent(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(USER_AGENT)?;
    Some(cut(
        &String::from_utf8_lossy(value.as_bytes()),
        AGENT_CHARS_MAX,
    ))
}

fn cut(text: &str, chars_max: usize) -> String {
    text.chars().take(chars_max).collect()
}
