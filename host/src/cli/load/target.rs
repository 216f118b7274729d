//! Which host is asked. Its name is resolved once, and what was checked is what
//! is connected to: a name cannot lead elsewhere a moment later.

use std::net::{IpAddr, SocketAddr};

use anyhow::Context as _;
use http::uri::{Authority, Scheme};
use http::{HeaderValue, Uri};

use super::UsageError;

const HTTP_PORT: u16 = 80;

/// A host whose addresses are known and allowed.
#[derive(Debug)]
pub struct Target {
    /// Tried in this order by every connection.
    pub addresses: Vec<SocketAddr>,
    /// The `Host` header.
    pub host: HeaderValue,
}

impl Target {
    /// Resolves `url` and refuses what is not this machine, unless
    /// `any_address` is set.
    pub async fn open(url: &Uri, any_address: bool) -> anyhow::Result<Target> {
        let authority = authority(url)?;
        let addresses = resolve(authority).await?;
        let stranger = addresses.iter().find(|address| !is_loopback(address.ip()));
        if let (Some(address), false) = (stranger, any_address) {
            return Err(UsageError::NotLoopback(authority.host().into(), address.ip()).into());
        }
        let host = HeaderValue::from_str(authority.as_str())?;
        Ok(Target { addresses, host })
    }
}

/// The name and port of a URL that has nothing else.
fn authority(url: &Uri) -> Result<&Authority, UsageError> {
    let refused = || UsageError::NotAnAddress(url.clone());
    let authority = url.authority().ok_or_else(refused)?;
    let bare = matches!(url.path(), "" | "/") && url.query().is_none();
    match url.scheme() == Some(&Scheme::HTTP) && bare && !authority.as_str().contains('@') {
        true => Ok(authority),
        false => Err(refused()),
    }
}

async fn resolve(authority: &Authority) -> anyhow::Result<Vec<SocketAddr>> {
    let host = authority.host();
    // An IPv6 address stands in brackets in a URL, and nowhere else.
    let name = host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(host);
    let port = authority.port_u16().unwrap_or(HTTP_PORT);
    let found = tokio::net::lookup_host((name, port)).await;
    let addresses: Vec<_> = found
        .with_context(|| format!("cannot resolve {name}"))?
        .collect();
    anyhow::ensure!(!addresses.is_empty(), "{name} has no address");
    Ok(addresses)
}

fn is_loopback(address: IpAddr) -> bool {
    address.to_canonical().is_loopback()
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn open(url: &str, any_address: bool) -> anyhow::Result<Target> {
        Target::open(&url.parse().unwrap(), any_address).await
    }

    #[tokio::test]
    async fn loopback_is_taken_in_every_spelling() {
        for url in [
            "http://127.0.0.1:8080",
            "http://127.9.9.9:1/",
            "http://[::1]:8080",
            "http://[::ffff:127.0.0.1]:1",
        ] {
            let target = open(url, false).await.unwrap();
            assert!(!target.addresses.is_empty(), "{url}");
        }
    }

    #[tokio::test]
    async fn other_addresses_are_refused_unless_allowed() {
        for url in [
            "http://192.0.2.1:8080",
            "http://0.0.0.0:8080",
            "http://[2001:db8::1]:80",
            "http://[::ffff:192.0.2.1]:80",
        ] {
            let error = open(url, false).await.unwrap_err();
            assert!(
                matches!(error.downcast_ref(), Some(UsageError::NotLoopback(..))),
                "{url}: {error}"
            );
            assert!(error.to_string().contains("--any-address"), "{error}");
            assert!(open(url, true).await.is_ok(), "{url}");
        }
    }

    #[tokio::test]
    async fn url_with_more_than_a_host_is_refused() {
        for url in [
            "https://127.0.0.1:8080",
            "127.0.0.1:8080",
            "/x",
            "http://127.0.0.1/x",
            "http://127.0.0.1/?q",
            "http://a:b@127.0.0.1",
        ] {
            let error = open(url, true).await.unwrap_err();
            assert!(
                matches!(error.downcast_ref(), Some(UsageError::NotAnAddress(_))),
                "{url}: {error}"
            );
        }
    }
}
