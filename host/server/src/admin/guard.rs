//! Whom the admin listener answers: requests to one of its own names, from no page of
//! another site, with the token that their path wants.
//!
//! A browser on this machine reaches loopback for whichever page is open in it. A page
//! can make its own name resolve to 127.0.0.1 and is then of the same origin as what
//! listens there (DNS rebinding), but it cannot have the browser send another Host than
//! that name.

use std::net::IpAddr;
use std::path::Path;

use http::header::{AUTHORIZATION, HOST};
use http::uri::Authority;
use http::{Request, StatusCode};

use super::token::{Token, TokenError};
use crate::config::AdminConfig as Config;
use crate::edge::problem::Problem;

/// What browsers tell of where a request comes from (W3C, Fetch Metadata), and what it
/// says of one that no other site has made: its own page, or the address bar.
const FETCH_SITE: &str = "sec-fetch-site";
const OWN_SITE: [&str; 2] = ["same-origin", "none"];
/// Of a wrong name that are shown.
const HOST_CHARS_MAX: usize = 100;

pub struct Guard {
    hosts: Vec<String>,
    token: Token,
    metrics_token: Option<Token>,
}

impl Guard {
    /// Reads the tokens; `data_dir` has the host's own.
    pub fn open(config: &Config, data_dir: &Path) -> Result<Guard, TokenError> {
        let metrics_token = config.metrics_token_file.as_deref().map(Token::read);
        Ok(Guard {
            hosts: config.hosts.clone(),
            token: Token::open(config.token_file.as_deref(), data_dir)?,
            metrics_token: metrics_token.transpose()?,
        })
    }

    /// Whether a request is for this listener at all.
    pub(super) fn admit<B>(&self, request: &Request<B>) -> Result<(), Problem> {
        let in_uri = request.uri().authority().map(Authority::as_str);
        let in_headers = request.headers().get_all(HOST);
        let in_headers = in_headers.iter().map(|host| host.to_str().unwrap_or("?"));
        let named: Vec<&str> = in_uri.into_iter().chain(in_headers).collect();
        if named.is_empty() {
            return Err(misdirected(""));
        }
        if let Some(wrong) = named.iter().find(|named| !self.is_own(named)) {
            return Err(misdirected(wrong));
        }
        let site = request.headers().get(FETCH_SITE);
        match site.is_none_or(|site| OWN_SITE.iter().any(|own| site == own)) {
            true => Ok(()),
            false => Err(of_another_site()),
        }
    }

    /// `localhost`, any address, or what the operator named; at whichever port, for a
    /// proxy or a container may have mapped it.
    fn is_own(&self, authority: &str) -> bool {
        let Some(host) = host_of(authority) else {
            return false;
        };
        let address = host.trim_start_matches('[').trim_end_matches(']');
        let names = |own: &String| own.eq_ignore_ascii_case(host);
        address.parse::<IpAddr>().is_ok()
            || host.eq_ignore_ascii_case("localhost")
            || self.hosts.iter().any(names)
    }

    pub(super) fn admit_to_api<B>(&self, request: &Request<B>) -> Result<(), Problem> {
        refuse_two_credentials(request)?;
        match presented(request).is_some_and(|token| self.token.is(token)) {
            true => Ok(()),
            false => Err(unauthorized(
                "The admin token is required, as a bearer token.",
            )),
        }
    }

    /// Whoever may change what serves may read its metrics.
    pub(super) fn admit_to_metrics<B>(&self, request: &Request<B>) -> Result<(), Problem> {
        let Some(own) = &self.metrics_token else {
            return Ok(());
        };
        refuse_two_credentials(request)?;
        let may = |token| own.is(token) | self.token.is(token);
        match presented(request).is_some_and(may) {
            true => Ok(()),
            false => Err(unauthorized(
                "The token for metrics is required, as a bearer token (admin.metrics_token_file).",
            )),
        }
    }
}

/// The host before its port. Nothing else may stand there, a user for example.
fn host_of(authority: &str) -> Option<&str> {
    let end = match authority.starts_with('[') {
        true => authority.find(']')? + 1,
        false => authority.find(':').unwrap_or(authority.len()),
    };
    let (host, rest) = authority.split_at_checked(end)?;
    let is_port = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit());
    let ends = rest.is_empty() || rest.strip_prefix(':').is_some_and(is_port);
    ends.then_some(host)
}

fn refuse_two_credentials<B>(request: &Request<B>) -> Result<(), Problem> {
    match request.headers().get_all(AUTHORIZATION).iter().count() {
        0 | 1 => Ok(()),
        _ => Err(Problem::ambiguous_credentials()),
    }
}

