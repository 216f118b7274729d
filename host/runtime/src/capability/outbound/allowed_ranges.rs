//! The ranges of addresses that an operator opened to plugins.

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;

use ipnet::IpNet;
use serde::Deserialize;

/// One entry of `allow_addresses`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum AllowedRanges {
    /// At every port, except where the host itself or one of its services listens.
    Range(IpNet),
    /// At this port, whoever listens there.
    Socket(SocketAddr),
}

/// Neither of the two.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error(
    "expected a range of addresses, for example \"10.0.0.0/8\", or an address and its port, for \
     example \"127.0.0.1:9000\" or \"[::1]:9000\""
)]
pub struct InvalidRange;

impl FromStr for AllowedRanges {
    type Err = InvalidRange;

    fn from_str(text: &str) -> Result<AllowedRanges, InvalidRange> {
        let range = text.parse().map(AllowedRanges::Range);
        let socket = |_| text.parse().map(AllowedRanges::Socket);
        range.or_else(socket).map_err(|_| InvalidRange)
    }
}

impl TryFrom<String> for AllowedRanges {
    type Error = InvalidRange;

    fn try_from(text: String) -> Result<AllowedRanges, InvalidRange> {
        text.parse()
    }
}

impl fmt::Display for AllowedRanges {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AllowedRanges::Range(range) => range.fmt(out),
            AllowedRanges::Socket(socket) => socket.fmt(out),
        }
    }
}
