//! One span, and where in a trace it belongs.

use std::fmt::{self, Debug, Display};
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use opentelemetry::trace::{Link, SpanContext, SpanId, SpanKind, Status, TraceId};
use opentelemetry::{InstrumentationScope, KeyValue, StringValue, Value};
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};

use super::TracePart;
use crate::budget::Customer;

/// Why a span failed: the name of OpenTelemetry's conventions.
const ERROR_TYPE: &str = "error.type";

/// A place in a trace: spans that are begun here are children of one span. Nowhere, where
/// nobody traces. Cloning shares it.
#[derive(Clone, Default)]
pub struct TraceScope(Option<ParentSpan>);

#[derive(Clone)]
struct ParentSpan {
    part: Arc<TracePart>,
    span: SpanId,
}

impl Debug for TraceScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TraceScope").field(&self.trace_id()).finish()
    }
}

impl TraceScope {
    /// Begins a span.
    pub fn span(&self, name: impl Display, kind: SpanKind) -> Span {
        let Some(ParentSpan { part, span }) = &self.0 else {
            return Span::default();
        };
        let mut begun = OpenSpan::new(part.clone(), kind);
        begun.name = name.to_string();
        begun.parent = *span;
        Span(Some(Box::new(begun)))
    }

    pub fn trace_id(&self) -> Option<TraceId> {
        self.0.as_ref().map(|place| place.part.trace_id())
    }

    /// What others are told of it.
    pub fn context(&self) -> Option<SpanContext> {
        self.0.as_ref().map(|place| place.part.context(place.span))
    }

    /// Whose request it is, once that is known.
    pub fn belongs_to(&self, customer: &Customer) {
        if let Some(place) = &self.0 {
            place.part.belongs_to(customer);
        }
    }
}

/// Something that takes time. Dropped, it has ended.
#[derive(Default)]
pub struct Span(Option<Box<OpenSpan>>);

struct OpenSpan {
    part: Arc<TracePart>,
    id: SpanId,
    parent: SpanId,
    parent_is_remote: bool,
    /// Of the part, whose time is that of all.
    is_first: bool,
    kind: SpanKind,
    name: String,
    began: SystemTime,
    since: Instant,
    attributes: Vec<KeyValue>,
    links: SpanLinks,
    status: Status,
}

impl OpenSpan {
    fn new(part: Arc<TracePart>, kind: SpanKind) -> OpenSpan {
        OpenSpan {
            id: part.new_span_id(),
            part,
            parent: SpanId::INVALID,
            parent_is_remote: false,
            is_first: false,
            kind,
            name: String::new(),
            began: SystemTime::now(),
            since: Instant::now(),
            attributes: Vec::new(),
            links: SpanLinks::default(),
            status: Status::Unset,
        }
    }
}

impl Span {
    /// The first of a part.
    pub(super) fn first(
        part: Arc<TracePart>,
        kind: SpanKind,
        parent: Option<&SpanContext>,
        links: Vec<SpanContext>,
    ) -> Span {
        let mut begun = OpenSpan::new(part, kind);
        begun.is_first = true;
        if let Some(parent) = parent {
            begun.parent = parent.span_id();
            begun.parent_is_remote = parent.is_valid();
        }
        let links = links.into_iter();
        let links = links.map(|context| Link::new(context, Vec::new(), 0));
        begun.links.links.extend(links);
        Span(Some(Box::new(begun)))
    }

    /// Where its children belong.
    pub fn scope(&self) -> TraceScope {
        let place = |open: &OpenSpan| ParentSpan {
            part: open.part.clone(),
            span: open.id,
        };
        TraceScope(self.0.as_deref().map(place))
    }

    pub fn is_recorded(&self) -> bool {
        self.0.is_some()
    }

    pub fn rename(&mut self, name: impl Display) {
        if let Some(open) = &mut self.0 {
            open.name = name.to_string();
        }
    }

    pub fn text(&mut self, key: &'static str, value: impl Display) {
        if let Some(open) = &mut self.0 {
            let value = Value::String(StringValue::from(value.to_string()));
            open.attributes.push(KeyValue::new(key, value));
        }
    }

    pub fn number(&mut self, key: &'static str, value: impl TryInto<i64>) {
        if let Some(open) = &mut self.0 {
            let value = value.try_into().unwrap_or(i64::MAX);
            open.attributes.push(KeyValue::new(key, value));
        }
    }

    /// It failed, and so the trace is exported. `kind` is a name of the host's own: what
    /// a backend or a guest says of an error may hold values.
    pub fn fail(&mut self, kind: impl Display) {
        if let Some(open) = &mut self.0 {
            open.status = Status::error("");
            open.part.note();
        }
        self.text(ERROR_TYPE, kind);
    }
}

impl Drop for Span {
    fn drop(&mut self) {
        let Some(open) = self.0.take() else {
            return;
        };
        let took = open.since.elapsed();
        if open.is_first && took.as_millis() >= u128::from(open.part.slow_ms()) {
            open.part.note();
        }
        let data = SpanData {
            span_context: open.part.context(open.id),
            parent_span_id: open.parent,
            parent_span_is_remote: open.parent_is_remote,
            span_kind: open.kind,
            name: open.name.into(),
            start_time: open.began,
            end_time: open.began + took,
            attributes: open.attributes,
            dropped_attributes_count: 0,
            events: SpanEvents::default(),
            links: open.links,
            status: open.status,
            instrumentation_scope: InstrumentationScope::default(),
        };
        open.part.add(data);
    }
}
