//! Sends what it is told to, as often as it is told to, and says what came back. It
//! also asks whether that would be sent.

use std::time::Duration;

use hearth_plugin::outbound;
use hearth_plugin::prelude::*;

fn text<'v>(told: &'v Value, key: &str) -> &'v str {
    told[key].as_str().unwrap_or_default()
}

fn number(told: &Value, key: &str, default: u64) -> u64 {
    told[key].as_u64().unwrap_or(default)
}

fn told_to(told: &Value) -> outbound::Request {
    let mut request = outbound::Request::new(text(told, "method"), text(told, "url"))
        .body(text(told, "body").as_bytes().to_vec())
        .timeout(Duration::from_millis(number(told, "timeout_ms", 10_000)))
        .max_response_bytes(number(told, "max_response_bytes", 1 << 20));
    for header in told["headers"].as_array().into_iter().flatten() {
        let (name, value) = (header[0].as_str(), header[1].as_str());
        request = request.header(name.unwrap_or_default(), value.unwrap_or_default());
    }
    request
}

fn shown(sent: Result<outbound::Answer, outbound::Error>) -> Value {
    match sent {
        Err(error) => json!({ "error": format!("{error:?}") }),
        Ok(answer) => json!({
            "status": answer.status,
            "body": String::from_utf8_lossy(&answer.body),
        }),
    }
}

fn send(request: &Request) -> Answer {
    let told = request.json()?;
    let times = number(&told, "times", 1);
    let sent: Vec<Value> = (0..times).map(|_| shown(told_to(&told).send())).collect();
    Response::json(200, &sent)
}

fn check(request: &Request) -> Answer {
    let told = request.json()?;
    let refusals = told_to(&told).check().err().unwrap_or_default();
    let refusals: Vec<String> = refusals.iter().map(|one| format!("{one:?}")).collect();
    Response::json(200, &refusals)
}

fn router() -> Router {
    Router::new().post("/send", send).post("/check", check)
}

hearth_plugin::handler!(router);
