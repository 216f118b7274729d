//! Sends what it is told to by the standard's interface, and says what came back.

use hearth_plugin::prelude::*;
use wasip2::http::outgoing_handler;
use wasip2::http::types::{
    ErrorCode, Fields, IncomingBody, Method, OutgoingBody, OutgoingRequest, RequestOptions, Scheme,
};
use wasip2::io::streams::StreamError;

fn text<'v>(told: &'v Value, key: &str) -> &'v str {
    told[key].as_str().unwrap_or_default()
}

fn headers(told: &Value) -> Result<Fields, String> {
    let fields = Fields::new();
    for header in told["headers"].as_array().into_iter().flatten() {
        let (name, value) = (header[0].as_str(), header[1].as_str());
        let value = value.unwrap_or_default().as_bytes();
        fields
            .append(name.unwrap_or_default(), value)
            .map_err(|error| format!("{error:?}"))?;
    }
    Ok(fields)
}

fn request(told: &Value) -> Result<OutgoingRequest, String> {
    let request = OutgoingRequest::new(headers(told)?);
    let refused = |what: &str| format!("no {what}");
    request
        .set_method(&Method::Other(text(told, "method").into()))
        .map_err(|()| refused("method"))?;
    let scheme = match text(told, "scheme") {
        "https" => Scheme::Https,
        _ => Scheme::Http,
    };
    request
        .set_scheme(Some(&scheme))
        .map_err(|()| refused("scheme"))?;
    request
        .set_authority(Some(text(told, "authority")))
        .map_err(|()| refused("authority"))?;
    request
        .set_path_with_query(Some(text(told, "path")))
        .map_err(|()| refused("path"))?;
    Ok(request)
}

/// In pieces, with empty ones between them.
fn write(body: OutgoingBody, text: &str) -> Result<(), String> {
    let stream = body.write().map_err(|()| "no stream")?;
    for piece in text.as_bytes().chunks(1_000) {
        for piece in [piece, b""] {
            stream
                .blocking_write_and_flush(piece)
                .map_err(|error| format!("{error:?}"))?;
        }
    }
    drop(stream);
    OutgoingBody::finish(body, None).map_err(told_by)
}

fn told_by(error: ErrorCode) -> String {
    format!("{error:?}")
}

fn read(body: &IncomingBody) -> Result<String, String> {
    let stream = body.stream().map_err(|()| "no stream")?;
    let mut bytes = Vec::new();
    loop {
        match stream.blocking_read(1 << 16) {
            Ok(piece) => bytes.extend(piece),
            Err(StreamError::Closed) => break,
            Err(StreamError::LastOperationFailed(error)) => return Err(error.to_debug_string()),
        }
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn sent(told: &Value) -> Result<Value, String> {
    let request = request(told)?;
    let body = request.body().map_err(|()| "no body")?;
    let options = RequestOptions::new();
    if let Some(millis) = told["first_byte_ms"].as_u64() {
        let _ = options.set_first_byte_timeout(Some(millis * 1_000_000));
    }
    let future = outgoing_handler::handle(request, Some(options)).map_err(told_by)?;
    let written = write(body, text(told, "body"));
    if let Some(millis) = told["trap_after_ms"].as_u64() {
        std::thread::sleep(std::time::Duration::from_millis(millis));
        panic!("told to");
    }
    future.subscribe().block();
    let answer = future.get().ok_or("not ready")?.map_err(|()| "taken")?;
    let answer = answer.map_err(told_by)?;
    written?;
    let status = answer.status();
    let body = answer.consume().map_err(|()| "consumed")?;
    Ok(json!({ "status": status, "body": read(&body)? }))
}

fn send(request: &Request) -> Answer {
    let told = request.json()?;
    let times = told["times"].as_u64().unwrap_or(1);
    let one = |_| sent(&told).unwrap_or_else(|error| json!({ "error": error }));
    let all: Vec<Value> = (0..times).map(one).collect();
    Response::json(200, &all)
}

fn router() -> Router {
    Router::new().post("/send", send)
}

hearth_plugin::handler!(router);
