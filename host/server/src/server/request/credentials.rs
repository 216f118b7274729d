//! The key that a request shows.

use http::HeaderMap;
use http::header::{AUTHORIZATION, HeaderName, HeaderValue};

use super::COME_AGAIN;
use crate::edge::keys::AuthError;
use crate::edge::problem::Problem;

const API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// The key of `X-API-Key`, or of `Authorization: Bearer` (RFC 6750). A request with
/// both, or with two of one, is refused: whoever passed it on may have judged by the
/// other one.
pub(super) fn presented_key(headers: &HeaderMap) -> Result<Option<&str>, Problem> {
    let key = only(headers, &API_KEY)?;
    let authorization = only(headers, &AUTHORIZATION)?;
    match (key, authorization) {
        (Some(_), Some(value)) if is_bearer(value) => Err(Problem::ambiguous_credentials()),
        (Some(key), _) => readable(key).map(Some),
        (None, Some(value)) if is_bearer(value) => {
            let token = readable(value)?.split_once(' ');
            Ok(Some(token.map_or("", |(_, token)| token.trim())))
        }
        (None, Some(_)) => Err(Problem::unauthorized()),
        (None, None) => Ok(None),
    }
}

/// The value of a header that stands there once or not at all.
fn only<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Result<Option<&'h HeaderValue>, Problem> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (value, None) => Ok(value),
        _ => Err(Problem::ambiguous_credentials()),
    }
}

fn is_bearer(value: &HeaderValue) -> bool {
    let scheme = value.as_bytes().split(|byte| *byte == b' ').next();
    scheme.is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"bearer"))
}

fn readable(value: &HeaderValue) -> Result<&str, Problem> {
    value
        .to_str()
        .map(str::trim)
        .map_err(|_| Problem::unauthorized())
}

pub(super) fn unauthenticated(error: AuthError) -> Problem {
    match error {
        AuthError::Unavailable => Problem::unavailable(COME_AGAIN),
        _ => Problem::unauthorized(),
    }
}
