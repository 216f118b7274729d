//! Receiving: long polls, and what is found in the queue.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_sdk_sqs::types::{Message, MessageSystemAttributeName};
use futures_util::future::join_all;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::ledger::MessageRecord;
use super::send::seconds;
use super::stamp::ATTRIBUTE;
use super::{ENTRIES_MAX, Named, Sqs, VISIBILITY_MAX, client, text};
use crate::queue::{Lease, QueueError, Receipt, Received, Settlement, id_text};

/// Between two looks of a receive that waits for less than a second.
const PAUSE: Duration = Duration::from_millis(100);

/// A message as SQS gave it.
struct SqsMessage {
    handle: String,
    message: String,
    receives: u32,
    stamp: String,
    body: String,
}

/// Messages that nobody has got yet. Dropped, they are given back.
struct Unclaimed {
    sqs: Sqs,
    queue: Arc<str>,
    messages: Vec<Received>,
}

impl Drop for Unclaimed {
    fn drop(&mut self) {
        if self.messages.is_empty() {
            return;
        }
        let (sqs, queue) = (self.sqs.clone(), self.queue.clone());
        let messages = std::mem::take(&mut self.messages).into_iter();
        let back: Vec<_> = messages
            .map(|message| (message, Settlement::GiveBack))
            .collect();
        let postgres = &self.sqs.shared.postgres;
        let give_back = async move { drop(sqs.settle(&queue, back).await) };
        postgres.returning().spawn_on(give_back, postgres.runtime());
    }
}

