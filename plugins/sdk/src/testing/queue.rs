//! The messages that a test's handlers send.

use std::time::Duration;

use super::lend;
use crate::Timestamp;
use crate::bindings::imports::hearth::plugin::types::OutgoingMessage;
use crate::consumer::Message;

pub use crate::bindings::imports::hearth::plugin::queue::Error;

/// A message as its consumer gets it, and from when on.
struct Sent {
    message: Message,
    delay: Duration,
    deduplication_id: Option<String>,
}

/// All messages, in the order in which they were sent.
#[derive(Default)]
pub(super) struct Queues(Vec<Sent>);

impl Queues {
    pub(super) fn sent(&self, queue: &str) -> Vec<Message> {
        self.of(queue).map(|sent| sent.message.clone()).collect()
    }

    pub(super) fn delays(&self, queue: &str) -> Vec<Duration> {
        self.of(queue).map(|sent| sent.delay).collect()
    }

    fn of(&self, queue: &str) -> impl Iterator<Item = &Sent> {
        self.0
            .iter()
            .filter(move |sent| sent.message.queue == queue)
    }

    /// One with the deduplication id of another is that one.
    fn send(&mut self, queue: &str, message: &OutgoingMessage) -> String {
        let id = message.deduplication_id.as_ref();
        let is_same = |sent: &&Sent| id.is_some() && sent.deduplication_id.as_ref() == id;
        let known = self.of(queue).find(is_same);
        if let Some(known) = known {
            return known.message.id.clone();
        }
        let id = format!("msg_{}", self.0.len() + 1);
        self.0.push(Sent {
            message: Message {
                id: id.clone(),
                queue: queue.into(),
                body: message.body.clone(),
                attributes: message.attributes.clone(),
                attempt: 1,
                sent_at: Timestamp::now(),
            },
            delay: Duration::from_millis(message.delay_ms),
            deduplication_id: message.deduplication_id.clone(),
        });
        id
    }
}

pub(crate) fn send(queue: &str, message: &OutgoingMessage) -> Result<String, Error> {
    Ok(lend(|state| state.queues.send(queue, message)))
}

pub(crate) fn send_many(queue: &str, messages: &[OutgoingMessage]) -> Vec<Result<String, Error>> {
    messages.iter().map(|one| send(queue, one)).collect()
}
