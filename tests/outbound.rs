//! The capability `outbound`: where a plugin may go, what it cannot reach, and
//! what no server can do to the host.

mod address;
mod answer;
mod breaker;
mod check;
mod connections;
mod guest;
mod message;
pub mod server;
mod ssrf;
mod target;
mod tls;
mod wasi;

use std::net::IpAddr;
use std::sync::Arc;

use hearth::capability::Call;
use hearth::capability::outbound::{
    Client, Config, GuestError, GuestPartial, GuestRefusal, GuestRequest, GuestResponse, Host,
    Lent, Options, PartialOptions, Pattern, Resolver, State, View,
};
use hearth::telemetry::{HostMetrics, Metrics};

/// Every host and every port.
const EVERYWHERE: [&str; 2] = ["http://*:*", "https://*:*"];

/// A client without a host around it.
#[derive(Clone)]
struct Bench {
    client: Client,
    metrics: Metrics,
}

/// What opens loopback, where the tests' servers are.
fn loopback() -> Config {
    Config {
        allow_addresses: vec!["127.0.0.0/8".parse().unwrap(), "::1/128".parse().unwrap()],
        ..Config::default()
    }
}

/// A name server of one's own.
fn names(known: impl Fn(&str) -> Vec<IpAddr> + Send + Sync + 'static) -> Resolver {
    Resolver::Given(Arc::new(move |name| Ok(known(name))))
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

impl Bench {
    fn new(config: Config) -> Bench {
        Bench::with(config, Resolver::System)
    }

    fn with(config: Config, resolver: Resolver) -> Bench {
        let metrics = Metrics::new(&hearth::telemetry::Config::default());
        let client = Client::open(&config, resolver, &HostMetrics::new(&metrics)).unwrap();
        Bench { client, metrics }
    }

    /// One call of a plugin for a customer.
    fn call(&self, customer: &str, grants: &[&str]) -> Borrowed {
        let grants = grants.iter().map(|grant| Pattern::parse(grant).unwrap());
        Borrowed {
            call: Call::of("webhooks", Some(customer)),
            lent: self.client.lend("webhooks", grants.collect()),
            state: State::default(),
        }
    }

    /// One request in a call of its own, to wherever it wants.
    async fn get(&self, url: &str) -> Result<GuestResponse, GuestError> {
        self.call("acme", &EVERYWHERE).send(get(url)).await
    }

    /// The sum of all series of a metric whose line has the text.
    fn metric(&self, name: &str, label: &str) -> u64 {
        let page = self.metrics.render();
        let series = page
            .lines()
            .filter(|line| line.split(['{', ' ']).next() == Some(name) && line.contains(label));
        series
            .map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap())
            .sum()
    }

    fn opened(&self) -> u64 {
        self.metric("hearth_outbound_connections_opened_total", "")
    }

    fn reused(&self) -> u64 {
        self.metric("hearth_outbound_connections_reused_total", "")
    }
}

/// What one call borrows.
struct Borrowed {
    call: Call,
    lent: Lent,
    state: State,
}

impl Borrowed {
    async fn send(&mut self, request: GuestRequest) -> Result<GuestResponse, GuestError> {
        self.send_within(request, ample()).await
    }

    async fn send_within(
        &mut self,
        request: GuestRequest,
        options: Options,
    ) -> Result<GuestResponse, GuestError> {
        let mut view = View {
            call: &self.call,
            lent: &self.lent,
            state: &mut self.state,
        };
        view.send(request, options).await.unwrap()
    }

    /// For the status, with so much time for the body.
    async fn send_partial(
        &mut self,
        request: GuestRequest,
        whole: Options,
        body_ms: u64,
    ) -> Result<GuestPartial, GuestError> {
        let mut view = View {
            call: &self.call,
            lent: &self.lent,
            state: &mut self.state,
        };
        let options = PartialOptions { whole, body_ms };
        view.send_partial(request, options).await.unwrap()
    }

    /// Everything that would keep it from being sent.
    async fn check(&mut self, request: GuestRequest) -> Vec<GuestRefusal> {
        let mut view = View {
            call: &self.call,
            lent: &self.lent,
            state: &mut self.state,
        };
        let checked = view.check(request).await.unwrap();
        checked.err().unwrap_or_default()
    }
}

/// More than any test needs on a machine that is busy with others.
fn ample() -> Options {
    Options {
        timeout_ms: 20_000,
        max_response_bytes: 1 << 20,
    }
}

fn within(timeout_ms: u64) -> Options {
    Options {
        timeout_ms,
        ..ample()
    }
}

fn get(url: &str) -> GuestRequest {
    GuestRequest {
        method: "GET".into(),
        url: url.into(),
        headers: Vec::new(),
        body: Vec::new(),
    }
}

fn post(url: &str, body: &str) -> GuestRequest {
    GuestRequest {
        method: "POST".into(),
        body: body.into(),
        ..get(url)
    }
}

fn header<'a>(answer: &'a GuestResponse, name: &str) -> Option<&'a [u8]> {
    let mut headers = answer.headers.iter();
    let (_, value) = headers.find(|(own, _)| own == name)?;
    Some(value)
}
