//! Ends deliveries: settles messages in the queue, and reports them to metrics and log.

use std::slice;
use std::time::Duration;

use tokio::time::sleep;

use super::intake::Intake;
use super::outcome;
use hearth_backend::queue::{QueueError, Received, Settlement};

impl Intake {
    pub(super) async fn give_back(&self, messages: Vec<Received>) {
        let back = |message| (message, Settlement::GiveBack);
        self.settle(messages.into_iter().map(back).collect()).await;
    }

    /// Settles messages, and retries if the queue is unavailable for a moment: a
    /// message that cannot be settled is consumed once more.
    pub(super) async fn settle(&self, mut settled: Vec<(Received, Settlement)>) {
        if settled.is_empty() {
            return;
        }
        for _ in 1..self.shared.config.settle_tries_max {
            settled = self.settle_once(settled).await;
            if settled.is_empty() {
                return;
            }
            sleep(self.away()).await;
        }
        settled = self.settle_once(settled).await;
        self.leases
            .let_go(settled.iter().map(|(message, _)| message));
    }

    /// Answers what may be tried again.
    async fn settle_once(
        &self,
        settled: Vec<(Received, Settlement)>,
    ) -> Vec<(Received, Settlement)> {
        let answers = self
            .shared
            .queues
            .settle(&self.queue, settled.clone())
            .await;
        let mut again = Vec::new();
        for ((message, settlement), answer) in settled.into_iter().zip(answers) {
            match answer {
                Ok(()) => self.tell(&message, &settlement),
                Err(error) => {
                    self.tell_unsettled(&message, &settlement, &error);
                    if let QueueError::Unavailable(_) = error {
                        again.push((message, settlement));
                        continue;
                    }
                }
            }
            self.leases.let_go(slice::from_ref(&message).iter());
        }
        again
    }

    fn tell(&self, message: &Received, settlement: &Settlement) {
        let became = outcome::name(settlement);
        self.count(message, settlement);
        let (plugin, deployment) = (&self.deployment.plugin, self.deployment.number);
        let (queue, id) = (&self.queue, &message.id);
        let attempt = message.attempt;
        match settlement {
            Settlement::DeadLetter(_) => {
                tracing::warn!(%plugin, deployment, %queue, message = %id, attempt, "a message became a dead letter");
            }
            _ => {
                tracing::debug!(%plugin, deployment, %queue, message = %id, attempt, became, "settled")
            }
        }
    }

    fn count(&self, message: &Received, settlement: &Settlement) {
        let metrics = &self.metrics;
        let counter = match settlement {
            Settlement::Done => &metrics.done,
            Settlement::RetryAfter(_) => &metrics.retried,
            Settlement::Failed { .. } => &metrics.failed,
            Settlement::GiveBack => &metrics.given_back,
            Settlement::DeadLetter(_) => &metrics.dead,
        };
        counter.increment(1);
        if *settlement == Settlement::Done {
            let since = self.shared.clock.now().duration_since(message.sent_at);
            let since = since.unwrap_or(Duration::ZERO);
            metrics.seconds.record(since.as_secs_f64());
        }
    }

    fn tell_unsettled(&self, message: &Received, settlement: &Settlement, error: &QueueError) {
        let (plugin, deployment) = (&self.deployment.plugin, self.deployment.number);
        let (queue, id) = (&self.queue, &message.id);
        let wanted = outcome::name(settlement);
        tracing::warn!(%plugin, deployment, %queue, message = %id, wanted, %error, "a message could not be settled");
    }

    pub(super) fn away(&self) -> Duration {
        Duration::from_millis(self.shared.config.retry_ms)
    }
}
