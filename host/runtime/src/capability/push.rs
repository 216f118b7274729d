//! The capability `push`: events that plugins publish, and the streams that get them.
//!
//! What calls publish is merged into one statement at a time, which appends to a log in
//! Postgres and tells every host. Each host follows that log on a connection of its own
//! and offers what it finds to the streams that its clients hold ([`hub`]). A stream
//! that comes back, or cannot keep up, reads the log ([`stream`]). So a listener gets
//! what is durable, in one order on every host, and each event once.
//!
//! ```no_run
//! # use hearth_backend::postgres::Server;
//! # use hearth_base::telemetry::{HostMetrics, Metrics};
//! # async fn example(server: Server) {
//! use hearth_runtime::capability::Call;
//! use hearth_runtime::capability::push::{Client, Config, Event, Host, View};
//!
//! # let metrics = HostMetrics::new(&Metrics::new(&hearth_base::telemetry::Config::default()));
//! let client = Client::open(&Config::default(), server, &metrics);
//! tokio::spawn(client.clone().follow());
//! let (call, lent) = (Call::of("tickets", Some("acme")), client.lend("tickets"));
//! let event = Event { id: None, kind: None, data: "hello".into() };
//! let id = View { call: &call, lent: &lent }.publish("inbox".into(), event).await;
//! assert!(id.unwrap().unwrap().starts_with("psh_"));
//! # }
//! ```

mod channel;
mod config;
mod follow;
mod frame;
mod hub;
mod listener;
mod metrics;
mod publisher;
mod recent;
mod stream;
mod view;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use ::metrics::Counter;
use bytes::Bytes;
use tokio::sync::watch;
use tokio::time::timeout;
use wasmtime::component::{HasData, Linker};

use self::hub::Hub;
use self::metrics::PushMetrics;
use self::publisher::Publisher;
use super::{Backends, Call, OpenError};
use hearth_backend::postgres::Server;
use hearth_backend::postgres::events::{Log, Position};
use hearth_base::budget::{Customer, Room};
use hearth_base::telemetry::HostMetrics;

pub use self::channel::{Space, is_name};
pub use self::config::Config;
pub use self::stream::{Cut, Stream};
pub use generated::hearth::plugin::push::{Error as GuestError, Event, Host, Publication};

mod generated {
    wasmtime::component::bindgen!({
        path: "../../wit",
        inline: "package hearth:lends-push; world lends { import hearth:plugin/push@0.1.0; }",
        imports: { default: async | trappable },
    });
}

/// Why nothing was published. The guest is to blame for all but the second.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("the event is too large")]
    TooLarge,
    /// The backend's: Postgres is unavailable, or slower than what is published.
    #[error("push is unavailable: {0}")]
    Unavailable(String),
    #[error("{0}")]
    Invalid(String),
}

/// Why a stream was not opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StreamLimit {
    #[error("too many streams: this host has reached its limit")]
    HostFull,
    #[error("too many streams: the customer has reached its limit")]
    CustomerFull,
}

impl StreamLimit {
    /// The label of metrics.
    pub fn reason(self) -> &'static str {
        match self {
            StreamLimit::HostFull => "host_full",
            StreamLimit::CustomerFull => "customer_full",
        }
    }
}

/// From where on a stream gets a channel's events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Start {
    /// What comes after this place.
    After(Position),
    /// What comes after the event that the plugin gave this id, in any channel of the
    /// stream.
    Named(String),
    /// A text that is no id: the client has to be told.
    Unknown,
}

impl Start {
    /// What an id means that a handler named, or a client sent.
    pub fn of(id: &str, config: &Config) -> Start {
        match frame::position(id) {
            Some(position) => Start::After(position),
            None if is_name(id, config.name_bytes_max) => Start::Named(id.to_owned()),
            None => Start::Unknown,
        }
    }
}

/// A stream that is to be opened.
pub struct StreamRequest {
    pub space: Space,
    /// The key of the client, whose end is the stream's.
    pub key: Option<Arc<str>>,
    /// By name.
    pub channels: Vec<(String, Start)>,
}

/// Everything that pushes. One per process; cloning shares it.
#[derive(Clone)]
pub struct Client {
    shared: Arc<PushInner>,
}

