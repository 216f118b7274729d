//! Caches what it is told to, and says what it found.

use std::time::Duration;

use hearth_plugin::cache::{self, Found, Options};
use hearth_plugin::prelude::*;

fn options() -> Options {
    Options::for_(Duration::from_secs(3_600)).tag("all")
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8_lossy(&bytes).into_owned()
}

fn show(_: &Request, key: String) -> Answer {
    Response::json(200, &cache::get_local(&key).map(|entry| text(entry.value)))
}

fn store(request: &Request, key: String) -> Answer {
    let stored = cache::set(&key, request.body(), &options());
    Response::json(200, &format!("{stored:?}"))
}

fn remove(_: &Request, key: String) -> Answer {
    cache::delete(&key);
    Ok(Response::no_content())
}

fn invalidate(_: &Request, tag: String) -> Answer {
    cache::invalidate_tag(&tag);
    Ok(Response::no_content())
}

/// Computes for as many milliseconds as the body says; past a limit it traps.
fn compute(request: &Request, key: String) -> Answer {
    let lease = match cache::lookup_local(&key) {
        Found::Hit(entry) | Found::Stale(entry, None) => {
            return Response::json(200, &("found", text(entry.value)));
        }
        Found::Stale(_, Some(lease)) | Found::Miss(lease) => lease,
    };
    let work = text(request.body().to_vec());
    let (millis, trap) = match work.strip_suffix(" trap") {
        Some(millis) => (millis, true),
        None => (&*work, false),
    };
    std::thread::sleep(Duration::from_millis(millis.parse().unwrap_or(0)));
    assert!(!trap, "told to");
    let stored = lease.fulfil(work.as_bytes(), &options());
    Response::json(200, &(format!("{stored:?}"), work))
}

/// Computes what the body says, for every host of the fleet.
fn share(request: &Request, key: String) -> Answer {
    let mut computed = false;
    let value = cache::get_or_compute(&key, &options().shared(), || {
        computed = true;
        Ok::<_, Problem>(request.body().to_vec())
    })?;
    Response::json(200, &(computed, text(value)))
}

/// Asks for a key whose lease this very call holds.
fn twice(_: &Request, key: String) -> Answer {
    let first = cache::lookup_local(&key);
    let second = cache::lookup(&key);
    let both = matches!((first, second), (Found::Miss(_), Found::Miss(_)));
    Response::json(200, &both)
}

fn router() -> Router {
    Router::new()
        .get("/keys/{key}", show)
        .put("/keys/{key}", store)
        .delete("/keys/{key}", remove)
        .delete("/tags/{tag}", invalidate)
        .post("/computed/{key}", compute)
        .post("/shared/{key}", share)
        .post("/twice/{key}", twice)
}

hearth_plugin::handler!(router);
