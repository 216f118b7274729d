//! The capability `outbound`: HTTP to the outside, to where a plugin was granted
//! to go and to no address that plugins may not reach.
//!
//! A URL is read once and strictly ([`target`]), held against the plugin's grants
//! ([`pattern`]), and its name looked up once; every address is judged
//! ([`address`]), and the connection is made to one that was judged. Redirects are
//! not followed, and the environment variables that name proxies are not read.
//! Connections, look-ups, heads, bodies and times are bounded; a destination that
//! takes no connection too often is left alone for a while ([`breaker`]).
//! An answer is had whole, or, where its status is what counts, as far as it came
//! (`send-partial`). Whether a request would be sent can be asked without sending it
//! (`check`).
//!
//! ```
//! use hearth_runtime::capability::Call;
//! use hearth_runtime::capability::outbound::{Client, Config, Pattern, Resolver, State, View};
//! use hearth_runtime::capability::outbound::{GuestError, GuestRequest, Host, Options};
//! # use hearth_base::telemetry::{HostMetrics, Metrics};
//! # let metrics = HostMetrics::new(&Metrics::new(&hearth_base::telemetry::Config::default()));
//! # tokio::runtime::Runtime::new().unwrap().block_on(async {
//! let client = Client::open(&Config::default(), Resolver::System, &metrics).unwrap();
//! let lent = client.lend("webhooks", vec![Pattern::parse("https://*").unwrap()]);
//! let (call, mut state) = (Call::of("webhooks", Some("acme")), State::default());
//! let mut view = View { call: &call, lent: &lent, state: &mut state };
//! let request = GuestRequest {
//!     method: "POST".into(),
//!     url: "https://2130706433/".into(),
//!     headers: vec![],
//!     body: b"{}".to_vec(),
//! };
//! let options = Options { timeout_ms: 1_000, max_response_bytes: 1_024 };
//! let sent = view.send(request, options).await.unwrap();
//! assert!(matches!(sent, Err(GuestError::BlockedAddress)));
//! # });
//! ```

pub mod address;
mod allowed_ranges;
mod body;
pub mod breaker;
mod breakers;
mod check;
mod connection;
mod dial;
mod error;
mod exchange;
mod lease;
mod message;
mod metrics;
pub mod pattern;
mod pool;
pub mod reserved;
mod resolve;
pub mod target;
mod tls;
mod view;
pub mod wasi;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use tokio::runtime::Handle;
use wasmtime::component::{HasData, Linker};

use self::address::Policy;
use self::breakers::Breakers;
use self::connection::Opener;
use self::dial::Dialer;
use self::error::convert_error;
use self::metrics::{OutboundConnections, OutboundMetrics};
use self::pool::Pool;
use self::reserved::Endpoint;
use self::resolve::LookUps;
use self::target::Destination;
use super::Call;
use hearth_base::bounds;
use hearth_base::budget::Room;
use hearth_base::section::{GIB, HOUR_MS, KIB, MIB, Mistakes, Section};
use hearth_base::telemetry::HostMetrics;

pub use self::allowed_ranges::{AllowedRanges, InvalidRange};
pub use self::error::Error;
pub use self::pattern::Pattern;
pub use self::resolve::Resolver;
pub use generated::hearth::plugin::outbound::{
    Error as GuestError, Host, Options, Partial as GuestPartial, PartialOptions,
    Refusal as GuestRefusal, Request as GuestRequest, Response as GuestResponse,
};

mod generated {
    wasmtime::component::bindgen!({
        path: "../../wit",
        inline: "package hearth:lends-outbound; world lends { import hearth:plugin/outbound@0.1.0; }",
        imports: { default: async | trappable },
    });
}

