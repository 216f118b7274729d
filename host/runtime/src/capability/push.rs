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
use serde::Deserialize;
use tokio::sync::watch;
use tokio::time::timeout;
use wasmtime::component::{HasData, Linker};

use self::hub::Hub;
use self::metrics::PushMetrics;
use self::publisher::Publisher;
use super::Call;
use hearth_backend::postgres::Server;
use hearth_backend::postgres::events::{Log, Position};
use hearth_base::bounds;
use hearth_base::budget::{Customer, Room};
use hearth_base::section::{DAY_MS, GIB, HOUR_MS, KIB, MIB, Mistakes, Section};
use hearth_base::telemetry::HostMetrics;

pub use self::channel::{Space, is_name};
pub use self::stream::{Cut, Stream};
pub use generated::hearth::plugin::push::{Error as GuestError, Event, Host, Publication};

mod generated {
    wasmtime::component::bindgen!({
        path: "../../wit",
        inline: "package hearth:lends-push; world lends { import hearth:plugin/push@0.1.0; }",
        imports: { default: async | trappable },
    });
}

/// Section `[push]`. Times are milliseconds.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Open streams of this host: fewer than it has connections, so that requests
    /// find some.
    pub streams_max: usize,
    /// The same of one customer; of all calls without a customer, too.
    pub customer_streams_max: usize,
    /// Channels of one stream.
    pub channels_max: usize,
    /// Bytes of a channel's name, an event's id and its kind.
    pub name_bytes_max: usize,
    /// Bytes of an event's data.
    pub event_bytes_max: usize,
    /// Events of one `publish-many`.
    pub publications_max: usize,
    /// Bytes of events that wait to be appended; more are refused.
    pub waiting_bytes_max: usize,
    /// What one customer may have of them, in percent.
    pub customer_waiting_percent_max: u64,
    /// What one statement appends. What one call publishes stays together.
    pub batch_events_max: usize,
    pub batch_bytes_max: usize,
    /// How long one statement may take.
    pub publish_ms_max: u64,
    /// What may wait for one listener. With more it reads the log instead.
    pub listener_events_max: usize,
    pub listener_bytes_max: usize,
    /// A listener that has taken nothing for so long when there is more than may wait
    /// for it is cut.
    pub slow_ms_max: u64,
    /// Silence after which a stream says that it lives.
    pub heartbeat_ms: u64,
    /// After what time clients are told to come back; when the host stops, up to
    /// three times as much.
    pub retry_ms: u64,
    /// How often the host looks whether keys that hold streams are still good. At
    /// most 500, so that they end within a second.
    pub key_look_ms: u64,
    /// How often the log is read although nobody told of anything.
    pub poll_ms: u64,
    /// For one look at the log; then the connection counts as lost.
    pub read_ms_max: u64,
    /// What is kept for listeners that come back: how long, and how many events of a
    /// channel. The same on all hosts.
    pub log_ms_max: u64,
    pub log_events_max: usize,
    /// How often the rest is removed, by one host for all.
    pub sweep_ms: u64,
    /// What a stream that is behind reads at once.
    pub page_events_max: usize,
    pub page_bytes_max: usize,
    /// Streams that read at once, half of them one customer's; the others wait.
    pub pages_max: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            streams_max: 8_000,
            customer_streams_max: 1_000,
            channels_max: 16,
            name_bytes_max: 128,
            event_bytes_max: 64 << 10,
            publications_max: 1_000,
            waiting_bytes_max: 32 << 20,
            customer_waiting_percent_max: 50,
            batch_events_max: 1_000,
            batch_bytes_max: 4 << 20,
            publish_ms_max: 5_000,
            listener_events_max: 256,
            listener_bytes_max: 256 << 10,
            slow_ms_max: 5_000,
            heartbeat_ms: 15_000,
            retry_ms: 2_000,
            key_look_ms: 250,
            poll_ms: 1_000,
            read_ms_max: 5_000,
            log_ms_max: 3_600_000,
            log_events_max: 10_000,
            sweep_ms: 60_000,
            page_events_max: 256,
            page_bytes_max: 256 << 10,
            pages_max: 2,
        }
    }
}

impl Section for Config {
    fn validate(&self, mistakes: &mut Mistakes) {
        // An event shall find room, whatever it takes beside its data.
        let event = self.event_bytes_max as u64 + KIB;
        bounds! { self, mistakes:
            streams_max in 0..=1_000_000,
            customer_streams_max in 0..=1_000_000,
            channels_max in 1..=100,
            name_bytes_max in 24..=KIB,
            event_bytes_max in 1..=MIB,
            publications_max in 1..=100_000,
            waiting_bytes_max in event..=64 * GIB,
            customer_waiting_percent_max in 1..=100,
            batch_events_max in 1..=100_000,
            batch_bytes_max in 64 * KIB..=GIB,
            publish_ms_max in 1..=HOUR_MS,
            listener_events_max in 1..=100_000,
            listener_bytes_max in KIB..=64 * MIB,
            slow_ms_max in 0..=HOUR_MS,
            heartbeat_ms in 100..=HOUR_MS,
            retry_ms in 1..=HOUR_MS,
            // With the look itself, streams shall end within a second.
            key_look_ms in 10..=500,
            poll_ms in 10..=HOUR_MS,
            read_ms_max in 100..=HOUR_MS,
            log_ms_max in 1_000..=30 * DAY_MS,
            log_events_max in 1..=100_000_000,
            sweep_ms in 10..=HOUR_MS,
            page_events_max in 1..=10_000,
            page_bytes_max in KIB..=64 * MIB,
            pages_max in 1..=100,
        }
    }
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
pub struct Hold {
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
    pub fn hold(&self, hold: Hold, opening: Bytes) -> Result<Stream, StreamLimit> {
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
