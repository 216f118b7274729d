//! What plugins do not reach, whatever range of addresses is open to them.

use std::net::SocketAddr;

use crate::backend::{postgres, redis};
use crate::capability::outbound::reserved::Endpoint;
use crate::config::Config;

/// The services that the host is configured with, as far as they are reached over a
/// network.
pub(super) fn services(of: &Config) -> Vec<Endpoint> {
    let database = of.database.url.iter();
    let database = database.flat_map(|url| postgres::hosts(url.expose()));
    let database = database.map(|at| endpoint(at, "the host's Postgres"));
    let cache = of.redis.url.iter().filter_map(redis::host);
    let cache = cache.map(|at| endpoint(at, "the host's Redis"));
    let documents = of.dynamodb.endpoint_url.iter().filter_map(host_of);
    let documents = documents.map(|at| endpoint(at, "the host's DynamoDB"));
    let queues = of.queue.sqs.endpoint_url.iter().filter_map(host_of);
    let queues = queues.map(|at| endpoint(at, "the host's SQS"));
    database
        .chain(cache)
        .chain(documents)
        .chain(queues)
        .collect()
}

/// Where the host itself listens.
pub(super) fn listener(address: SocketAddr) -> Endpoint {
    let at = (address.ip().to_string(), address.port());
    endpoint(at, "a listener of this host")
}

fn endpoint((host, port): (String, u16), what: &'static str) -> Endpoint {
    Endpoint { host, port, what }
}

fn host_of(url: &String) -> Option<(String, u16)> {
    let url = url::Url::parse(url).ok()?;
    Some((url.host_str()?.to_owned(), url.port_or_known_default()?))
}