struct PushInner {
    config: Config,
    hub: Hub,
    log: Log,
    publisher: Publisher,
    pages: Room<Customer>,
    /// How far the log is known to go.
    told: watch::Sender<i64>,
    /// Whether the log was read, so that streams can begin.
    begun: watch::Sender<bool>,
    metrics: PushMetrics,
}

impl Client {
    pub(super) fn from_backends(
        config: &Config,
        backends: &Backends<'_>,
    ) -> Result<Self, OpenError> {
        let server = backends.postgres.clone();
        Ok(Self::open(config, server, backends.host_metrics))
    }

    /// Asks Postgres nothing yet. Nothing is published, and nobody hears of anything,
    /// before [`Client::follow`].
    pub fn open(config: &Config, server: Server, metrics: &HostMetrics) -> Client {
        let metrics = PushMetrics::new(metrics);
        let shared = PushInner {
            hub: Hub::new(config, metrics.clone()),
            log: Log::new(server),
            publisher: Publisher::new(config),
            pages: Room::new(config.pages_max, (config.pages_max / 2).max(1)),
            told: watch::Sender::new(-1),
            begun: watch::Sender::new(false),
            config: config.clone(),
            metrics,
        };
        Client {
            shared: Arc::new(shared),
        }
    }

    /// What a deployment borrows.
    pub fn lend(&self, plugin: &str) -> Lent {
        Lent {
            published: self.shared.metrics.published(plugin),
            shared: self.shared.clone(),
        }
    }

    /// Publishes what calls publish, and offers what all hosts have published to this
    /// one's streams, until it is dropped.
    pub async fn follow(self) {
        follow::follow(&self.shared).await;
    }

    pub fn config(&self) -> &Config {
        &self.shared.config
    }

    /// Waits until streams can begin, for as long as one look at the log may take:
    /// clients of a host that was restarted come back to it at once.
    pub async fn begun(&self) {
        let patience = Duration::from_millis(self.shared.config.read_ms_max);
        let mut begun = self.shared.begun.subscribe();
        let _ = timeout(patience, begun.wait_for(|begun| *begun)).await;
    }

    /// Up to where the log is known to this host. A stream that starts there gets all
    /// that is published from now on. `None` where it could not be read yet.
    pub fn position(&self) -> Option<Position> {
        self.shared.hub.position()
    }

    /// Opens a stream, which begins with the plugin's own text.
    pub fn hold(&self, hold: StreamRequest, opening: Bytes) -> Result<Stream, StreamLimit> {
        Stream::open(self.shared.clone(), hold, opening)
            .inspect_err(|refused| self.shared.metrics.refused(refused.reason()).increment(1))
    }

    /// The keys with which streams were opened.
    pub fn keys(&self) -> Vec<Arc<str>> {
        self.shared.hub.keys()
    }

    /// Ends the streams of keys that are no longer good.
    pub fn end_keys(&self, keys: &HashSet<Arc<str>>) {
        self.shared.hub.end_keys(keys);
    }

    /// Ends the streams of a plugin that was taken away, or may push no more.
    pub fn end_plugin(&self, plugin: &str) {
        self.shared.hub.end_plugin(plugin);
    }

    /// Ends all streams, for the host stops: clients come back to another.
    pub fn drain(&self) {
        self.shared.hub.drain();
    }
}

/// What one deployment borrows.
#[derive(Clone)]
pub struct Lent {
    shared: Arc<PushInner>,
    published: Counter,
}

/// A call accumulates nothing here.
pub type State = ();

/// The capability as one call borrows it.
pub struct View<'a> {
    pub call: &'a Call,
    pub lent: &'a Lent,
}

/// What the guest gets of an error.
fn convert_error(error: Error) -> GuestError {
    match error {
        Error::TooLarge => GuestError::TooLarge,
        Error::Unavailable(_) => GuestError::Unavailable,
        Error::Invalid(reason) => GuestError::Invalid(reason),
    }
}

/// Tells the linker's generated code what a [`View`] is.
pub struct Access;

impl HasData for Access {
    type Data<'a> = View<'a>;
}

/// Links the interface. `view` finds this capability's parts in a store's state.
pub fn add_to_linker<T: Send + 'static>(
    linker: &mut Linker<T>,
    view: fn(&mut T) -> View<'_>,
) -> wasmtime::Result<()> {
    generated::hearth::plugin::push::add_to_linker::<T, Access>(linker, view)
}
