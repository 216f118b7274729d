//! The problems for bodies that are not valid JSON.

use super::read::{DEPTH_MAX, Fault, Reason};
use crate::problem::Problem;

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
pub(super) fn invalid(fault: &Fault, body: &[u8]) -> Problem {
    let (line, column) = fault.line_and_column(body);
    let place = format!("at line {line}, column {column}");
    let (kind, title, detail) = match fault.reason {
        Reason::Syntax => return malformed(format!("the body is not valid JSON {place}")),
        Reason::TooDeep => (
            "json-too-deep",
            "JSON is nested too deeply",
            format!(
                "the body is nested too deeply: at most {DEPTH_MAX} levels are allowed, {place}"
            ),
        ),
        Reason::NumberTooLarge => (
            "number-too-large",
            "Number too large",
            format!(
                "a number in the body is out of range, {place}: past 1.8e308, nearer to zero than \
                 1e-400, or of more than 1,000 characters; send it as text"
            ),
        ),
        Reason::NameTwice => (
            "name-given-twice",
            "Name given twice",
            format!("an object in the body has this name twice, {place}; give each name once"),
        ),
    };
    Problem::new(400, kind, title).detail(detail)
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
