//! Answers that are computed once after each load, and cached.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use hearth_plugin::cache::{self, Found, Options};
use hearth_plugin::prelude::*;

use crate::month::Month;
use crate::sql::records::ledger;

/// How long an answer is good, if no record comes.
const TTL: Duration = Duration::from_secs(3_600);

/// The answer of that kind for those parameters: out of the cache, or computed. Its
/// key holds the number of the customer's last load, so what was computed before it
/// is never found again; and the month, which is what makes a month a partial one.
/// Of all requests that miss it at once one computes. A problem is not cached.
pub fn answer(
    request: &Request,
    kind: &str,
    parameters: &[String],
    compute: impl FnOnce(&Database) -> Result<Value, Problem>,
) -> Answer {
    let database = request.database();
    let version = ledger(&database)?.map_or(0, |ledger| ledger.version);
    let key = json!([kind, version, Month::now().to_string(), parameters]).to_string();
    match cache::lookup(&key) {
        Found::Hit(entry) | Found::Stale(entry, None) => Ok(respond(entry.value, entry.age, "HIT")),
        Found::Stale(_, Some(lease)) | Found::Miss(lease) => {
            let body = compute(&database)?.to_string().into_bytes();
            let _ = lease.fulfil(&body, &Options::for_(TTL).shared());
            Ok(respond(body, Duration::ZERO, "MISS"))
        }
    }
}

fn respond(body: Vec<u8>, age: Duration, outcome: &str) -> Response {
    let mut hasher = DefaultHasher::new();
    body.hash(&mut hasher);
    let etag = format!("\"{:016x}\"", hasher.finish());
    Response::new(200)
        .body("application/json", body)
        .header("etag", &etag)
        .header("age", &age.as_secs().to_string())
        .header("cache-control", "private, no-cache")
        .header("x-cache", outcome)
}
