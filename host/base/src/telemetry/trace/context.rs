//! What a request or a message says of the trace that it belongs to: W3C Trace Context,
//! and the header of AWS's load balancers.

use http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceId, TraceState};

use super::TraceScope;

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");
const XRAY: HeaderName = HeaderName::from_static("x-amzn-trace-id");

/// Bytes of a `tracestate` that is taken over. Source: W3C, which asks for so much.
const TRACESTATE_BYTES_MAX: usize = 512;
const NO_PARENT: &str = "0000000000000000";

/// Bytes of version 00, and those that every later one begins with.
const TRACEPARENT_BYTES: usize = 55;

/// The span elsewhere that caused what happens here.
#[derive(Clone, Debug, PartialEq)]
pub struct RemoteParent {
    pub context: SpanContext,
    /// `None` where whoever asks leaves it open.
    pub sampled: Option<bool>,
}

impl RemoteParent {
    fn new(trace: TraceId, span: SpanId, sampled: Option<bool>) -> RemoteParent {
        let flags = TraceFlags::default().with_sampled(sampled == Some(true));
        let context = SpanContext::new(trace, span, flags, true, TraceState::default());
        RemoteParent { context, sampled }
    }

    /// Whether both are of one trace.
    pub(super) fn joins(&self, other: &RemoteParent) -> bool {
        self.context.trace_id() == other.context.trace_id()
    }
}

/// What a request's headers say. Where `traceparent` stands there and cannot be read, or
/// stands there twice, the request begins a trace.
pub(super) fn parent_of(headers: &HeaderMap) -> Option<RemoteParent> {
    let mut values = headers.get_all(TRACEPARENT).iter();
    match (values.next(), values.next()) {
        (None, _) => headers.get(XRAY)?.to_str().ok().and_then(of_xray),
        (Some(value), None) => {
            let mut parent = parse(value.to_str().ok()?.trim())?;
            parent.context = with_state(&parent.context, headers);
            Some(parent)
        }
        (Some(_), Some(_)) => None,
    }
}

/// Reads the value of a `traceparent`, of version 00 or a later one.
pub fn parse(text: &str) -> Option<RemoteParent> {
    let bytes = text.as_bytes();
    let is_shaped = |(at, byte): (usize, &u8)| match at {
        2 | 35 | 52 => *byte == b'-',
        _ => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
    };
    let head = bytes.get(..TRACEPARENT_BYTES)?;
    if !head.iter().enumerate().all(is_shaped) {
        return None;
    }
    match (text.get(..2)?, bytes.get(TRACEPARENT_BYTES)) {
        ("ff", _) => return None,
        ("00", Some(_)) => return None,
        (_, Some(next)) if *next != b'-' => return None,
        _ => {}
    }
    let trace = TraceId::from_hex(text.get(3..35)?).ok()?;
    let span = SpanId::from_hex(text.get(36..52)?).ok()?;
    let flags = u8::from_str_radix(text.get(53..55)?, 16).ok()?;
    let sampled = TraceFlags::new(flags).is_sampled();
    let parent = RemoteParent::new(trace, span, Some(sampled));
    parent.context.is_valid().then_some(parent)
}

/// A `tracestate` that is too long, or none, is left out; the trace goes on.
fn with_state(context: &SpanContext, headers: &HeaderMap) -> SpanContext {
    let lines = headers.get_all(TRACESTATE).iter();
    let lines: Vec<&str> = lines.filter_map(|line| line.to_str().ok()).collect();
    let text = lines.join(",");
    let state = match text.len() <= TRACESTATE_BYTES_MAX {
        true => text.parse().unwrap_or_default(),
        false => TraceState::default(),
    };
    SpanContext::new(
        context.trace_id(),
        context.span_id(),
        context.trace_flags(),
        true,
        state,
    )
}

/// `Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1`. A load
/// balancer names the trace alone: the first span here has no parent then.
fn of_xray(text: &str) -> Option<RemoteParent> {
    let field = |name: &str| {
        let mut fields = text.split(';').filter_map(|field| field.split_once('='));
        fields.find_map(|(key, value)| (key.trim() == name).then_some(value.trim()))
    };
    let (time, rest) = field("Root")?.strip_prefix("1-")?.split_once('-')?;
    let is_hex = |text: &str, digits: usize| {
        text.len() == digits && text.bytes().all(|byte| byte.is_ascii_hexdigit())
    };
    let parent = field("Parent").unwrap_or(NO_PARENT);
    if !is_hex(time, 8) || !is_hex(rest, 24) || !is_hex(parent, 16) {
        return None;
    }
    let trace = TraceId::from_hex(&[time, rest].concat()).ok()?;
    let span = SpanId::from_hex(parent).ok()?;
    let sampled = match field("Sampled") {
        Some("1") => Some(true),
        Some("0") => Some(false),
        _ => None,
    };
    (trace != TraceId::INVALID).then(|| RemoteParent::new(trace, span, sampled))
}

