//! The interface's dry run: what would keep a request from being sent, judged by
//! the functions that judge each that is sent.

use std::net::{IpAddr, Ipv4Addr};

use http::HeaderMap;

use super::target::{Destination, Host, Target};
use super::{Config, Error, GuestRefusal, GuestRequest, Lent, message};

impl Lent {
    /// Everything that would keep the request from being sent, as far as it is known
    /// without a look-up and without a connection.
    pub(super) fn refusals(&self, request: &GuestRequest) -> Vec<GuestRefusal> {
        let config = self.client.config();
        let mut refusals = Vec::new();
        if let Err(error) = message::method(&request.method) {
            refusals.push(GuestRefusal::Method(error.to_string()));
        }
        match Target::parse(&request.url, config.url_bytes_max) {
            Ok(target) => refusals.extend(self.refusals_of_target(&target)),
            Err(error) => refusals.push(GuestRefusal::Url(error.to_string())),
        }
        refusals.extend(refusals_of_headers(&request.headers, config));
        if let Err(error) = message::check_body(&request.body, config) {
            refusals.push(GuestRefusal::Body(error.to_string()));
        }
        refusals
    }

    fn refusals_of_target(&self, target: &Target) -> Vec<GuestRefusal> {
        let denied = self.check(target).err();
        let denied = denied.map(|error| GuestRefusal::Denied(error.to_string()));
        let blocked = self.blocked(&target.destination);
        denied.into_iter().chain(blocked).collect()
    }

    fn blocked(&self, destination: &Destination) -> Option<GuestRefusal> {
        let (address, port) = (address_of(&destination.host)?, destination.port);
        let policy = &self.client.inner.policy;
        let what = policy.judge_from_here(address, port).err()?;
        Some(GuestRefusal::BlockedAddress(format!(
            "plugins may not reach {}: {what}; an operator opens addresses with \
             outbound.allow_addresses",
            destination.host
        )))
    }
}

/// The address that a host is known to have without a look-up. `localhost` is loopback
/// wherever it is asked for (RFC 6761, 6.3).
fn address_of(host: &Host) -> Option<IpAddr> {
    match host {
        Host::Address(address) => Some(*address),
        Host::Name(name) => {
            let loopback = name.as_ref() == "localhost" || name.ends_with(".localhost");
            loopback.then_some(Ipv4Addr::LOCALHOST.into())
        }
    }
}

/// As many are read as could be sent, and one more.
fn refusals_of_headers(given: &[(String, Vec<u8>)], config: &Config) -> Vec<GuestRefusal> {
    let (mut headers, mut refusals) = (HeaderMap::new(), Vec::new());
    for (name, value) in given.iter().take(config.headers_max + 1) {
        match message::field(name, value) {
            Ok((name, value)) => drop(headers.append(name, value)),
            Err(error) => refusals.push(of_header(name, &error)),
        }
    }
    if let Err(error) = message::check_size(&headers, config) {
        refusals.push(GuestRefusal::Headers(error.to_string()));
    }
    refusals
}

fn of_header(name: &str, error: &Error) -> GuestRefusal {
    GuestRefusal::Header((name.to_owned(), error.to_string()))
}
