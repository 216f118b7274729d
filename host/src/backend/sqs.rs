//! Queues in SQS.

use std::time::Duration;

use super::pgqueue::PgQueue;
use super::queue::{Depth, Outgoing, QueueError, Receipt, Received, Settlement};

/// The queues. Cloning shares them.
#[derive(Clone)]
pub struct Sqs {
    postgres: PgQueue,
}

fn away() -> QueueError {
    QueueError::Unavailable("not opened".into())
}

impl Sqs {
    pub(super) async fn send(&self, messages: Vec<Outgoing>) -> Vec<Result<String, QueueError>> {
        messages.iter().map(|_| Err(away())).collect()
    }

    pub(super) async fn receive(
        &self,
        _: &str,
        _: usize,
        _: Duration,
        _: Duration,
    ) -> Result<Vec<Received>, QueueError> {
        Err(away())
    }

    pub(super) async fn extend(
        &self,
        _: &str,
        receipts: &[Receipt],
        _: Duration,
    ) -> Vec<Result<(), QueueError>> {
        receipts.iter().map(|_| Err(away())).collect()
    }

    pub(super) async fn settle(
        &self,
        _: &str,
        settled: Vec<(Received, Settlement)>,
    ) -> Vec<Result<(), QueueError>> {
        settled.iter().map(|_| Err(away())).collect()
    }

    pub(super) async fn depths(&self) -> Result<Vec<Depth>, QueueError> {
        Err(away())
    }

    pub(super) fn postgres(&self) -> &PgQueue {
        &self.postgres
    }
}
