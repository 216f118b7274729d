//! Answers that the host may keep. Each says when it was made, so that a kept one
//! is known again.

use std::time::Duration;

use hearth_plugin::cache::{self, Options};
use hearth_plugin::prelude::*;

/// What is stored lies in the cache, which for a test is store enough.
fn stored(name: &str) -> String {
    let entry = cache::get_local(name);
    entry.map_or_else(String::new, |entry| {
        String::from_utf8_lossy(&entry.value).into_owned()
    })
}

fn made(name: &str) -> Answer {
    let value = stored(name);
    Response::json(200, &json!({"value": value, "made": id::new("made")}))
}

fn show(request: &Request, name: String) -> Answer {
    let mut query = request.query()?;
    let wait = query.integer("wait").range(0..=10_000).or(0);
    let value = stored(&name);
    // Long enough for a change to come in between.
    std::thread::sleep(Duration::from_millis(u64::try_from(wait).unwrap_or(0)));
    if value == "gone" {
        return Err(Problem::not_found());
    }
    let scopes = request.caller()?.has_scope("agent");
    let body = json!({"value": value, "made": id::new("made"), "agent": scopes});
    Ok(Response::json(200, &body)?.header("hearth-cache-tag", "things, shown"))
}

fn change(request: &Request, name: String) -> Answer {
    let options = Options::for_(Duration::from_secs(3_600));
    let set = cache::set(&name, request.body(), &options);
    cache::invalidate_tag(&format!("thing:{name}"));
    Response::json(200, &set.is_ok())
}

fn invalidate(_: &Request, tag: String) -> Answer {
    cache::invalidate_tag(&tag);
    Ok(Response::no_content())
}

fn cookie(_: &Request) -> Answer {
    let answer = made("cookie")?;
    Ok(answer.header("set-cookie", "a=b"))
}

fn plain(_: &Request) -> Answer {
    Ok(Response::new(200).body("text/plain", b"always the same".to_vec()))
}

fn own(_: &Request) -> Answer {
    Ok(Response::new(200)
        .body("text/plain", b"a version".to_vec())
        .header("etag", "W/\"7\"")
        .header("x-own", "kept"))
}

/// Only the plugin can judge a version while it changes it.
fn put_own(request: &Request) -> Answer {
    Response::json(200, &request.header("if-match"))
}

fn router() -> Router {
    Router::new()
        .get("/things/{name}", show)
        .put("/things/{name}", change)
        .delete("/tags/{tag}", invalidate)
        .get("/cookie", cookie)
        .get("/plain", plain)
        .get("/own", own)
        .put("/own", put_own)
}

hearth_plugin::handler!(router);
