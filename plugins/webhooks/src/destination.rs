//! The destination of deliveries: URL and headers. The host checks both when an
//! endpoint is created or changed, by the rules for each delivery, so errors are
//! reported early. In addition an endpoint's URL must have one plain spelling.

use std::net::Ipv4Addr;

use hearth_plugin::outbound::Refusal;
use hearth_plugin::prelude::*;
use hearth_plugin::problem::{FieldError, Location};

use crate::attempt::Delivery;
use crate::headers::Headers;

/// Characters of a URL at most.
pub const URL_CHARS_MAX: usize = 2048;

/// What keeps every delivery to an endpoint from being sent.
#[derive(Debug, PartialEq)]
pub struct Mistake {
    /// The field of the endpoint that it is in.
    pub field: &'static str,
    pub code: &'static str,
    pub detail: String,
}

impl From<Mistake> for FieldError {
    fn from(mistake: Mistake) -> Self {
        FieldError {
            location: Location::Pointer(["/", mistake.field].concat()),
            code: mistake.code,
            detail: mistake.detail,
        }
    }
}

/// Everything that the host would refuse of a delivery there.
pub fn mistakes(url: &str, headers: &Headers) -> Vec<Mistake> {
    let refusals = Delivery::example(url, headers).check().err();
    refusals.into_iter().flatten().map(mistake).collect()
}

fn mistake(refusal: Refusal) -> Mistake {
    let detail = refusal.to_string();
    let (field, code) = match refusal {
        Refusal::Denied(_) => ("url", "denied"),
        Refusal::BlockedAddress(_) => ("url", "blocked_address"),
        // The method and an empty body are no choice of a client's.
        Refusal::Url(_) | Refusal::Method(_) | Refusal::Body(_) => ("url", "invalid_url"),
        Refusal::Header(..) => ("headers", "not_allowed"),
        Refusal::Headers(_) => ("headers", "too_long"),
    };
    Mistake {
        field,
        code,
        detail,
    }
}

/// What an endpoint's owner should know: who may read what is sent, and what of it the
/// host would refuse now, though it took the endpoint once.
pub fn warnings(url: &str, header_names: &[String]) -> Vec<Value> {
    let mut warnings = Vec::new();
    let scheme = url.split(':').next().unwrap_or_default();
    if scheme.eq_ignore_ascii_case("http") {
        let detail = "deliveries over plain HTTP are not encrypted: others on the network can read \
                      them";
        warnings.push(json!({"code": "plain_http", "detail": detail}));
    }
    // Their values were checked by themselves.
    let names = header_names
        .iter()
        .map(|name| (name.clone(), String::new()));
    for mistake in mistakes(url, &Headers(names.collect())) {
        warnings.push(json!({"code": mistake.code, "detail": mistake.detail}));
    }
    warnings
}

/// Why a URL does not say plainly where it leads. People read it in lists and logs, so
/// what only a program decodes is refused, however the host would read it.
pub fn unclear(url: &str) -> Option<&'static str> {
    if !url.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Some("the URL contains spaces or characters other than ASCII; encode them");
    }
    if url.contains('#') {
        return Some("a fragment is never sent; leave it out");
    }
    let authority = url.split("://").nth(1)?.split(['/', '?']).next()?;
    let host = authority.split(':').next()?.trim_end_matches('.');
    // Where the last label is a number, the whole is an address (WHATWG URL, section 3.5).
    let last = host.rsplit('.').next()?;
    let numeric = last.starts_with(|letter: char| letter.is_ascii_digit());
    (numeric && host.parse::<Ipv4Addr>().is_err())
        .then_some("write an IPv4 address as four decimal numbers")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn url_has_one_plain_spelling() {
        for url in [
            "https://2130706433/",
            "https://0x7f000001/",
            "https://0177.0.0.1/",
            "https://127.1/",
            "https://127.1./",
            "https://127.1:8443/",
            "https://exa mple.com/",
            "https://bücher.example/",
            "https://example.com/#x",
        ] {
            assert!(unclear(url).is_some(), "{url}");
        }
        for url in [
            "https://example.com",
            "HTTPS://Example.com:8443/hooks?x=1",
            "https://xn--bcher-kva.example/",
            "https://93.184.216.34:8443/",
            "https://[2606:2800:220:1::1]:443/x",
            "https://example.com/10.1",
            "https://example.com?10",
        ] {
            assert_eq!(unclear(url), None, "{url}");
        }
    }

    #[test]
    fn each_refusal_is_told_in_the_field_that_it_is_in() {
        let name = "http2-settings".to_string();
        let header = mistake(Refusal::Header(name, "set by the host".into()));
        assert_eq!(header.detail, "http2-settings: set by the host");
        let error = FieldError::from(header);
        assert_eq!(
            (error.location, error.code),
            (Location::Pointer("/headers".into()), "not_allowed")
        );
        let address = mistake(Refusal::BlockedAddress("closed".into()));
        assert_eq!((address.field, address.code), ("url", "blocked_address"));
    }
}
