//! Deliveries that SQS counts and the host does not.
//!
//! SQS counts each receive. A message that was given back, or (in a FIFO queue,
//! where it must keep its place) that waits, was received all the same. How often is
//! noted in Postgres, and so is until when it waits, where that is longer than SQS
//! can hide it. A message that is received for the first time is not looked up.

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use tokio_postgres::types::ToSql;

use super::Sqs;
use crate::queue::QueueError;

const NOTE: &str = "
    INSERT INTO hearth.sqs_deliveries AS known (queue, message, uncounted, not_before, at)
    SELECT $1, n.message, 1, n.not_before, clock_timestamp()
    FROM unnest($2::text[], $3::timestamptz[]) AS n (message, not_before)
    ON CONFLICT (queue, message) DO UPDATE
    SET uncounted = known.uncounted + 1, not_before = excluded.not_before, at = excluded.at";

const LOOK_UP: &str = "
    SELECT message, uncounted, not_before FROM hearth.sqs_deliveries
    WHERE queue = $1 AND message = ANY ($2::text[])";

const FORGET: &str = "
    DELETE FROM hearth.sqs_deliveries WHERE queue = $1 AND message = ANY ($2::text[])";

/// What is known of a message.
#[derive(Clone, Copy, Debug)]
pub(super) struct MessageRecord {
    pub uncounted: u32,
    pub not_before: SystemTime,
}

/// A message by SQS's own id, and until when it waits.
pub(super) type Waits = (String, SystemTime);

impl Sqs {
    /// One more delivery of each that does not count.
    pub(super) async fn note(&self, queue: &str, waits: &[Waits]) -> Result<(), QueueError> {
        let (messages, not_before): (Vec<&str>, Vec<SystemTime>) = waits
            .iter()
            .map(|(message, until)| (message.as_str(), *until))
            .unzip();
        self.write(NOTE, &[&queue, &messages, &not_before]).await
    }

    pub(super) async fn look_up(
        &self,
        queue: &str,
        messages: &[String],
    ) -> Result<HashMap<String, MessageRecord>, QueueError> {
        if messages.is_empty() {
            return Ok(HashMap::new());
        }
        let read = async {
            let client = self
                .shared
                .postgres
                .server()
                .host()
                .get()
                .await
                .map_err(away)?;
            let statement = client.prepare_cached(LOOK_UP).await.map_err(away)?;
            let rows = client.query(&statement, &[&queue, &messages]).await;
            rows.map_err(away)?
                .iter()
                .map(|row| {
                    let uncounted: i32 = row.try_get(1)?;
                    let known = MessageRecord {
                        uncounted: u32::try_from(uncounted).unwrap_or(0),
                        not_before: row.try_get(2)?,
                    };
                    Ok((row.try_get(0)?, known))
                })
                .collect::<Result<_, tokio_postgres::Error>>()
                .map_err(away)
        };
        self.bounded(read).await
    }

    pub(super) async fn forget(&self, queue: &str, messages: &[String]) -> Result<(), QueueError> {
        match messages.is_empty() {
            true => Ok(()),
            false => self.write(FORGET, &[&queue, &messages]).await,
        }
    }

    async fn write(&self, text: &str, params: &[&(dyn ToSql + Sync)]) -> Result<(), QueueError> {
        let written = async {
            let client = self
                .shared
                .postgres
                .server()
                .host()
                .get()
                .await
                .map_err(away)?;
            let statement = client.prepare_cached(text).await.map_err(away)?;
            client.execute(&statement, params).await.map_err(away)?;
            Ok(())
        };
        self.bounded(written).await
    }

    async fn bounded<T>(
        &self,
        work: impl Future<Output = Result<T, QueueError>>,
    ) -> Result<T, QueueError> {
        let max = Duration::from_millis(self.shared.config.operation_ms_max);
        let late = || {
            Err(QueueError::Unavailable(
                "Postgres did not answer in time".into(),
            ))
        };
        tokio::time::timeout(max, work)
            .await
            .unwrap_or_else(|_| late())
    }
}

fn away(error: impl std::fmt::Display) -> QueueError {
    QueueError::Unavailable(format!("Postgres: {error}"))
}
