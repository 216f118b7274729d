//! The relay: from the outbox in Postgres to SQS.
//!
//! The outbox is a queue itself, and the relay its consumer: it leases what is due,
//! hands it over, and deletes it once SQS has it. So a relay that dies loses nothing
//! (its leases run out, and whoever comes next hands over again; a FIFO queue drops
//! the second copy), hosts share the work, and a group keeps its order: its next
//! message is not leased before the one in front of it is deleted. A host that
//! commits wakes its own relay; others find the message with their next look.

use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::sleep;

use super::Sqs;
use crate::pgqueue::Delivery;
use crate::queue::{QueueError, Received, Settlement};
use hearth_base::telemetry::{Span, Traces};

/// How long one look waits: the wait costs nothing, and ends with the first message.
const WAIT: Duration = Duration::from_secs(30);

/// Relays every configured queue, for as long as it is polled.
pub async fn run(sqs: Sqs, traces: Traces) {
    let mut relays = JoinSet::new();
    for queue in sqs.names() {
        relays.spawn(relay(sqs.clone(), queue, traces.clone()));
    }
    relays.join_all().await;
}

async fn relay(sqs: Sqs, queue: String, traces: Traces) {
    let mut away = false;
    loop {
        match round(&sqs, &queue, &traces).await {
            Ok(()) => away = false,
            Err(error) => {
                if !away {
                    tracing::warn!(queue, %error, "the messages of the outbox cannot be sent to SQS");
                }
                away = true;
                sleep(Duration::from_millis(sqs.config().relay_retry_ms)).await;
            }
        }
    }
}

/// Takes what is due, hands it over, and settles each by itself.
async fn round(sqs: &Sqs, queue: &str, traces: &Traces) -> Result<(), QueueError> {
    let config = sqs.config();
    let lease = Duration::from_millis(config.relay_lease_ms);
    let outbox = sqs.outbox();
    let taken = outbox
        .deliveries(queue, config.relay_messages_max, WAIT, lease, false)
        .await?;
    let (messages, due): (Vec<Received>, Vec<_>) = taken
        .into_iter()
        .map(|Delivery { received, due_at }| (received, due_at))
        .unzip();
    let spans = messages.iter().map(|message| begin_span(traces, message));
    let spans: Vec<Span> = spans.collect();
    let handed = sqs.hand_over(&messages).await;
    end_spans(spans, &handed);
    let metrics = &outbox.local(queue).metrics;
    let now = sqs.clock().now();
    for (handed, due) in handed.iter().zip(due) {
        if handed.is_ok() {
            let lag = now.duration_since(due).unwrap_or_default();
            metrics.relay_lag_seconds.record(lag.as_secs_f64());
            metrics.relayed.increment(1);
        }
    }
    let retry = Duration::from_millis(config.relay_retry_ms);
    let settled = messages
        .into_iter()
        .zip(&handed)
        .map(|(message, handed)| (message, settlement(handed, retry)));
    let ended = outbox.settle(queue, settled.collect()).await;
    // What could not be settled comes again; that something went wrong is told once.
    let failed = handed.into_iter().chain(ended).find_map(Result::err);
    failed.map_or(Ok(()), Err)
}

fn begin_span(traces: &Traces, message: &Received) -> Span {
    let sender = message.traceparent.as_deref();
    let mut span = sender.map_or_else(Span::default, |sender| traces.relay(sender));
    span.rename(format_args!("relay {}", message.queue));
    span.text("messaging.system", "aws_sqs");
    span.text("messaging.destination.name", &message.queue);
    span.text("messaging.message.id", &message.id);
    span
}

fn end_spans(spans: Vec<Span>, handed: &[Result<(), QueueError>]) {
    for (mut span, handed) in spans.into_iter().zip(handed) {
        if let Err(error) = handed {
            span.fail(error.kind());
        }
    }
}

/// What SQS will never take is a dead letter; everything else is tried again, and
/// holds back its group until then.
fn settlement(handed: &Result<(), QueueError>, retry: Duration) -> Settlement {
    match handed {
        Ok(()) => Settlement::Done,
        Err(QueueError::TooLarge | QueueError::Invalid(_)) => {
            Settlement::DeadLetter("SQS rejected a message of the outbox".into())
        }
        Err(_) => Settlement::RetryAfter(retry),
    }
}
