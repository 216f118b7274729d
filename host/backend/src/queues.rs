//! All queues of the process, in whichever backend the configuration names.

mod sender;

use std::sync::Arc;
use std::time::Duration;

use super::pgqueue::{PgQueue, Stamp};
use super::postgres::Server;
use super::queue::{
    Backend, Config, DeadLetter, Depth, Outgoing, QueueError, Receipt, Received, Settlement, Which,
};
use super::sqs::{Sqs, relay};
use hearth_base::clock::Clock;
use hearth_base::secret::RootSecret;
use hearth_base::telemetry::{HostMetrics, Traces};

pub use sender::{Draft, MessageOrigin, Sender};

/// All queues of this process. Cloning shares them.
#[derive(Clone)]
pub enum Queues {
    Postgres(PgQueue),
    Sqs(Sqs),
}

impl Queues {
    /// Opens the backend that the configuration names. To be called within the
    /// runtime that shall give back what dropped calls received.
    ///
    /// # Errors
    /// Where Postgres is unavailable. Of SQS nothing is asked yet.
    pub async fn open(
        config: &Config,
        server: Server,
        secret: &RootSecret,
        clock: Clock,
        metrics: &HostMetrics,
    ) -> Result<Queues, QueueError> {
        let postgres = PgQueue::open(config, server, secret, clock, metrics).await?;
        Ok(match config.backend {
            Backend::Postgres => Queues::Postgres(postgres),
            Backend::Sqs => {
                let watch = &metrics.watches.sqs;
                Queues::Sqs(Sqs::open(&config.sqs, secret, postgres, watch).await)
            }
        })
    }

    /// Counts, drops what is too old and, where there is a relay, relays: for as long
    /// as it is polled.
    pub async fn keep(self, traces: Traces) {
        match self {
            Queues::Postgres(queues) => queues.keep().await,
            Queues::Sqs(queues) => {
                tokio::join!(queues.postgres().clone().keep(), relay::run(queues, traces));
            }
        }
    }

    /// What `hearth.enqueue` wants beside an entry.
    pub fn stamp(&self) -> Stamp {
        self.postgres().stamp()
    }

    /// A transaction that enqueued messages for these queues has committed: here they
    /// are received, or relayed, at once.
    pub fn committed(
        &self,
        customer: Option<&Arc<str>>,
        queues: impl IntoIterator<Item = Arc<str>>,
    ) {
        for queue in queues {
            let local = self.postgres().local(&queue);
            local.metrics.sent.increment(1);
            local.sent_by(customer);
        }
    }

    /// Whether a message can be sent: its queue exists, takes such a message and has
    /// room, as far as this host knows.
    pub fn check(&self, message: &Outgoing) -> Result<(), QueueError> {
        if let Queues::Sqs(queues) = self {
            queues.check(message)?;
        }
        self.postgres().check(message)
    }

    /// Sends messages, of any queues, together with whatever else is being sent
    /// just now. Answers each one's id once the queue has it durably, in order; for
    /// a duplicate the id of the first. Not all or nothing. Dropped half-way, they
    /// may still be sent.
    pub async fn send(&self, messages: Vec<Outgoing>) -> Vec<Result<String, QueueError>> {
        let queues: Vec<_> = messages
            .iter()
            .map(|message| message.queue.clone())
            .collect();
        let checked: Vec<_> = messages.iter().map(|message| self.check(message)).collect();
        let fit = messages.into_iter().zip(&checked);
        let fit = fit.filter_map(|(message, checked)| checked.is_ok().then_some(message));
        let fit: Vec<_> = fit.collect();
        let sent = match self {
            Queues::Postgres(queue) => queue.send(fit).await,
            Queues::Sqs(queue) => queue.send(fit).await,
        };
        let mut sent = sent.into_iter();
        let mut results = Vec::with_capacity(queues.len());
        for (queue, checked) in queues.iter().zip(checked) {
            let unanswered = || Err(QueueError::Unavailable("there was no answer".into()));
            let result = match checked {
                Ok(()) => sent.next().unwrap_or_else(unanswered),
                Err(error) => Err(error),
            };
            if result.is_ok() {
                self.postgres().local(queue).metrics.sent.increment(1);
            }
            results.push(result);
        }
        results
    }

