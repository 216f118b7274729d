//! One call of a guest with messages.

use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use super::intake::Intake;
use super::outcome::Outcome;
use crate::plugin::admission::Permit;
use crate::plugin::call;
use crate::plugin::instance::{Batch, Caller, Context, Message};
use hearth_backend::queue::Received;
use hearth_base::telemetry::Span;

impl Intake {
    /// One call of the guest, within all its limits.
    pub(super) async fn call(
        &self,
        customer: Option<&Arc<str>>,
        messages: &[Received],
        permit: Permit,
    ) -> Outcome {
        let deployment = &self.deployment;
        let request_id: Arc<str> = Arc::from(uuid::Uuid::now_v7().to_string());
        let mut call = call::circumstances(deployment, request_id.clone(), customer.cloned());
        let mut span = self.begin_trace(messages, customer);
        call.trace = span.scope();
        let batch = Batch {
            context: self.context(&request_id, customer),
            messages: messages.iter().map(for_guest).collect(),
        };
        let in_flight = messages.len() as f64;
        self.metrics.in_flight.increment(in_flight);
        let answer = tokio::select! {
            answer = call::consume(deployment, &self.shared.background, permit, call, batch) => Some(answer),
            // A drain that lasted too long: the deployment goes.
            () = deployment.stop.cancelled() => None,
        };
        self.metrics.in_flight.decrement(in_flight);
        let Some(answer) = answer else {
            return Outcome::Cut;
        };
        if let Err(failure) = &answer {
            deployment.metrics.count_trap(failure.kind());
            span.fail(failure.kind());
        }
        let outcome = Outcome::of(answer, messages.len());
        if let Outcome::Failed(reason) = &outcome {
            let (plugin, number, queue) = (&deployment.plugin, deployment.number, &self.queue);
            let ids: Vec<&str> = messages.iter().map(|message| message.id.as_str()).collect();
            tracing::warn!(%plugin, deployment = number, %queue, %request_id, messages = ?ids, reason, "a call failed");
        }
        outcome
    }

    /// It goes on with the trace of whoever sent the messages.
    fn begin_trace(&self, messages: &[Received], customer: Option<&Arc<str>>) -> Span {
        let senders = messages.iter();
        let senders = senders.filter_map(|message| message.traceparent.as_deref());
        let mut span = self.shared.traces.consume(senders);
        if span.is_recorded() {
            span.rename(format_args!("process {}", self.queue));
            span.text("messaging.operation.type", "process");
            span.text("messaging.destination.name", &self.queue);
            span.number("messaging.batch.message_count", messages.len());
            span.text("hearth.plugin", self.deployment.label());
            if let [one] = messages {
                span.text("messaging.message.id", &one.id);
                span.number("hearth.attempt", one.attempt);
            }
            span.scope().belongs_to(&customer.cloned());
        }
        span
    }

    fn context(&self, request_id: &str, customer: Option<&Arc<str>>) -> Context {
        let caller = customer.map(|customer| Caller {
            customer_id: customer.to_string(),
            key_id: String::new(),
            scopes: Vec::new(),
        });
        Context {
            request_id: request_id.to_owned(),
            caller,
            deadline_ms: self.deployment.limits.wall_ms_max,
            mount: self.deployment.mount.to_string(),
        }
    }
}

fn for_guest(message: &Received) -> Message {
    let sent_at = message.sent_at.duration_since(UNIX_EPOCH);
    let sent_at_ms = sent_at.unwrap_or(Duration::ZERO).as_millis();
    Message {
        id: message.id.clone(),
        queue: message.queue.to_string(),
        body: message.body.to_vec(),
        attributes: message.attributes.clone(),
        attempt: message.attempt,
        sent_at_ms: u64::try_from(sent_at_ms).unwrap_or(u64::MAX),
    }
}
