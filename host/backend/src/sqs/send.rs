//! Sending: many requests' messages in calls of ten.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::{MessageAttributeValue, SendMessageBatchRequestEntry};
use sha2::{Digest, Sha256};

use super::stamp::{ATTRIBUTE, MessageStamp, millis};
use super::{Config, DELAY_MAX, ENTRIES_MAX, QueueAddress, Sqs, client, text};
use crate::merge::{Merge, MergeLimits};
use crate::pgqueue::Entry;
use crate::queue::{Lease, Outgoing, QueueError, Received, id_of};
use hearth_base::budget::Customer;

/// A message as SQS gets it.
#[derive(Clone, Debug)]
pub(super) struct Parcel {
    /// By which a FIFO queue knows a second hand-over of the same.
    once: String,
    body: String,
    stamp: String,
    delay: Duration,
    /// Of a FIFO queue.
    group: Option<String>,
}

impl Parcel {
    fn bytes(&self) -> usize {
        self.body.len() + self.stamp.len() + ATTRIBUTE.len() + "String".len()
    }

    fn entry(&self, number: usize) -> Result<SendMessageBatchRequestEntry, QueueError> {
        let invalid =
            |error: aws_sdk_sqs::error::BuildError| QueueError::Invalid(error.to_string());
        let stamp = MessageAttributeValue::builder()
            .data_type("String")
            .string_value(&self.stamp)
            .build()
            .map_err(invalid)?;
        let mut entry = SendMessageBatchRequestEntry::builder()
            .id(number.to_string())
            .message_body(&self.body)
            .message_attributes(ATTRIBUTE, stamp);
        entry = match &self.group {
            // Handed over twice within five minutes, SQS keeps one.
            Some(group) => entry
                .message_group_id(group)
                .message_deduplication_id(&self.once),
            None => entry.delay_seconds(seconds(self.delay)),
        };
        entry.build().map_err(invalid)
    }
}

/// Whole seconds, no fewer than asked for.
pub(super) fn seconds(duration: Duration) -> i32 {
    let up = u64::from(duration.subsec_nanos() > 0);
    i32::try_from(duration.as_secs() + up).unwrap_or(i32::MAX)
}

/// Calls of the queue run at once: what has an order goes through the outbox, which
/// hands over one message of a group at a time.
pub(super) fn merge(
    client: &Client,
    place: &Arc<QueueAddress>,
    config: &Config,
) -> Arc<Merge<Parcel, Result<(), QueueError>>> {
    let limits = MergeLimits {
        call_items_max: ENTRIES_MAX,
        call_bytes_max: config.call_bytes_max,
        calls_max: config.calls_max,
        waiting_items_max: config.sends_waiting_max,
        waiting_bytes_max: config.sends_waiting_bytes_max,
        customer_percent_max: config.customer_sends_percent_max,
    };
    let (client, place) = (client.clone(), place.clone());
    Merge::new(limits, move |parcels: Vec<Parcel>| {
        let (client, place) = (client.clone(), place.clone());
        async move {
            match send(&client, &place, &parcels).await {
                Ok(results) => results,
                Err(error) => parcels.iter().map(|_| Err(error.clone())).collect(),
            }
        }
    })
}

/// One call; each entry is told for itself.
async fn send(
    client: &Client,
    place: &QueueAddress,
    parcels: &[Parcel],
) -> Result<Vec<Result<(), QueueError>>, QueueError> {
    let url = client::url(client, place).await?;
    let entries = parcels
        .iter()
        .enumerate()
        .map(|(number, parcel)| parcel.entry(number));
    let entries = entries.collect::<Result<Vec<_>, _>>()?;
    let asked = client
        .send_message_batch()
        .queue_url(url)
        .set_entries(Some(entries));
    let answer = asked.send().await.map_err(client::failed)?;
    let unanswered = || {
        Err(QueueError::Unavailable(
            "SQS: the answer lacks an entry".into(),
        ))
    };
    let mut results: Vec<_> = parcels.iter().map(|_| unanswered()).collect();
    let mut tell = |id: &str, result| {
        let place = id
            .parse()
            .ok()
            .and_then(|number: usize| results.get_mut(number));
        if let Some(place) = place {
            *place = result;
        }
    };
    for sent in answer.successful() {
        tell(sent.id(), Ok(()));
    }
    for failed in answer.failed() {
        let error = client::entry_failed(failed.code(), failed.sender_fault(), failed.message());
        tell(failed.id(), Err(error));
    }
    Ok(results)
}

