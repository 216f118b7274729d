//! A good neighbour: says what it was asked, and by whom.

use hearth_plugin::prelude::*;

fn echo(request: &Request) -> Answer {
    let customer = request.caller()?.customer_id.clone();
    let body = String::from_utf8_lossy(request.body()).into_owned();
    Response::json(200, &[request.path().to_string(), customer, body])
}

/// A body of as many bytes as the path says.
fn large(_: &Request, bytes: i64) -> Answer {
    let bytes = usize::try_from(bytes).unwrap_or(0);
    Ok(Response::new(200).body("text/plain", vec![b'a'; bytes]))
}

/// The same, with the headers that the request wants of its answer.
fn dressed(request: &Request, bytes: i64) -> Answer {
    let wanted = |name: &str| request.header(&format!("answer-{name}"));
    let kind = wanted("content-type").unwrap_or("application/json");
    let bytes = usize::try_from(bytes).unwrap_or(0);
    let names = [
        "etag",
        "cache-control",
        "content-encoding",
        "set-cookie",
        "vary",
        "grip-hold",
        "grip-channel",
    ];
    let plain = Response::new(200).body(kind, vec![b'a'; bytes]);
    Ok(names.iter().fold(plain, |answer, name| match wanted(name) {
        Some(value) => answer.header(name, value),
        None => answer,
    }))
}

/// A header that no HTTP message may carry.
fn bad_header(_: &Request) -> Answer {
    Ok(Response::new(200).header("x-bad", "a\r\nset-cookie: b"))
}

/// A status that no HTTP response has.
fn bad_status(_: &Request) -> Answer {
    Ok(Response::new(42))
}

fn router() -> Router {
    Router::new()
        .get("/", echo)
        .post("/", echo)
        .get("/large/{bytes}", large)
        .get("/dressed/{bytes}", dressed)
        .get("/bad-header", bad_header)
        .get("/bad-status", bad_status)
}

hearth_plugin::handler!(router);