fn presented<B>(request: &Request<B>) -> Option<&str> {
    let value = request.headers().get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

fn unauthorized(detail: &str) -> Problem {
    let mut problem = Problem::unauthorized();
    problem.detail = detail.to_owned();
    problem.authenticate = Some("Bearer realm=\"hearth-admin\"");
    problem
}

/// RFC 9110, 15.5.20.
fn misdirected(host: &str) -> Problem {
    let shown: String = host.chars().take(HOST_CHARS_MAX).collect();
    let mut problem = Problem::bad_request("");
    problem.kind = "misdirected-request";
    problem.title = "Misdirected request";
    problem.status = StatusCode::MISDIRECTED_REQUEST;
    problem.detail = format!(
        "The host name {shown:?} is not allowed: the admin listener answers to localhost, to IP \
         addresses and to the names in admin.hosts. Add the name to admin.hosts in hearth.toml if \
         it is this host's."
    );
    problem
}

fn of_another_site() -> Problem {
    let mut problem = Problem::forbidden();
    problem.kind = "cross-site-request";
    problem.detail = "Requests from pages of other sites are not allowed (Sec-Fetch-Site). The \
                      admin listener is for tools, and for its own pages."
        .to_owned();
    problem
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guard(hosts: &[&str], metrics: bool) -> Guard {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str| {
            let file = folder.path().join(name);
            std::fs::write(&file, format!("{name}-token\n")).unwrap();
            file
        };
        let config = Config {
            token_file: Some(file("admin")),
            metrics_token_file: metrics.then(|| file("metrics")),
            hosts: hosts.iter().map(|host| (*host).to_owned()).collect(),
            ..Config::default()
        };
        Guard::open(&config, folder.path()).unwrap()
    }

    fn status(admitted: Result<(), Problem>) -> u16 {
        admitted.map_or_else(|problem| problem.status.as_u16(), |()| 200)
    }

    fn request(uri: &str, headers: &[(&str, &str)]) -> Request<()> {
        let mut request = Request::builder().uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap()
    }

    #[test]
    fn own_names_and_addresses_are_answered_and_no_other() {
        let guard = guard(&["hearth.internal"], false);
        for own in [
            "localhost",
            "LocalHost:8081",
            "127.0.0.1:8081",
            "10.1.2.3",
            "[::1]:8081",
            "[fe80::1]",
            "hearth.internal",
            "Hearth.Internal:80",
        ] {
            let by_header = guard.admit(&request("/metrics", &[("host", own)]));
            assert_eq!(status(by_header), 200, "{own}");
            let by_authority = guard.admit(&request(&format!("http://{own}/metrics"), &[]));
            assert_eq!(status(by_authority), 200, "{own}");
        }
        for other in [
            "evil.example",
            "rebound.localhost",
            "localhost.evil.example",
            "127.0.0.1.evil.example:8081",
            "localhost@evil.example",
            "not.hearth.internal",
            "hearth.internal.evil.example",
            "0x7f.1",
            "2130706433",
            "[::1].evil.example",
            "local host",
            "",
        ] {
            let admitted = guard.admit(&request("/metrics", &[("host", other)]));
            assert_eq!(status(admitted), 421, "{other}");
        }
        assert_eq!(status(guard.admit(&request("/metrics", &[]))), 421);
    }

    #[test]
    fn every_name_of_a_request_has_to_be_an_own_one() {
        let guard = guard(&[], false);
        let headers = [("host", "localhost"), ("host", "evil.example")];
        assert_eq!(status(guard.admit(&request("/", &headers))), 421);
        let other = request("http://evil.example/", &[("host", "localhost")]);
        assert_eq!(status(guard.admit(&other)), 421);
    }

    #[test]
    fn wrong_name_is_told_in_bounds_with_what_to_do() {
        let long = "x".repeat(10_000);
        let refused = guard(&[], false).admit(&request("/", &[("host", &long)]));
        let detail = refused.unwrap_err().detail;
        assert!(detail.contains("admin.hosts"), "{detail}");
        assert!(detail.len() < 400, "{detail}");
    }

    #[test]
    fn pages_of_other_sites_are_refused() {
        let guard = guard(&[], false);
        for (site, expected) in [
            ("none", 200),
            ("same-origin", 200),
            ("same-site", 403),
            ("cross-site", 403),
            ("anything", 403),
        ] {
            let headers = [("host", "localhost"), (FETCH_SITE, site)];
            assert_eq!(
                status(guard.admit(&request("/", &headers))),
                expected,
                "{site}"
            );
        }
    }

    #[test]
    fn metrics_want_their_token_where_they_have_one() {
        let with = |token: &str| request("/metrics", &[("authorization", token)]);
        let open = guard(&[], false);
        assert_eq!(
            status(open.admit_to_metrics(&request("/metrics", &[]))),
            200
        );
        let closed = guard(&[], true);
        for (shown, expected) in [
            ("Bearer metrics-token", 200),
            ("bearer  admin-token", 200),
            ("Bearer other", 401),
            ("Basic metrics-token", 401),
            ("metrics-token", 401),
        ] {
            let admitted = closed.admit_to_metrics(&with(shown));
            assert_eq!(status(admitted), expected, "{shown}");
        }
        assert_eq!(
            status(closed.admit_to_metrics(&request("/metrics", &[]))),
            401
        );
        assert_eq!(
            status(closed.admit_to_api(&with("Bearer metrics-token"))),
            401
        );
        assert_eq!(
            status(closed.admit_to_api(&with("Bearer admin-token"))),
            200
        );
    }
}
