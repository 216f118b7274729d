//! Why a body is not read as JSON, as its sender shall hear it.

use serde_json::Error;

use crate::problem::Problem;

/// How deep serde_json reads: 127 arrays and objects within each other.
const LEVELS_MAX: usize = 127;

/// 415: the body is said to be something else.
pub(super) fn other_type(media_type: &str) -> Problem {
    let shown: String = media_type.chars().take(100).collect();
    let detail = if is_form(media_type) {
        "the body is a form; send JSON, with Content-Type: application/json".to_string()
    } else {
        format!("the body is {shown}; send JSON, with Content-Type: application/json")
    };
    Problem::new(415, "unsupported-media-type", "Not JSON")
        .detail(detail)
        .header("accept", "application/json")
}

/// 400, with the line and column.
pub(super) fn invalid(error: &Error) -> Problem {
    let place = format!("at line {}, column {}", error.line(), error.column());
    // serde_json tells its reasons apart in its texts alone.
    let reason = error.to_string();
    if reason.starts_with("recursion limit exceeded") {
        let detail = format!("the body is nested more than {LEVELS_MAX} levels deep, {place}");
        return Problem::new(400, "json-too-deep", "JSON is nested too deeply").detail(detail);
    }
    if reason.starts_with("number out of range") {
        let detail = format!("a number of the body is too large to be read, {place}");
        return Problem::new(400, "number-too-large", "Number too large").detail(detail);
    }
    malformed(format!("the body is not valid JSON {place}"))
}

pub(super) fn empty() -> Problem {
    malformed("the body is empty; a JSON object is expected".into())
}

fn malformed(detail: String) -> Problem {
    Problem::new(400, "invalid-json", "Invalid JSON").detail(detail)
}

/// What HTML forms send, and `curl -d` whatever it sends.
pub(super) fn is_form(media_type: &str) -> bool {
    media_type == "application/x-www-form-urlencoded"
}
