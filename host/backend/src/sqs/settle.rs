//! Heartbeats and ends of deliveries, in calls of ten.

use std::time::{Duration, SystemTime};

use aws_sdk_sqs::types::{
    BatchResultErrorEntry, ChangeMessageVisibilityBatchRequestEntry, DeleteMessageBatchRequestEntry,
};
use futures_util::future::join_all;

use super::ledger::Waits;
use super::send::seconds;
use super::{ENTRIES_MAX, Named, Sqs, VISIBILITY_MAX, client};
use crate::queue::{Lease, QueueError, Receipt, Received, Settlement};

type SettleResult = Result<(), QueueError>;

/// What SQS has to be told of one delivery.
enum Step {
    Delete,
    /// Hidden for so long; until when it waits, where the delivery does not count.
    Hide(Duration, Option<SystemTime>),
    /// It could not be brought so far.
    Failed(QueueError),
}

/// What a receipt of this backend stands for.
fn sqs_receipt(receipt: &Receipt) -> Option<(&str, &str, u32)> {
    match &receipt.0 {
        Lease::Sqs {
            handle,
            message,
            receives,
        } => Some((handle, message, *receives)),
        Lease::Postgres { .. } => None,
    }
}

impl Sqs {
    pub(crate) async fn extend(
        &self,
        queue: &str,
        receipts: &[Receipt],
        visibility: Duration,
    ) -> Vec<SettleResult> {
        let named = match self.named(queue) {
            Ok(named) => named,
            Err(error) => return receipts.iter().map(|_| Err(error.clone())).collect(),
        };
        let own = receipts
            .iter()
            .filter(|receipt| sqs_receipt(receipt).is_some());
        let hidden: Vec<_> = own.map(|receipt| (receipt, visibility)).collect();
        let mut extended = self.hide_all(named, &hidden).await.into_iter();
        let outcome = |receipt| match sqs_receipt(receipt) {
            Some(_) => extended.next().unwrap_or_else(unanswered),
            None => Err(QueueError::LeaseLost),
        };
        receipts.iter().map(outcome).collect()
    }

    pub(crate) async fn settle(
        &self,
        queue: &str,
        settled: Vec<(Received, Settlement)>,
    ) -> Vec<SettleResult> {
        let named = match self.named(queue) {
            Ok(named) => named,
            Err(error) => return settled.iter().map(|_| Err(error.clone())).collect(),
        };
        let fifo = named.place.is_fifo();
        let prepared = settled
            .iter()
            .map(|(message, settlement)| self.prepare(message, settlement, fifo));
        let mut steps = join_all(prepared).await;
        self.note_waits(queue, &settled, &mut steps).await;
        let (mut deleted, mut hidden) = (Vec::new(), Vec::new());
        for ((message, _), step) in settled.iter().zip(&steps) {
            match step {
                Step::Delete => deleted.push(&message.receipt),
                Step::Hide(delay, _) => hidden.push((&message.receipt, *delay)),
                Step::Failed(_) => {}
            }
        }
        let (gone, kept) = tokio::join!(
            self.delete_all(named, &deleted),
            self.hide_all(named, &hidden)
        );
        self.forget_deleted(queue, &deleted, &gone).await;
        let (mut gone, mut kept) = (gone.into_iter(), kept.into_iter());
        let outcome = |step: Step| match step {
            Step::Delete => gone.next().unwrap_or_else(unanswered),
            Step::Hide(..) => kept.next().unwrap_or_else(unanswered),
            Step::Failed(error) => Err(error),
        };
        steps.into_iter().map(outcome).collect()
    }

    /// What has to be durable elsewhere before SQS is told: a copy, or the dead
    /// letter. In a FIFO queue a message that comes again keeps its place.
    async fn prepare(&self, message: &Received, settlement: &Settlement, fifo: bool) -> Step {
        let now = self.shared.postgres.clock().now();
        let counted = message.attempt;
        let uncounted = counted.saturating_sub(1);
        if sqs_receipt(&message.receipt).is_none() {
            return Step::Failed(QueueError::LeaseLost);
        }
        let copied = match settlement {
            Settlement::Done => return Step::Delete,
            Settlement::GiveBack => return Step::Hide(Duration::ZERO, Some(now)),
            Settlement::RetryAfter(delay) if fifo => {
                return Step::Hide((*delay).min(VISIBILITY_MAX), Some(now + *delay));
            }
            Settlement::Failed { delay, .. } if fifo || *delay <= VISIBILITY_MAX => {
                return Step::Hide((*delay).min(VISIBILITY_MAX), None);
            }
            Settlement::RetryAfter(delay) => self.send_copy(message, uncounted, *delay).await,
            Settlement::Failed { delay, .. } => self.send_copy(message, counted, *delay).await,
            Settlement::DeadLetter(reason) => {
                self.shared.postgres.bury(message, counted, reason).await
            }
        };
        match copied {
            Ok(()) => Step::Delete,
            Err(error) => Step::Failed(error),
        }
    }

