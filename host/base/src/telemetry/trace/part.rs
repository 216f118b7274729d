//! What one request, or one call of a consumer, adds to a trace on this host.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use opentelemetry::KeyValue;
use opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceId, TraceState};
use opentelemetry_sdk::trace::{IdGenerator, SpanData};
use parking_lot::Mutex;

use super::Recorder;
use crate::budget::{Customer, Part};

/// Room is taken in steps, for the budget is everybody's.
const STEP_BYTES: usize = 4 << 10;

/// Lives as long as anything may add a span to it. Dropped, it is exported or forgotten.
pub(super) struct TracePart {
    recorder: Arc<Recorder>,
    trace_id: TraceId,
    sampled: bool,
    state: TraceState,
    /// Whether it failed or took long.
    is_notable: AtomicBool,
    ended: Mutex<EndedSpans>,
}

struct EndedSpans {
    spans: Vec<SpanData>,
    bytes: usize,
    room: Part<Customer>,
}

/// The spans of a part that nothing is added to any more, and the room that they take.
pub(super) struct EndedPart {
    pub spans: Vec<SpanData>,
    pub room: Part<Customer>,
}

impl TracePart {
    pub fn new(
        recorder: Arc<Recorder>,
        trace_id: TraceId,
        sampled: bool,
        parent: Option<&SpanContext>,
    ) -> TracePart {
        let ended = EndedSpans {
            spans: Vec::new(),
            bytes: 0,
            room: recorder.budget.part(None),
        };
        TracePart {
            trace_id,
            sampled,
            state: parent.map_or_else(TraceState::default, |parent| parent.trace_state().clone()),
            is_notable: AtomicBool::new(false),
            ended: Mutex::new(ended),
            recorder,
        }
    }

    pub fn trace_id(&self) -> TraceId {
        self.trace_id
    }

    pub fn new_span_id(&self) -> SpanId {
        self.recorder.ids.new_span_id()
    }

    pub fn context(&self, span: SpanId) -> SpanContext {
        let flags = TraceFlags::default().with_sampled(self.sampled);
        SpanContext::new(self.trace_id, span, flags, false, self.state.clone())
    }

    /// It is exported whether it was sampled or not.
    pub fn note(&self) {
        self.is_notable.store(true, Relaxed);
    }

    pub fn slow_ms(&self) -> u64 {
        self.recorder.config.slow_ms
    }

    /// Whose share of the memory it takes from now on.
    pub fn belongs_to(&self, customer: &Customer) {
        let mut ended = self.ended.lock();
        let mut room = self.recorder.budget.part(customer.clone());
        room.set(steps(ended.bytes));
        ended.room = room;
    }

    /// Adds a span that has ended, where there is room for it.
    pub fn add(&self, span: SpanData) {
        let config = &self.recorder.config;
        let mut ended = self.ended.lock();
        let bytes = ended.bytes.saturating_add(size(&span));
        if ended.spans.len() >= config.spans_max || bytes > config.span_bytes_max {
            self.recorder.metrics.over_limit.increment(1);
            return;
        }
        match ended.room.grow_to(steps(bytes)) {
            Ok(()) => {
                ended.bytes = bytes;
                ended.spans.push(span);
            }
            Err(full) => self.recorder.metrics.count_full(full),
        }
    }
}

impl Drop for TracePart {
    fn drop(&mut self) {
        if !self.sampled && !self.is_notable.load(Relaxed) {
            return;
        }
        let ended = self.ended.get_mut();
        let nothing = self.recorder.budget.part(None);
        let part = EndedPart {
            spans: std::mem::take(&mut ended.spans),
            room: std::mem::replace(&mut ended.room, nothing),
        };
        if !part.spans.is_empty() {
            // After the exporter has ended they are lost, as the process is about to be.
            let _ = self.recorder.ended.send(part);
        }
    }
}

fn steps(bytes: usize) -> usize {
    bytes.next_multiple_of(STEP_BYTES)
}

/// What it takes in memory, about.
fn size(span: &SpanData) -> usize {
    let attribute = |attribute: &KeyValue| {
        size_of::<KeyValue>() + attribute.key.as_str().len() + attribute.value.as_str().len()
    };
    let attributes: usize = span.attributes.iter().map(attribute).sum();
    let links = span.links.len() * size_of::<opentelemetry::trace::Link>();
    size_of::<SpanData>() + span.name.len() + attributes + links
}
