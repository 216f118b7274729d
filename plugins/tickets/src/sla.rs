//! Service levels: how soon a ticket is answered and solved, in business time.
//!
//! `calendar` and `clock` only compute; `policy` and `hours` are what customers write;
//! `plan` is what applies to a ticket, and `track` updates its clocks in the
//! transaction of each change. `looks` decides whether an `order` to check the clocks
//! is sent with it, which `watch` carries out; `review` goes through all tickets.

pub mod calendar;
pub mod calendars;
pub mod clock;
pub mod hours;
pub mod looks;
pub mod order;
pub mod plan;
pub mod policies;
pub mod policy;
pub mod review;
pub mod tier;
pub mod track;
pub mod view;
pub mod watch;

#[cfg(test)]
mod tests;

use hearth_plugin::etag;
use hearth_plugin::prelude::*;
use hearth_plugin::router::PathParameter;

/// Policies, and calendars, of a customer at most (`sql/sla.rs` counts them).
const KEPT_MAX: usize = 100;

/// The id of a policy or calendar, which its customer chooses; anything else in a
/// path is 404.
pub struct SlaId(pub String);

impl PathParameter for SlaId {
    fn from_segment(text: &str) -> Option<Self> {
        is_id(text).then(|| SlaId(text.to_string()))
    }
}

/// 1 to 64 of a to z, 0 to 9, `-` and `_`, the first a letter or digit.
fn is_id(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let mut bytes = text.bytes();
    bytes.next().is_some_and(plain)
        && bytes.all(|byte| plain(byte) || matches!(byte, b'-' | b'_'))
        && text.len() <= 64
}

fn too_many(what: &str) -> Problem {
    let detail = format!("too many {what}: a customer may have at most {KEPT_MAX}");
    Problem::new(409, "limit-reached", "Too many").detail(detail)
}

/// 412 where the client wants another one than there is, which has the tag of what GET
/// shows.
fn check(request: &Request, shown: Option<&Value>) -> Result<(), Problem> {
    let shown = shown.map(|body| Response::json(200, body)).transpose()?;
    request.check_preconditions(shown.map(|shown| shown.etag()).as_deref())
}

/// 412 where the client wants none, and another request made one between the look and the
/// write.
fn check_made(request: &Request, was_there: bool, created: bool) -> Result<(), Problem> {
    match was_there || created {
        true => Ok(()),
        false => request.check_preconditions(Some(etag::UNKNOWN)),
    }
}

/// The answer to a PUT: 201 with `Location` where it was not there before.
fn put(request: &Request, created: bool, path: &str, body: &Value) -> Answer {
    match created {
        true => Ok(Response::json(201, body)?.header("location", &request.link(path))),
        false => Response::json(200, body),
    }
}