    /// Deliveries that do not count are noted before SQS is told.
    async fn note_waits(
        &self,
        queue: &str,
        settled: &[(Received, Settlement)],
        steps: &mut [Step],
    ) {
        let waits = settled.iter().zip(steps.iter());
        let waits: Vec<Waits> = waits
            .filter_map(|((message, _), step)| match step {
                Step::Hide(_, Some(until)) => {
                    sqs_receipt(&message.receipt).map(|(_, id, _)| (id.to_owned(), *until))
                }
                _ => None,
            })
            .collect();
        if waits.is_empty() {
            return;
        }
        if let Err(error) = self.note(queue, &waits).await {
            for step in steps {
                if matches!(step, Step::Hide(_, Some(_))) {
                    *step = Step::Failed(error.clone());
                }
            }
        }
    }

    /// Rows that stay are swept, so a failure is no failure of the settlement.
    async fn forget_deleted(&self, queue: &str, deleted: &[&Receipt], gone: &[SettleResult]) {
        let known: Vec<String> = deleted
            .iter()
            .zip(gone)
            .filter(|(_, gone)| gone.is_ok())
            .filter_map(|(receipt, _)| sqs_receipt(receipt))
            .filter(|(_, _, receives)| *receives > 1)
            .map(|(_, message, _)| message.to_owned())
            .collect();
        if let Err(error) = self.forget(queue, &known).await {
            tracing::debug!(%error, queue, "the delivery counts of deleted messages could not be deleted");
        }
    }

    async fn delete_all(&self, named: &Named, receipts: &[&Receipt]) -> Vec<SettleResult> {
        let chunks = receipts.chunks(ENTRIES_MAX);
        let calls = chunks.map(async |chunk| match self.delete(named, chunk).await {
            Ok(outcomes) => outcomes,
            Err(error) => chunk.iter().map(|_| Err(error.clone())).collect(),
        });
        join_all(calls).await.concat()
    }

    async fn delete(
        &self,
        named: &Named,
        receipts: &[&Receipt],
    ) -> Result<Vec<SettleResult>, QueueError> {
        let entries = numbered(receipts).map(|(number, handle)| {
            let entry = DeleteMessageBatchRequestEntry::builder();
            entry.id(number).receipt_handle(handle).build()
        });
        let entries = entries.collect::<Result<Vec<_>, _>>().map_err(invalid)?;
        let asked = self
            .shared
            .client
            .delete_message_batch()
            .queue_url(self.url(named).await?)
            .set_entries(Some(entries));
        let answer = asked.send().await.map_err(client::failed)?;
        Ok(outcomes(receipts.len(), answer.failed()))
    }

    async fn hide_all(&self, named: &Named, hidden: &[(&Receipt, Duration)]) -> Vec<SettleResult> {
        let chunks = hidden.chunks(ENTRIES_MAX);
        let calls = chunks.map(async |chunk| match self.hide_some(named, chunk).await {
            Ok(outcomes) => outcomes,
            Err(error) => chunk.iter().map(|_| Err(error.clone())).collect(),
        });
        join_all(calls).await.concat()
    }

    async fn hide_some(
        &self,
        named: &Named,
        hidden: &[(&Receipt, Duration)],
    ) -> Result<Vec<SettleResult>, QueueError> {
        let receipts: Vec<&Receipt> = hidden.iter().map(|(receipt, _)| *receipt).collect();
        let entries = numbered(&receipts)
            .zip(hidden)
            .map(|((number, handle), (_, delay))| {
                let entry = ChangeMessageVisibilityBatchRequestEntry::builder();
                let delay = seconds((*delay).min(VISIBILITY_MAX));
                let entry = entry.id(number).receipt_handle(handle);
                entry.visibility_timeout(delay).build()
            });
        let entries = entries.collect::<Result<Vec<_>, _>>().map_err(invalid)?;
        let asked = self
            .shared
            .client
            .change_message_visibility_batch()
            .queue_url(self.url(named).await?)
            .set_entries(Some(entries));
        let answer = asked.send().await.map_err(client::failed)?;
        Ok(outcomes(hidden.len(), answer.failed()))
    }
}

/// Entries are told apart by their numbers.
fn numbered<'r>(receipts: &'r [&Receipt]) -> impl Iterator<Item = (String, &'r str)> {
    receipts.iter().enumerate().map(|(number, receipt)| {
        let handle = sqs_receipt(receipt).map_or("none", |(handle, _, _)| handle);
        (number.to_string(), handle)
    })
}

/// Everything that did not fail succeeded.
fn outcomes(entries: usize, failed: &[BatchResultErrorEntry]) -> Vec<SettleResult> {
    let mut outcomes = vec![Ok(()); entries];
    for entry in failed {
        let error = client::entry_failed(entry.code(), entry.sender_fault(), entry.message());
        let number = entry.id().parse().ok();
        if let Some(outcome) = number.and_then(|number: usize| outcomes.get_mut(number)) {
            *outcome = Err(error);
        }
    }
    outcomes
}

fn unanswered() -> SettleResult {
    Err(QueueError::Unavailable("SQS did not answer".into()))
}

fn invalid(error: aws_sdk_sqs::error::BuildError) -> QueueError {
    QueueError::Invalid(error.to_string())
}
