//! The publisher, which merges what calls publish: one statement at a time, with all that has
//! come since the one before.

use std::collections::VecDeque;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{Notify, oneshot};
use tokio::time::timeout;

use super::{Config, Error, PushInner};
use hearth_backend::postgres::events::{Position, Published};
use hearth_backend::postgres::raise;
use hearth_base::budget::{Budget, Customer, Part};

/// What an event takes beside its data, about.
const OVERHEAD_BYTES: usize = 256;

pub struct Publisher {
    waiting: Mutex<QueuedEvent>,
    come: Notify,
    bytes: Budget<Customer>,
}

#[derive(Default)]
struct QueuedEvent {
    jobs: VecDeque<Job>,
}

/// What one call publishes.
struct Job {
    events: Vec<Published>,
    bytes: usize,
    _room: Part<Customer>,
    answer: oneshot::Sender<Result<Position, Error>>,
}

impl Publisher {
    pub fn new(config: &Config) -> Publisher {
        Publisher {
            waiting: Mutex::default(),
            come: Notify::new(),
            bytes: Budget::new(
                config.waiting_bytes_max,
                config.customer_waiting_percent_max,
            ),
        }
    }

    /// Answers the place of the last one once all are durable.
    pub async fn publish(
        &self,
        customer: Customer,
        events: Vec<Published>,
    ) -> Result<Position, Error> {
        let bytes = events
            .iter()
            .map(|event| event.data.len() + OVERHEAD_BYTES)
            .sum();
        let (answer, answered) = oneshot::channel();
        let room = self.bytes.take(customer, bytes);
        self.waiting.lock().jobs.push_back(Job {
            events,
            bytes,
            _room: room.map_err(|full| Error::Unavailable(full.to_string()))?,
            answer,
        });
        self.come.notify_one();
        let gone = || Err(Error::Unavailable("the host is shutting down".into()));
        answered.await.unwrap_or_else(|_| gone())
    }

    /// What goes into the next statement: at least one job, where there is any.
    fn take(&self, config: &Config) -> Vec<Job> {
        let mut waiting = self.waiting.lock();
        let (mut jobs, mut events, mut bytes) = (Vec::new(), 0, 0);
        while let Some(job) = waiting.jobs.front() {
            (events, bytes) = (events + job.events.len(), bytes + job.bytes);
            let full = events > config.batch_events_max || bytes > config.batch_bytes_max;
            if full && !jobs.is_empty() {
                break;
            }
            let Some(job) = waiting.jobs.pop_front() else {
                break;
            };
            // Nobody waits for it: its call has ended.
            if !job.answer.is_closed() {
                jobs.push(job);
            }
        }
        jobs
    }
}

/// Appends what waits, for as long as it is polled.
pub async fn run(shared: &PushInner) {
    loop {
        let jobs = shared.publisher.take(&shared.config);
        match jobs.is_empty() {
            true => shared.publisher.come.notified().await,
            false => append(shared, jobs).await,
        }
    }
}

async fn append(shared: &PushInner, jobs: Vec<Job>) {
    let mut events = Vec::new();
    let mut answers = Vec::new();
    for job in jobs {
        answers.push((job.events.len(), job.answer));
        events.extend(job.events);
    }
    let patience = Duration::from_millis(shared.config.publish_ms_max);
    let last = match timeout(patience, shared.log.append(&events)).await {
        Ok(Ok(last)) => last,
        failed => {
            let error = match failed {
                Ok(Err(error)) => error.to_string(),
                _ => "timed out".to_owned(),
            };
            tracing::warn!(%error, events = events.len(), blame = "backend", "push events could not be published");
            for (_, answer) in answers {
                let _ = answer.send(Err(Error::Unavailable(error.clone())));
            }
            return;
        }
    };
    raise(&shared.told, last.0);
    shared.metrics.batches.increment(1);
    let mut left = events.len();
    for (count, answer) in answers {
        left -= count;
        let place = last.0.saturating_sub(i64::try_from(left).unwrap_or(0));
        let _ = answer.send(Ok(Position(place)));
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use uuid::Uuid;

    use super::*;

    fn event() -> Published {
        Published {
            channel: Uuid::nil(),
            plugin: "p".into(),
            customer: None,
            name: "inbox".into(),
            id: None,
            kind: None,
            data: "x".repeat(1_000),
        }
    }

    #[test]
    fn one_customer_has_a_part_of_what_waits() {
        let config = Config {
            waiting_bytes_max: 4_000,
            ..Config::default()
        };
        let publisher = Publisher::new(&config);
        // Nothing is appended, so what finds room waits.
        let publish = |name: &str| {
            let publishing = publisher.publish(Some(name.into()), vec![event()]);
            publishing.now_or_never()
        };
        assert_eq!(publish("acme"), None);
        let full = publish("acme");
        assert!(matches!(full, Some(Err(Error::Unavailable(_)))), "{full:?}");
        assert_eq!(publish("globex"), None);
        publisher.take(&config);
        assert_eq!(publish("acme"), None);
    }
}
