//! The calls in flight.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::task::{Id, JoinSet};

use super::WriterInner;
use super::queue::Flight;
use super::send::{Answer, send};
use crate::dynamodb::DynamoError;

/// What is in flight, and where: what a call carries is here and not with the call,
/// so that it outlives whatever happens to that.
#[derive(Default)]
pub(super) struct Calls {
    tasks: JoinSet<Answer>,
    flights: HashMap<Id, WriteCall>,
    /// The number of the next call.
    next: u64,
}

struct WriteCall {
    number: u64,
    batch: Vec<Flight>,
}

/// A call that returned.
pub(super) struct Returned {
    pub(super) batch: Vec<Flight>,
    pub(super) answer: Answer,
    /// No call in flight is older.
    pub(super) was_oldest: bool,
}

impl Calls {
    pub(super) fn in_flight(&self) -> usize {
        self.flights.len()
    }

    pub(super) fn start(&mut self, shared: &Arc<WriterInner>, batch: Vec<Flight>) {
        let writes = batch.iter().map(|flight| flight.entry.write.clone());
        let call = send(shared.clone(), writes.collect());
        let number = self.next;
        self.next += 1;
        let id = self.tasks.spawn(call).id();
        self.flights.insert(id, WriteCall { number, batch });
    }

    /// The next one that returns; for ever, where none is in flight.
    pub(super) async fn next(&mut self) -> Returned {
        loop {
            let (id, answer) = match self.tasks.join_next_with_id().await {
                Some(Ok((id, answer))) => (id, answer),
                Some(Err(error)) => {
                    let failure = DynamoError::Away(format!("the call ended early: {error}"));
                    (error.id(), Answer::Failed(failure))
                }
                None => std::future::pending().await,
            };
            if let Some(call) = self.flights.remove(&id) {
                let older = self
                    .flights
                    .values()
                    .any(|other| other.number < call.number);
                return Returned {
                    batch: call.batch,
                    answer,
                    was_oldest: !older,
                };
            }
        }
    }
}
