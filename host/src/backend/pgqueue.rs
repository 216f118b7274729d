//! Queues in Postgres.

use std::time::Duration;

use super::queue::{DeadLetter, Depth, Outgoing, QueueError, Receipt, Received, Settlement, Which};

/// The queues. Cloning shares them.
#[derive(Clone)]
pub struct PgQueue {}

fn away() -> QueueError {
    QueueError::Unavailable("not opened".into())
}

impl PgQueue {
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

    pub(super) async fn dead_letters(
        &self,
        _: &str,
        _: Option<i64>,
        _: usize,
    ) -> Result<Vec<DeadLetter>, QueueError> {
        Err(away())
    }

    pub(super) async fn dead_letter(
        &self,
        _: &str,
        _: &str,
    ) -> Result<Option<DeadLetter>, QueueError> {
        Err(away())
    }

    pub(super) async fn redrive(&self, _: &str, _: &Which) -> Result<u64, QueueError> {
        Err(away())
    }

    pub(super) async fn drop_dead(&self, _: &str, _: &Which) -> Result<u64, QueueError> {
        Err(away())
    }
}