/// The value of `traceparent` for what is sent from here.
pub fn traceparent(scope: &TraceScope) -> Option<String> {
    let context = scope.context()?;
    Some(format!(
        "00-{}-{}-{:02x}",
        context.trace_id(),
        context.span_id(),
        context.trace_flags()
    ))
}

/// Puts the headers of the trace on a request that leaves, in place of any that a guest
/// put there.
pub fn forward(scope: &TraceScope, headers: &mut HeaderMap) {
    let (Some(context), Some(parent)) = (scope.context(), traceparent(scope)) else {
        return;
    };
    let state = context.trace_state().header();
    headers.remove(TRACESTATE);
    if let Ok(value) = HeaderValue::try_from(parent) {
        headers.insert(TRACEPARENT, value);
    }
    match HeaderValue::try_from(state) {
        Ok(value) if !value.is_empty() => drop(headers.insert(TRACESTATE, value)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn headers(all: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in all {
            headers.append(*name, HeaderValue::from_str(value).unwrap());
        }
        headers
    }

    #[test]
    fn traceparent_of_this_and_of_a_later_version_is_read() {
        for text in [
            GOOD,
            &GOOD.replacen("00", "cc", 1),
            &format!("01{}-x", &GOOD[2..]),
        ] {
            let parent = parse(text).unwrap();
            assert_eq!(parent.sampled, Some(true), "{text}");
            let trace = parent.context.trace_id().to_string();
            assert_eq!(trace, "4bf92f3577b34da6a3ce929d0e0e4736");
        }
        let unsampled = [&GOOD[..53], "02"].concat();
        assert_eq!(parse(&unsampled).unwrap().sampled, Some(false));
    }

    #[test]
    fn traceparent_that_is_malformed_says_nothing() {
        let zero_trace = format!("00-{}-00f067aa0ba902b7-01", "0".repeat(32));
        let zero_span = format!("00-4bf92f3577b34da6a3ce929d0e0e4736-{}-01", "0".repeat(16));
        for text in [
            "",
            "00",
            &GOOD[..54],
            &format!("{GOOD}-"),
            &format!("{GOOD}0"),
            &format!("cc{}x", &GOOD[2..]),
            &GOOD.replacen("00", "ff", 1),
            &GOOD.to_uppercase(),
            &GOOD.replace('-', "_"),
            &GOOD.replacen("4bf9", "+bf9", 1),
            &GOOD.replacen("4bf9", "4bfé", 1),
            &zero_trace,
            &zero_span,
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn header_that_stands_there_twice_begins_a_trace() {
        let one = headers(&[
            ("traceparent", GOOD),
            ("tracestate", "a=1"),
            ("tracestate", "b=2"),
        ]);
        let context = parent_of(&one).unwrap().context;
        assert_eq!(context.trace_state().header(), "a=1,b=2");
        let two = headers(&[("traceparent", GOOD), ("traceparent", GOOD)]);
        assert_eq!(parent_of(&two), None);
    }

    #[test]
    fn state_that_is_too_long_or_broken_is_left_out() {
        for state in [&format!("a={}", "x".repeat(600)), "nothing"] {
            let all = headers(&[("traceparent", GOOD), ("tracestate", state)]);
            let context = parent_of(&all).unwrap().context;
            assert_eq!(context.trace_state().header(), "");
        }
    }

    #[test]
    fn header_of_xray_counts_where_there_is_no_traceparent() {
        let root = "Root=1-5759e988-bd862e3fe1be46a994272793";
        let read = |text: &str| parent_of(&headers(&[("x-amzn-trace-id", text)]));
        let whole = format!("{root};Parent=53995c3f42cd8ad8;Sampled=1");
        let parent = read(&whole).unwrap();
        let trace = parent.context.trace_id().to_string();
        assert_eq!(trace, "5759e988bd862e3fe1be46a994272793");
        assert_eq!(parent.sampled, Some(true));
        let open = read(&format!("{root}; Parent=53995c3f42cd8ad8;Sampled=?")).unwrap();
        assert_eq!(open.sampled, None);
        let alone = read(root).unwrap();
        assert_eq!(alone.context.trace_id(), parent.context.trace_id());
        assert_eq!(alone.context.span_id(), SpanId::INVALID);
        let zero = format!("Root=1-{}-{}", "0".repeat(8), "0".repeat(24));
        let broken = format!("{root};Parent=x");
        for text in [
            "Root=1-5759e988;Parent=53995c3f42cd8ad8",
            "",
            "Root=é",
            &zero,
            &broken,
        ] {
            assert_eq!(read(text), None, "{text}");
        }
        let both = headers(&[("traceparent", "broken"), ("x-amzn-trace-id", &whole)]);
        assert_eq!(parent_of(&both), None);
    }
}
