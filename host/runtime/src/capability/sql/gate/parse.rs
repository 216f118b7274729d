//! From a text to its parse tree, by Postgres's own grammar.

use std::panic::{AssertUnwindSafe, catch_unwind};

use pg_query::protobuf::ScanToken;

use super::Refusal;
use super::walk::Node;

/// How often an error message's token may stand in the text before the search
/// for the one that is meant is given up.
const CANDIDATES_MAX: usize = 16;

/// Parses a text of one or more statements.
pub fn parse(text: &str, bytes_max: usize) -> Result<Node, Refusal> {
    if text.len() > bytes_max {
        let reason = format!("has {} bytes; {bytes_max} are allowed", text.len());
        return Err(Refusal::new(text, reason, None));
    }
    match guarded(text) {
        Ok(tree) => Ok(tree),
        Err(message) => Err(Refusal::new(
            text,
            explain(&message),
            position(text, &message),
        )),
    }
}

/// A panic in the parser's Rust part is an error like any other: the text is an
/// author's. Its C part bounds its own stack.
fn guarded(text: &str) -> Result<Node, String> {
    let parsed = catch_unwind(AssertUnwindSafe(|| pg_query::parse(text, 0)));
    let result = parsed.map_err(|_| "the parser failed on it".to_owned())?;
    let result = result.map_err(|error| match error {
        pg_query::Error::Parse(message) => message,
        pg_query::Error::Decode(_) => TOO_DEEP.to_owned(),
        other => other.to_string(),
    })?;
    Node::of(&result.protobuf).map_err(|error| error.to_string())
}

const TOO_DEEP: &str = "it is nested too deeply (some 45 levels are allowed; a chain of operators \
                        counts one each)";

fn explain(message: &str) -> String {
    match message.contains("stack depth") {
        true => TOO_DEEP.to_owned(),
        false => message.to_owned(),
    }
}

/// Where a syntax error is. The parser tells only the token (`syntax error at or
/// near "form"`), so each place where that token stands is tried: the error is
/// at the first place where the text up to and with the token has the same error.
fn position(text: &str, message: &str) -> Option<usize> {
    let near = message.split_once("at or near \"")?.1.strip_suffix('"')?;
    let tokens = pg_query::scan_tokens(text).ok()?;
    let spans = tokens
        .iter()
        .filter_map(span)
        .filter(|(start, end)| text.get(*start..*end) == Some(near));
    let candidates = spans.take(CANDIDATES_MAX).collect::<Vec<_>>();
    if let [(start, _)] = candidates.as_slice() {
        return Some(*start);
    }
    let same = |end: usize| guarded(text.get(..end).unwrap_or(text)).is_err_and(|e| e == message);
    candidates
        .into_iter()
        .find(|(_, end)| same(*end))
        .map(|(start, _)| start)
}

/// Where a token begins and ends, in bytes.
pub fn span(token: &ScanToken) -> Option<(usize, usize)> {
    Some((
        usize::try_from(token.start).ok()?,
        usize::try_from(token.end).ok()?,
    ))
}
