//! The one task that sends: it takes from the queue what may go, and puts back what
//! has to go again.

use std::sync::Arc;

use tokio::time::{Instant, sleep_until};

use super::calls::{Calls, Returned};
use super::entry::QueuedWrite;
use super::pace::Pace;
use super::queue::{Flight, Landed};
use super::send::Answer;
use super::{WriteError, WriterInner};
use crate::dynamodb::DynamoError;

pub(super) async fn run(shared: Arc<WriterInner>) {
    let mut calls = Calls::default();
    let mut pace = Pace::new(&shared.config);
    loop {
        while let Some(batch) = next_batch(&shared, &mut pace, calls.in_flight()) {
            calls.start(&shared, batch);
        }
        let delayed = shared.queue.lock().next_delayed();
        let lingering = pace.wake_at(calls.in_flight());
        tokio::select! {
            returned = calls.next() => {
                if returned.was_oldest {
                    pace.oldest_returned();
                }
                land(&shared, returned);
            }
            () = shared.wake.notified() => {}
            () = until(delayed) => {}
            () = until(lingering) => {}
        }
    }
}

async fn until(instant: Option<Instant>) {
    match instant {
        Some(instant) => sleep_until(instant).await,
        None => std::future::pending().await,
    }
}

/// The next batch, if one may go. What nobody waits for any more is left out of it.
fn next_batch(shared: &WriterInner, pace: &mut Pace, in_flight: usize) -> Option<Vec<Flight>> {
    let now = Instant::now();
    let mut queue = shared.queue.lock();
    queue.wake(now);
    while pace.lets_go(queue.ready(), in_flight, now) {
        let mut batch = Vec::new();
        for Flight { owner, entry } in queue.batch() {
            if entry.deadline > now && !entry.is_given_up() {
                batch.push(Flight { owner, entry });
                continue;
            }
            queue.land(&owner, &entry.key().clone(), Landed::Next);
            entry.tell(Err(WriteError::Deadline));
        }
        pace.went();
        if !batch.is_empty() {
            return Some(batch);
        }
    }
    None
}

fn land(shared: &WriterInner, returned: Returned) {
    if let Answer::Failed(DynamoError::Denied(reason)) = &returned.answer {
        tracing::error!(reason, "DynamoDB rejects this host's writes");
    }
    let only = returned.batch.len() == 1;
    for Flight { owner, entry } in returned.batch {
        let key = entry.key().clone();
        let landed = judge(shared, entry, &returned.answer, only);
        shared.queue.lock().land(&owner, &key, landed);
    }
}

/// Tells the caller, or says how the write is tried again. `only` says that it was
/// alone in its call, so that whatever is wrong is wrong with it.
fn judge(shared: &WriterInner, mut entry: QueuedWrite, answer: &Answer, only: bool) -> Landed {
    match answer {
        Answer::Unprocessed(keys) if !keys.contains(entry.key()) => {
            entry.tell(Ok(()));
            Landed::Next
        }
        Answer::Unprocessed(_) => {
            shared.metrics.unprocessed.increment(1);
            again(shared, entry, "DynamoDB did not process it")
        }
        Answer::Failed(DynamoError::Throttled(reason)) => again(shared, entry, reason),
        Answer::Failed(DynamoError::Away(reason)) => again_unknown(shared, entry, reason),
        Answer::Failed(DynamoError::Denied(reason)) => {
            entry.tell(Err(WriteError::Unavailable(reason.clone())));
            Landed::Next
        }
        Answer::Failed(_) if !only => {
            entry.alone = true;
            shared.metrics.retries.increment(1);
            Landed::Again(entry)
        }
        Answer::Failed(failure) => {
            let reason = match failure {
                DynamoError::Invalid(reason) => reason.clone(),
                other => other.to_string(),
            };
            entry.tell(Err(WriteError::Invalid(reason)));
            Landed::Next
        }
    }
}

/// DynamoDB did not write it.
fn again(shared: &WriterInner, mut entry: QueuedWrite, reason: &str) -> Landed {
    let at = Instant::now() + entry.wait(&shared.config);
    if entry.is_given_up() || at >= entry.deadline {
        entry.tell(Err(WriteError::Unavailable(reason.to_owned())));
        return Landed::Next;
    }
    shared.metrics.retries.increment(1);
    Landed::AgainAt(entry, at)
}

/// Nobody knows whether DynamoDB wrote it, or still will: whatever comes next for the
/// key waits, too.
fn again_unknown(shared: &WriterInner, mut entry: QueuedWrite, reason: &str) -> Landed {
    let at = Instant::now() + entry.long_wait(&shared.config);
    if entry.is_given_up() || at >= entry.deadline {
        entry.tell(Err(WriteError::Unavailable(reason.to_owned())));
        return Landed::NextAt(at);
    }
    shared.metrics.retries.increment(1);
    Landed::AgainAt(entry, at)
}