impl Sqs {
    /// Goes to its end once begun, whoever still waits for it: what SQS has handed
    /// out would be hidden for the whole visibility.
    pub(crate) async fn receive(
        &self,
        queue: &str,
        max: usize,
        wait: Duration,
        visibility: Duration,
    ) -> Result<Vec<Received>, QueueError> {
        self.named(queue)?;
        let until = Instant::now() + wait;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let mut unclaimed = self.look(queue, max, left, visibility).await?;
            let messages = std::mem::take(&mut unclaimed.messages);
            if !messages.is_empty() || Instant::now() >= until {
                return Ok(messages);
            }
            if left < Duration::from_secs(1) {
                tokio::time::sleep_until(until.min(Instant::now() + PAUSE)).await;
            }
        }
    }

    async fn look(
        &self,
        queue: &str,
        max: usize,
        wait: Duration,
        visibility: Duration,
    ) -> Result<Unclaimed, QueueError> {
        let (answer, answered) = oneshot::channel();
        let (sqs, queue) = (self.clone(), self.shared.postgres.local(queue).name.clone());
        tokio::spawn(async move {
            let messages = sqs.take(&queue, max, wait, visibility).await;
            let _ = answer.send(messages.map(|messages| Unclaimed {
                sqs: sqs.clone(),
                queue,
                messages,
            }));
        });
        let stopped = || Err(QueueError::Unavailable("the host is shutting down".into()));
        answered.await.unwrap_or_else(|_| stopped())
    }

    async fn take(
        &self,
        queue: &Arc<str>,
        max: usize,
        wait: Duration,
        visibility: Duration,
    ) -> Result<Vec<Received>, QueueError> {
        let named = self.named(queue)?;
        let found = match named.place.is_fifo() {
            true => self.poll_in_order(named, max, wait, visibility).await?,
            false => self.poll(named, max, wait, visibility).await?,
        };
        // Only what SQS has delivered before can be known.
        let again: Vec<String> = found
            .iter()
            .filter(|found| found.receives > 1)
            .map(|found| found.message.clone())
            .collect();
        let known = self.look_up(queue, &again).await?;
        let now = self.shared.postgres.clock().now();
        let mut messages = Vec::with_capacity(found.len());
        for found in found {
            let known = known.get(&found.message).copied();
            let received = self.received(queue, &found, known);
            match received {
                None => self.refuse(queue, found).await?,
                Some(received) if known.is_some_and(|known| known.not_before > now) => {
                    self.hide(queue, received, known, now).await?;
                }
                Some(received) => messages.push(received),
            }
        }
        Ok(messages)
    }

    /// Of a FIFO queue one at a time: SQS would hand out several of a group
    /// together, and holds back the rest of a group while one of it is out.
    async fn poll_in_order(
        &self,
        named: &Named,
        max: usize,
        wait: Duration,
        visibility: Duration,
    ) -> Result<Vec<SqsMessage>, QueueError> {
        let mut found = self.poll(named, 1, wait, visibility).await?;
        if found.is_empty() {
            return Ok(found);
        }
        let rest = 1..max.clamp(1, ENTRIES_MAX);
        let polls = rest.map(|_| self.poll(named, 1, Duration::ZERO, visibility));
        for more in join_all(polls).await {
            match more {
                Ok(more) => found.extend(more),
                // What was found is not lost for what was not.
                Err(error) => {
                    tracing::debug!(%error, "more messages could not be received from SQS")
                }
            }
        }
        Ok(found)
    }

    async fn poll(
        &self,
        named: &Named,
        max: usize,
        wait: Duration,
        visibility: Duration,
    ) -> Result<Vec<SqsMessage>, QueueError> {
        let url = self.url(named).await?;
        let wait = wait.as_secs().min(self.shared.config.long_poll_s_max);
        let asked = self
            .shared
            .patient
            .receive_message()
            .queue_url(url)
            .max_number_of_messages(i32::try_from(max.clamp(1, ENTRIES_MAX)).unwrap_or(1))
            .wait_time_seconds(i32::try_from(wait).unwrap_or(0))
            .visibility_timeout(seconds(visibility.min(VISIBILITY_MAX)))
            .message_attribute_names(ATTRIBUTE)
            .message_system_attribute_names(MessageSystemAttributeName::ApproximateReceiveCount);
        let answer = asked.send().await.map_err(client::failed)?;
        Ok(answer
            .messages
            .unwrap_or_default()
            .into_iter()
            .filter_map(read_message)
            .collect())
    }

    /// `None` where it does not carry this fleet's stamp.
    fn received(
        &self,
        queue: &Arc<str>,
        found: &SqsMessage,
        known: Option<MessageRecord>,
    ) -> Option<Received> {
        let stamp = self.shared.stamps.read(queue, &found.stamp, &found.body)?;
        let body = text::read(&found.body, stamp.base64)?;
        let uncounted = known.map_or(0, |known| known.uncounted);
        let counted = found.receives.saturating_sub(uncounted).max(1);
        Some(Received {
            queue: queue.clone(),
            customer: stamp.customer(),
            plugin: Arc::from(stamp.plugin.as_str()),
            body: body.into(),
            group: stamp.group.clone(),
            attempt: stamp.attempts.saturating_add(counted),
            sent_at: stamp.sent_at(),
            receipt: found.receipt(),
            attributes: stamp.attributes,
            traceparent: stamp.traceparent,
            id: stamp.id,
        })
    }

    /// What somebody else put into the queue: kept for the operator to see, and gone
    /// from the queue.
    async fn refuse(&self, queue: &Arc<str>, found: SqsMessage) -> Result<(), QueueError> {
        self.shared
            .postgres
            .local(queue)
            .metrics
            .foreign
            .increment(1);
        tracing::warn!(%queue, message = found.message, "a message in SQS was not signed by this fleet");
        let receipt = found.receipt();
        let foreign = Received {
            id: id_text(uuid::Uuid::now_v7()),
            queue: queue.clone(),
            customer: None,
            plugin: Arc::from(""),
            body: found.body.into_bytes().into(),
            attributes: Vec::new(),
            traceparent: None,
            group: None,
            attempt: found.receives,
            sent_at: self.shared.postgres.clock().now(),
            receipt,
        };
        let reason = "it was not signed by this fleet: another program put it into the queue";
        let dead = Settlement::DeadLetter(reason.into());
        let settled = self.settle(queue, vec![(foreign, dead)]).await;
        settled.into_iter().collect()
    }

    /// A message that waits for longer than SQS could hide it.
    async fn hide(
        &self,
        queue: &str,
        message: Received,
        known: Option<MessageRecord>,
        now: SystemTime,
    ) -> Result<(), QueueError> {
        let until = known.map_or(now, |known| known.not_before);
        let rest = until.duration_since(now).unwrap_or_default();
        let waits = Settlement::RetryAfter(rest);
        let settled = self.settle(queue, vec![(message, waits)]).await;
        settled.into_iter().collect()
    }
}

impl SqsMessage {
    fn receipt(&self) -> Receipt {
        Receipt(Lease::Sqs {
            handle: self.handle.clone(),
            message: self.message.clone(),
            receives: self.receives,
        })
    }
}

fn read_message(message: Message) -> Option<SqsMessage> {
    let system = message.attributes.unwrap_or_default();
    let receives = system.get(&MessageSystemAttributeName::ApproximateReceiveCount);
    let attributes = message.message_attributes.unwrap_or_default();
    let stamp = attributes
        .get(ATTRIBUTE)
        .and_then(|stamp| stamp.string_value());
    Some(SqsMessage {
        handle: message.receipt_handle?,
        message: message.message_id?,
        receives: receives.and_then(|count| count.parse().ok()).unwrap_or(1),
        stamp: stamp.unwrap_or_default().to_owned(),
        body: message.body.unwrap_or_default(),
    })
}