/// How a message gets into SQS.
enum SendMethod {
    Direct,
    Outbox,
}

impl Sqs {
    pub(crate) async fn send(&self, messages: Vec<Outgoing>) -> Vec<Result<String, QueueError>> {
        let ways: Vec<SendMethod> = messages.iter().map(|message| self.way(message)).collect();
        let (mut direct, mut outbox) = (Vec::new(), Vec::new());
        for (message, way) in messages.into_iter().zip(&ways) {
            match way {
                SendMethod::Direct => direct.push(Entry::new(message)),
                SendMethod::Outbox => outbox.push(message),
            }
        }
        let (sent, kept) =
            tokio::join!(self.send_direct(&direct), self.shared.postgres.send(outbox));
        let (mut sent, mut kept) = (sent.into_iter(), kept.into_iter());
        let result = |way: &SendMethod| match way {
            SendMethod::Direct => sent.next(),
            SendMethod::Outbox => kept.next(),
        };
        let unanswered = || Err(QueueError::Unavailable("there was no answer".into()));
        ways.iter()
            .map(result)
            .map(|result| result.unwrap_or_else(unanswered))
            .collect()
    }

    /// Order, deduplication and long delays are the outbox's.
    fn way(&self, message: &Outgoing) -> SendMethod {
        let fifo = self
            .named(&message.queue)
            .is_ok_and(|named| named.place.is_fifo());
        let delay_max = if fifo { Duration::ZERO } else { DELAY_MAX };
        let plain = message.group.is_none()
            && message.deduplication_id.is_none()
            && message.delay <= delay_max;
        match plain {
            true => SendMethod::Direct,
            false => SendMethod::Outbox,
        }
    }

    async fn send_direct(&self, entries: &[Entry]) -> Vec<Result<String, QueueError>> {
        let sent_at = self.shared.postgres.clock().now();
        let answers: Vec<_> = entries
            .iter()
            .map(|entry| {
                let parcel = self.parcel(&entry.message, &entry.id(), 0, sent_at)?;
                self.put(&entry.message.queue, &entry.message.customer, parcel)
            })
            .collect();
        let mut results = Vec::with_capacity(entries.len());
        for (entry, answer) in entries.iter().zip(answers) {
            let sent = match answer {
                Ok(answer) => answer.await.unwrap_or_else(|_| Err(stopping())),
                Err(error) => Err(error),
            };
            results.push(sent.map(|()| entry.id()));
        }
        results
    }

    /// Puts a parcel with the others that are on their way.
    fn put(
        &self,
        queue: &str,
        customer: &Customer,
        parcel: Parcel,
    ) -> Result<tokio::sync::oneshot::Receiver<Result<(), QueueError>>, QueueError> {
        let bytes = parcel.bytes();
        if bytes > self.shared.config.message_bytes_max {
            return Err(QueueError::TooLarge);
        }
        let added = self
            .named(queue)?
            .sends
            .add(customer, vec![(parcel, bytes)]);
        added?.pop().ok_or(QueueError::Full)
    }

