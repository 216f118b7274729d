//! The endpoints of this host and of its services, which no plugin reaches, whatever range of
//! addresses is open to it.

use std::net::SocketAddr;

use hearth_backend::{postgres, redis};
use hearth_runtime::capability::outbound::reserved::Endpoint;
use hearth_server::config::Config;

/// The services that the host is configured with, as far as they are reached over a
/// network.
pub(super) fn services(of: &Config) -> Vec<Endpoint> {
    let database = of.database.url.iter();
    let database = database.flat_map(|url| postgres::hosts(url.expose()));
    let cache = of.redis.url.iter().filter_map(redis::host);
    let documents = of
        .dynamodb
        .endpoint_url
        .iter()
        .filter_map(|url| host_of(url));
    let queues = of
        .queue
        .sqs
        .endpoint_url
        .iter()
        .filter_map(|url| host_of(url));
    let traces = &of.telemetry.traces.endpoint;
    let collector = traces.iter().filter_map(|url| host_of(url));
    let all = database.chain(cache).chain(documents).chain(queues);
    let all = all.chain(collector);
    all.map(endpoint).collect()
}

/// Where the host itself listens.
pub(super) fn listener(address: SocketAddr) -> Endpoint {
    endpoint((address.ip().to_string(), address.port()))
}

fn endpoint((host, port): (String, u16)) -> Endpoint {
    Endpoint { host, port }
}

fn host_of(url: &str) -> Option<(String, u16)> {
    let url = url::Url::parse(url).ok()?;
    Some((url.host_str()?.to_owned(), url.port_or_known_default()?))
}
