//! What may not be done twice, tried again where it surely was not done.

use std::time::Duration;

use rand::RngExt;
use tokio::time::sleep;

use super::{Dynamo, DynamoError};

impl Dynamo {
    /// Does it again while DynamoDB says that it did not do it and to come later, as
    /// often and with the waits of `[dynamodb]`. For operations of
    /// [`Dynamo::client_once`].
    ///
    /// # Errors
    /// With the last failure.
    pub async fn patiently<T, F>(&self, operation: impl Fn() -> F) -> Result<T, DynamoError>
    where
        F: Future<Output = Result<T, DynamoError>>,
    {
        let (max, mut wait_ms) = (self.shared.backoff_ms_max, self.shared.backoff_ms);
        for _ in 1..self.shared.attempts_max {
            match operation().await {
                Err(DynamoError::Throttled(_)) => {}
                done => return done,
            }
            let drawn = rand::rng().random_range(0..=wait_ms.min(max));
            sleep(Duration::from_millis(drawn)).await;
            wait_ms = wait_ms.saturating_mul(2);
        }
        operation().await
    }
}