    fn parcel(
        &self,
        message: &Outgoing,
        id: &str,
        attempts: u32,
        sent_at: SystemTime,
    ) -> Result<Parcel, QueueError> {
        let (body, base64) = text::written(&message.body);
        let mut stamp = MessageStamp {
            id: id.to_owned(),
            plugin: message.plugin.to_string(),
            customer: message.customer.as_deref().map(str::to_owned),
            group: message.group.clone(),
            attempts,
            sent_at: millis(sent_at),
            base64,
            attributes: message.attributes.clone(),
            traceparent: message.traceparent.clone(),
        };
        let fifo = self.named(&message.queue)?.place.is_fifo();
        let mut parcel = Parcel {
            stamp: self.shared.stamps.write(&message.queue, &stamp, &body),
            // Without a group it is one of its own, and waits for no other.
            group: fifo.then(|| group_id(message, id)),
            once: id.to_owned(),
            delay: message.delay,
            body,
        };
        // A trace shall keep no message from being sent.
        if parcel.bytes() > self.shared.config.message_bytes_max
            && stamp.traceparent.take().is_some()
        {
            parcel.stamp = self
                .shared
                .stamps
                .write(&message.queue, &stamp, &parcel.body);
        }
        Ok(parcel)
    }

    /// Hands over what the relay took from the outbox.
    pub(crate) async fn hand_over(&self, messages: &[Received]) -> Vec<Result<(), QueueError>> {
        let answers: Vec<_> = messages
            .iter()
            .map(|message| {
                let outgoing = outgoing(message, Duration::ZERO);
                let parcel =
                    self.parcel(&outgoing, &message.id, message.attempt, message.sent_at)?;
                let once = row(message).unwrap_or(parcel.once);
                self.put(&message.queue, &message.customer, Parcel { once, ..parcel })
            })
            .collect();
        let mut results = Vec::with_capacity(answers.len());
        for answer in answers {
            results.push(match answer {
                Ok(answer) => answer.await.unwrap_or_else(|_| Err(stopping())),
                Err(error) => Err(error),
            });
        }
        results
    }

    /// Another copy of a message that was received, which has had so many attempts
    /// and is not to be seen before `delay`.
    pub(super) async fn send_copy(
        &self,
        message: &Received,
        attempts: u32,
        delay: Duration,
    ) -> Result<(), QueueError> {
        if delay <= DELAY_MAX {
            let outgoing = outgoing(message, delay);
            let parcel = self.parcel(&outgoing, &message.id, attempts, message.sent_at)?;
            let answer = self.put(&message.queue, &message.customer, parcel)?;
            return answer.await.unwrap_or_else(|_| Err(stopping()));
        }
        let entry = Entry {
            known_as: id_of(&message.id).unwrap_or_else(uuid::Uuid::now_v7),
            attempts: i32::try_from(attempts).unwrap_or(i32::MAX),
            sent_at: Some(message.sent_at),
            ..Entry::new(outgoing(message, delay))
        };
        let sent = self.shared.postgres.send_entries(vec![entry]).await;
        sent.into_iter()
            .next()
            .map_or_else(|| Err(stopping()), |sent| sent.map(|_| ()))
    }
}

/// The row of the outbox: the same on each hand-over, and another where the message
/// came there again.
fn row(message: &Received) -> Option<String> {
    match message.receipt.0 {
        Lease::Postgres { row, .. } => Some(row.to_string()),
        Lease::Sqs { .. } => None,
    }
}

fn outgoing(message: &Received, delay: Duration) -> Outgoing {
    Outgoing {
        queue: message.queue.clone(),
        plugin: message.plugin.clone(),
        customer: message.customer.clone(),
        body: message.body.clone(),
        attributes: message.attributes.clone(),
        traceparent: message.traceparent.clone(),
        delay,
        group: message.group.clone(),
        deduplication_id: None,
    }
}

/// A customer's groups are its own.
fn group_id(message: &Outgoing, id: &str) -> String {
    let Some(group) = &message.group else {
        return id.to_owned();
    };
    let mut hash = Sha256::new();
    hash.update(message.customer.as_deref().unwrap_or(".").as_bytes());
    hash.update([0]);
    hash.update(group.as_bytes());
    hex::encode(hash.finalize())
}

fn stopping() -> QueueError {
    QueueError::Unavailable("the host is shutting down".into())
}