/// Section `[outbound]`. Times are milliseconds.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// What plugins may reach although it is closed otherwise: ranges, as
    /// `10.0.0.0/8`, and addresses with a port, as `127.0.0.1:9000`, the latter alone
    /// also where this host or one of its services listens.
    /// `HEARTH_OUTBOUND_ALLOW_ADDRESSES` overrides it, with commas.
    pub allow_addresses: Vec<AllowedRanges>,
    /// Authorities beside the machine's own, in PEM.
    pub tls_root_file: Option<PathBuf>,
    /// Requests of one call of a plugin.
    pub request_calls_max: u32,
    /// For one request, whatever the plugin asks for.
    pub timeout_ms_max: u64,
    /// For one name.
    pub lookup_ms_max: u64,
    /// Names that are looked up at once, in all and for one customer of a plugin.
    pub lookups_max: usize,
    pub customer_lookups_max: usize,
    /// Addresses of one name that are tried.
    pub addresses_max: usize,
    /// Until one of a name's addresses has taken the connection, and how long the
    /// next waits for the one before it (RFC 8305, 5).
    pub connect_ms_max: u64,
    pub attempt_ms: u64,
    /// For TLS.
    pub handshake_ms_max: u64,
    /// Requests that have a connection or wait for one: in all, for one customer
    /// of a plugin, and for one customer to one destination.
    pub connections_max: usize,
    pub customer_connections_max: usize,
    pub destination_connections_max: usize,
    /// Connections that wait for another request, beside those in use.
    pub idle_connections_max: usize,
    pub idle_ms_max: u64,
    /// An older connection gets no further request, so that a name's new address
    /// is noticed.
    pub connection_ms_max: u64,
    pub url_bytes_max: usize,
    /// Of a request, and of an answer.
    pub headers_max: usize,
    pub header_bytes_max: usize,
    /// Bodies.
    pub request_bytes_max: usize,
    pub response_bytes_max: u64,
    pub breaker: breaker::Rules,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            allow_addresses: Vec::new(),
            tls_root_file: None,
            request_calls_max: 32,
            timeout_ms_max: 30_000,
            lookup_ms_max: 5_000,
            lookups_max: 64,
            customer_lookups_max: 16,
            addresses_max: 8,
            connect_ms_max: 5_000,
            attempt_ms: 250,
            handshake_ms_max: 5_000,
            connections_max: 512,
            customer_connections_max: 128,
            // Many receivers may lie behind one name, and some of them hang.
            destination_connections_max: 96,
            idle_connections_max: 256,
            idle_ms_max: 60_000,
            connection_ms_max: 300_000,
            url_bytes_max: 8 << 10,
            headers_max: 100,
            header_bytes_max: 32 << 10,
            request_bytes_max: 4 << 20,
            response_bytes_max: 8 << 20,
            breaker: breaker::Rules::default(),
        }
    }
}

impl Section for Config {
    fn validate(&self, mistakes: &mut Mistakes) {
        bounds! { self, mistakes:
            request_calls_max in 0..=10_000,
            timeout_ms_max in 1..=HOUR_MS,
            lookup_ms_max in 1..=HOUR_MS,
            // Each takes a thread.
            lookups_max in 1..=256,
            customer_lookups_max in 1..=100_000,
            addresses_max in 1..=100_000,
            connect_ms_max in 1..=HOUR_MS,
            // RFC 8305, 5: never below 10 ms.
            attempt_ms in 10..=HOUR_MS,
            handshake_ms_max in 1..=HOUR_MS,
            connections_max in 1..=100_000,
            customer_connections_max in 1..=100_000,
            destination_connections_max in 1..=100_000,
            idle_connections_max in 0..=100_000,
            idle_ms_max in 1..=HOUR_MS,
            connection_ms_max in 1..=HOUR_MS,
            // The `http` crate refuses longer ones.
            url_bytes_max in 64..=65_534,
            headers_max in 1..=1_000,
            // Hyper's buffer has a minimum of 8 KiB.
            header_bytes_max in 8 * KIB..=MIB,
            request_bytes_max in 0..=GIB,
            response_bytes_max in 0..=GIB,
        }
        mistakes.section("breaker", &self.breaker);
    }
}

/// Why the client cannot be opened: the operator is to blame.
#[derive(Debug, thiserror::Error)]
#[error("outbound.tls_root_file: {0}")]
pub struct OpenError(String);

/// The HTTP client of all plugins. One per process; cloning shares it.
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
    host_metrics: HostMetrics,
}

struct Inner {
    config: Config,
    policy: Policy,
    look_ups: LookUps,
    dialer: Dialer,
    pool: Arc<Pool>,
    connections: Room<RequestOwner>,
    destinations: Room<(RequestOwner, Destination)>,
    breakers: Breakers,
    metrics: OutboundConnections,
}

/// How often closed and old connections are looked for.
const SWEEP: Duration = Duration::from_secs(1);

