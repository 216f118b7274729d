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
mod config;
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

use std::sync::Arc;
use std::time::Duration;

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
use super::{Backends, Call, OpenError};
use hearth_base::budget::Room;
use hearth_base::telemetry::HostMetrics;

pub use self::allowed_ranges::{AllowedRanges, InvalidRange};
pub use self::config::Config;
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

/// The HTTP client of all plugins. One per process; cloning shares it.
#[derive(Clone)]
pub struct Client {
    inner: Arc<ClientInner>,
    host_metrics: HostMetrics,
}

struct ClientInner {
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
    pub(super) fn from_backends(
        config: &Config,
        backends: &Backends<'_>,
    ) -> Result<Self, OpenError> {
        Self::open(config, Resolver::System, backends.host_metrics)
    }

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
        let inner = ClientInner {
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