    /// Leases at most `max` messages for so long (`visibility`), and waits at most
    /// `wait` for the first. What this host sends wakes it at once. Customers take
    /// turns. Dropped half-way, what was leased is given back.
    pub async fn receive(
        &self,
        queue: &str,
        max: usize,
        wait: Duration,
        visibility: Duration,
    ) -> Result<Vec<Received>, QueueError> {
        let received = match self {
            Queues::Postgres(queues) => queues.receive(queue, max, wait, visibility).await?,
            Queues::Sqs(queues) => queues.receive(queue, max, wait, visibility).await?,
        };
        let metrics = &self.postgres().local(queue).metrics;
        metrics.received.increment(received.len() as u64);
        Ok(received)
    }

    /// Waits until what dropped receives have leased is given back. Nobody may
    /// receive meanwhile.
    pub async fn given_back(&self) {
        let returning = self.postgres().returning();
        returning.close();
        returning.wait().await;
        returning.reopen();
    }

    /// Holds leases for so long from now: the heartbeat of a consumer. One answer a
    /// receipt, in order.
    pub async fn extend(
        &self,
        queue: &str,
        receipts: &[Receipt],
        visibility: Duration,
    ) -> Vec<Result<(), QueueError>> {
        match self {
            Queues::Postgres(queues) => queues.extend(receipts, visibility).await,
            Queues::Sqs(queues) => queues.extend(queue, receipts, visibility).await,
        }
    }

    /// Ends leases. One answer a message, in order; a message that was not settled
    /// comes again.
    pub async fn settle(
        &self,
        queue: &str,
        settled: Vec<(Received, Settlement)>,
    ) -> Vec<Result<(), QueueError>> {
        let settlements: Vec<_> = settled.iter().map(|(_, how)| how.clone()).collect();
        let ended = match self {
            Queues::Postgres(queues) => queues.settle(queue, settled).await,
            Queues::Sqs(queues) => queues.settle(queue, settled).await,
        };
        let metrics = &self.postgres().local(queue).metrics;
        for (settlement, _) in settlements.iter().zip(&ended).filter(|(_, e)| e.is_ok()) {
            metrics.count_settled(settlement.outcome());
        }
        ended
    }

    /// At most `limit` dead letters of a queue, newest first; those before a
    /// number, where one is given.
    pub async fn dead_letters(
        &self,
        queue: &str,
        before: Option<i64>,
        limit: usize,
    ) -> Result<Vec<DeadLetter>, QueueError> {
        self.postgres().dead_letters(queue, before, limit).await
    }

    /// One dead letter, by its message's id.
    pub async fn dead_letter(
        &self,
        queue: &str,
        id: &str,
    ) -> Result<Option<DeadLetter>, QueueError> {
        self.postgres().dead_letter(queue, id).await
    }

    /// Puts dead letters back into their queue, oldest first, as if they had just
    /// been sent, but with their ids. Answers how many.
    pub async fn redrive(&self, queue: &str, which: &Which) -> Result<u64, QueueError> {
        self.postgres().redrive(queue, which).await
    }

    /// Forgets dead letters. Answers how many.
    pub async fn drop_dead(&self, queue: &str, which: &Which) -> Result<u64, QueueError> {
        self.postgres().drop_dead(queue, which).await
    }

    /// What is in each queue that holds anything.
    pub async fn depths(&self) -> Result<Vec<Depth>, QueueError> {
        match self {
            Queues::Postgres(queues) => queues.depths().await,
            Queues::Sqs(queues) => queues.depths().await,
        }
    }

    /// Dead letters lie in Postgres whatever the backend.
    fn postgres(&self) -> &PgQueue {
        match self {
            Queues::Postgres(queues) => queues,
            Queues::Sqs(queues) => queues.postgres(),
        }
    }
}