impl Client {
    /// Its connections live on the runtime that this is called on.
    ///
    /// # Errors
    /// Where `tls_root_file` cannot be read or holds no certificate.
    pub fn open(
        config: &Config,
        resolver: Resolver,
        metrics: &HostMetrics,
    ) -> Result<Client, OpenError> {
        let runtime = Handle::current();
        let own = OutboundConnections::new(metrics);
        let tls = tls::Tls::open(config.tls_root_file.as_deref())?;
        let opener = Opener::new(config, runtime.clone(), own.open.clone());
        tell_what_is_opened(&config.allow_addresses);
        let inner = Inner {
            policy: Policy::new(config.allow_addresses.clone()),
            look_ups: LookUps::new(config, resolver, runtime.clone()),
            dialer: Dialer::new(config, tls, opener, runtime),
            pool: Arc::new(Pool::new(config)),
            connections: Room::new(config.connections_max, config.customer_connections_max),
            destinations: Room::new(usize::MAX, config.destination_connections_max),
            breakers: Breakers::new(&config.breaker, own.breakers_open.clone()),
            metrics: own,
            config: config.clone(),
        };
        Ok(Client {
            inner: Arc::new(inner),
            host_metrics: metrics.clone(),
        })
    }

    /// What a deployment borrows: the way to what it was granted.
    pub fn lend(&self, plugin: &str, grants: Vec<Pattern>) -> Lent {
        Lent {
            client: self.clone(),
            grants: grants.into(),
            metrics: OutboundMetrics::new(&self.host_metrics, plugin),
        }
    }

    /// Keeps plugins from where this host or one of its services listens, whatever
    /// range is open.
    pub fn reserve(&self, endpoints: impl IntoIterator<Item = Endpoint>) {
        for endpoint in endpoints {
            self.inner.policy.reserved.add(endpoint);
        }
    }

    /// Looks up the names of what is reserved, until it is dropped.
    pub async fn follow_reserved(self) {
        let resolver = self.inner.look_ups.resolver.clone();
        self.inner.policy.reserved.clone().follow(resolver).await;
    }

    /// Closes connections that nobody needs, until it is dropped.
    pub async fn sweep(self) {
        loop {
            tokio::time::sleep(SWEEP).await;
            self.inner.pool.sweep();
        }
    }

    fn config(&self) -> &Config {
        &self.inner.config
    }
}

/// An operator shall not find out from an incident what a line opened.
fn tell_what_is_opened(ranges: &[AllowedRanges]) {
    if ranges.is_empty() {
        return;
    }
    let ranges: Vec<String> = ranges.iter().map(AllowedRanges::to_string).collect();
    tracing::warn!(
        "PLUGINS MAY REACH ADDRESSES THAT ARE BLOCKED BY DEFAULT: {} (outbound.allow_addresses, \
         HEARTH_OUTBOUND_ALLOW_ADDRESSES)",
        ranges.join(", ")
    );
}

/// On whose behalf a request goes out.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct RequestOwner {
    plugin: Arc<str>,
    customer: Option<Arc<str>>,
}

impl RequestOwner {
    fn of(call: &Call) -> RequestOwner {
        RequestOwner {
            plugin: call.plugin.clone(),
            customer: call.customer.clone(),
        }
    }
}

/// What one deployment borrows.
#[derive(Clone)]
pub struct Lent {
    client: Client,
    grants: Arc<[Pattern]>,
    metrics: OutboundMetrics,
}

/// What one call accumulates.
#[derive(Default)]
pub struct State {
    /// What it sent by this interface, and what it has of the standard's.
    calls: u32,
    wasi: Option<wasi::Wasi>,
}

/// Whether a call of a plugin that has sent so many requests may send another.
fn check_calls(sent: u32, config: &Config) -> Result<(), Error> {
    let max = config.request_calls_max;
    match sent < max {
        true => Ok(()),
        false => Err(Error::Denied(format!(
            "too many requests: one call of a plugin may send at most {max} \
             (outbound.request_calls_max)"
        ))),
    }
}

/// The capability as one call borrows it.
pub struct View<'a> {
    pub call: &'a Call,
    pub lent: &'a Lent,
    pub state: &'a mut State,
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
    generated::hearth::plugin::outbound::add_to_linker::<T, Access>(linker, view)
}
