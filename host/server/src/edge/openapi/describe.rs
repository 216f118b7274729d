//! What the host adds to every operation, so that no author has to write it: the
//! tag, the key, and the answers and headers that come from the host itself.

use serde_json::{Map, Value, json};

use super::merge::Part;

/// The tag of the host's own paths.
pub(super) const HOST: &str = "host";

const METHODS: [&str; 8] = [
    "get", "put", "post", "delete", "options", "head", "patch", "trace",
];

/// What the host may answer in the plugin's place, for any request.
const ANSWERS: [(&str, &str); 8] = [
    ("400", "BadRequest"),
    ("401", "Unauthorized"),
    ("414", "UriTooLong"),
    ("429", "TooManyRequests"),
    ("500", "PluginFailed"),
    ("502", "BadGateway"),
    ("503", "Unavailable"),
    ("504", "DeadlineExceeded"),
];

/// The same, where the request has a body.
const BODY_ANSWERS: [(&str, &str); 2] = [("408", "RequestTimeout"), ("413", "PayloadTooLarge")];

/// The same, where the request may carry an idempotency key.
const KEY_ANSWERS: [(&str, &str); 2] = [("409", "Conflict"), ("422", "Unprocessable")];

/// On every answer that a plugin gives.
const HEADERS: [&str; 4] = [
    "X-Request-Id",
    "Hearth-Plugin",
    "RateLimit-Policy",
    "RateLimit",
];

/// A path of a plugin.
pub(super) fn path(item: &mut Value, part: &Part) {
    for (method, operation) in operations(item) {
        operation.insert("tags".into(), json!([&*part.plugin]));
        if part.public && !operation.contains_key("security") {
            // A key that is shown must still be a valid one.
            let security = json!([{}, {"ApiKey": []}, {"Bearer": []}]);
            operation.insert("security".into(), security);
        }
        let keyed = ["post", "patch"].contains(&method);
        if keyed {
            add_parameter(operation, "Idempotency-Key");
        }
        add_answers(operation, keyed);
    }
}

fn add_answers(operation: &mut Map<String, Value>, keyed: bool) {
    let has_body = operation.contains_key("requestBody");
    let Some(Value::Object(responses)) = operation.get_mut("responses") else {
        return;
    };
    for answer in responses.values_mut() {
        response(answer);
        if keyed {
            header(answer, "Idempotency-Replayed");
        }
    }
    let of_body = BODY_ANSWERS.iter().filter(|_| has_body);
    let of_key = KEY_ANSWERS.iter().filter(|_| keyed);
    for (status, name) in ANSWERS.iter().chain(of_body).chain(of_key) {
        let reference = json!({"$ref": format!("#/components/responses/{name}")});
        responses.entry(*status).or_insert(reference);
    }
}

fn add_parameter(operation: &mut Map<String, Value>, name: &str) {
    let parameters = operation.entry("parameters").or_insert_with(|| json!([]));
    if let Value::Array(parameters) = parameters {
        parameters.push(json!({"$ref": format!("#/components/parameters/{name}")}));
    }
}

/// What a plugin sends to a customer's own endpoint: the host adds the tag alone.
pub(super) fn webhook(item: &mut Value, part: &Part) {
    for (_, operation) in operations(item) {
        operation.insert("tags".into(), json!([&*part.plugin]));
        operation.entry("security").or_insert_with(|| json!([]));
    }
}

/// A path of the host's own.
pub(super) fn host_path(item: &mut Value) {
    for (_, operation) in operations(item) {
        operation.insert("tags".into(), json!([HOST]));
        let answers = operation
            .get_mut("responses")
            .and_then(Value::as_object_mut);
        let answers = answers.into_iter().flat_map(Map::values_mut);
        answers.for_each(host_answer);
    }
}

/// An answer of the host's own.
pub(super) fn host_answer(answer: &mut Value) {
    header(answer, "X-Request-Id");
}

/// An answer of a plugin: it carries the host's headers, unless it is a reference
/// to one which does.
pub(super) fn response(response: &mut Value) {
    HEADERS.iter().for_each(|name| header(response, name));
}

fn header(response: &mut Value, name: &str) {
    let Some(response) = response.as_object_mut() else {
        return;
    };
    if response.contains_key("$ref") {
        return;
    }
    let headers = response.entry("headers").or_insert_with(|| json!({}));
    if let Some(headers) = headers.as_object_mut() {
        let reference = json!({"$ref": format!("#/components/headers/{name}")});
        headers.entry(name).or_insert(reference);
    }
}

fn operations(item: &mut Value) -> impl Iterator<Item = (&str, &mut Map<String, Value>)> {
    let members = item.as_object_mut().into_iter().flatten();
    members
        .filter(|(name, _)| METHODS.contains(&name.as_str()))
        .filter_map(|(name, operation)| Some((name.as_str(), operation.as_object_mut()?)))
}
