//! One queue of one deployment: permit, receive, gather, hand over.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::IntakeContext;
use super::leases::Leases;
use super::part::{Part, by_customer};
use crate::plugin::admission::{Customer, Permit, Reserve};
use crate::plugin::deployment::Deployment;
use crate::plugin::manifest::Consumed;
use hearth_backend::queue::{QueueError, Received};
use hearth_base::telemetry::ConsumerMetrics;

/// How often messages are polled for within a window.
const GATHER_LOOK: Duration = Duration::from_millis(50);

pub(super) struct Intake {
    pub(super) shared: Arc<IntakeContext>,
    pub(super) deployment: Arc<Deployment>,
    pub(super) consumed: Consumed,
    pub(super) queue: Arc<str>,
    pub(super) leases: Leases,
    pub(super) metrics: ConsumerMetrics,
    pub(super) stop: CancellationToken,
    tasks: TaskTracker,
    /// As many calls as the manifest allows.
    slots: Arc<Semaphore>,
    visibility: Duration,
    /// As whom it waits for its turn: no customer's id looks like this.
    party: Customer,
}

/// What one call needs of the host, beside its messages.
pub(super) struct CallPermits {
    pub(super) permit: Permit,
    pub(super) slot: OwnedSemaphorePermit,
}

impl Intake {
    pub(super) fn open(
        shared: Arc<IntakeContext>,
        deployment: Arc<Deployment>,
        consumed: Consumed,
        stop: CancellationToken,
        tasks: TaskTracker,
    ) -> Intake {
        let queue: Arc<str> = Arc::from(consumed.name.as_str());
        let visibility = consumed.visibility(deployment.wall_max());
        Intake {
            leases: Leases::new(shared.queues.clone(), queue.clone(), visibility),
            metrics: shared.metrics.consumer(&deployment.plugin, &queue),
            slots: Arc::new(Semaphore::new(consumed.concurrency)),
            party: Some(Arc::from(format!("consume:{queue}"))),
            shared,
            deployment,
            consumed,
            queue,
            stop,
            tasks,
            visibility,
        }
    }

    /// Goes on until it is stopped.
    pub(super) async fn run(self: Arc<Self>) {
        tracing::debug!(plugin = %self.deployment.plugin, deployment = self.deployment.number, queue = %self.queue, "consuming");
        while let Some((slot, permit)) = self.or_stop(self.room()).await {
            if let Err(error) = self.round(slot, permit).await {
                let (plugin, deployment) = (&self.deployment.plugin, self.deployment.number);
                tracing::warn!(%plugin, deployment, queue = %self.queue, %error, "messages cannot be received");
                self.or_stop(sleep(self.away())).await;
            }
        }
    }

    /// Whatever comes first; `None` for the end.
    pub(super) async fn or_stop<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            () = self.stop.cancelled() => None,
            done = work => Some(done),
        }
    }

    /// Room for a call, which comes before the receive: who cannot consume a
    /// message does not take it.
    async fn room(&self) -> (Option<OwnedSemaphorePermit>, Permit) {
        let slot = self.slots.clone().acquire_owned().await.ok();
        self.shared.pacer.turn().await;
        (slot, self.turn().await)
    }

    /// An intake waits once at a time, and its calls no more often than it has
    /// slots: so this is bounded.
    pub(super) async fn turn(&self) -> Permit {
        self.deployment
            .gate
            .enter_patiently(self.party.clone())
            .await
    }

    async fn round(
        self: &Arc<Self>,
        slot: Option<OwnedSemaphorePermit>,
        permit: Permit,
    ) -> Result<(), QueueError> {
        let Some(slot) = slot else {
            return Ok(());
        };
        let mut reserve = Reserve::new(&self.deployment.gate, permit);
        let mut messages = Vec::new();
        let received = tokio::select! {
            biased;
            received = self.receive(&mut messages) => received,
            () = reserve.keep() => Ok(()),
        };
        if messages.is_empty() {
            return received;
        }
        match self.keep_or_return(reserve).await {
            Some(permit) => self.hand_over(messages, CallPermits { permit, slot }),
            None => self.give_back(messages).await,
        }
        Ok(())
    }

    /// The permit that was kept, or one that comes within the time that a request
    /// waits. Then the messages go back, for a host that has room.
    async fn keep_or_return(&self, reserve: Reserve<'_>) -> Option<Permit> {
        if let Some(permit) = reserve.take() {
            return Some(permit);
        }
        let entering = self.deployment.gate.enter(self.party.clone());
        self.or_stop(entering).await?.ok()
    }

    /// At most one batch: the first messages, and those that arrive within the window.
    /// The queue is polled at intervals, as polling for each message would cost more
    /// than handling it. While requests arrive, and messages with them, the first poll
    /// waits for an interval too.
    async fn receive(&self, messages: &mut Vec<Received>) -> Result<(), QueueError> {
        let wait = Duration::from_millis(self.shared.config.receive_ms_max);
        let mut window = Duration::from_millis(self.consumed.window_ms);
        if self.shared.pacer.is_busy() {
            let first = window.min(GATHER_LOOK);
            self.or_stop(sleep(first)).await;
            window -= first;
        }
        self.receive_within(wait, messages).await?;
        let until = Instant::now() + window;
        while !messages.is_empty() && messages.len() < self.consumed.batch {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() || self.or_stop(sleep(left.min(GATHER_LOOK))).await.is_none() {
                break;
            }
            self.receive_within(Duration::ZERO, messages).await?;
        }
        Ok(())
    }

    /// A receive that is stopped gives back what it leased.
    async fn receive_within(
        &self,
        wait: Duration,
        messages: &mut Vec<Received>,
    ) -> Result<(), QueueError> {
        let max = self.consumed.batch.saturating_sub(messages.len());
        let queues = &self.shared.queues;
        let receiving = queues.receive(&self.queue, max, wait, self.visibility);
        let Some(received) = self.or_stop(receiving).await else {
            return Ok(());
        };
        let received = received?;
        self.leases.hold(&received);
        messages.extend(received);
        Ok(())
    }

    /// Each customer's messages are a call of their own. Those for which there is
    /// room go at once, the rest one after the other behind the first.
    fn hand_over(self: &Arc<Self>, messages: Vec<Received>, place: CallPermits) {
        self.metrics.batch_messages.record(messages.len() as f64);
        let call_bytes_max = self.shared.config.call_bytes_max;
        let mut parts = by_customer(messages, call_bytes_max).into_iter();
        let mut behind: Vec<Part> = parts.next().into_iter().collect();
        for part in parts {
            match self.another_place() {
                Some(place) => self.begin(vec![part], place),
                None => behind.push(part),
            }
        }
        self.begin(behind, place);
    }

    fn another_place(&self) -> Option<CallPermits> {
        let slot = self.slots.clone().try_acquire_owned().ok()?;
        let permit = self.deployment.gate.try_enter(self.party.clone())?;
        let place = CallPermits { permit, slot };
        self.shared.pacer.try_turn().then_some(place)
    }

    fn begin(self: &Arc<Self>, parts: Vec<Part>, place: CallPermits) {
        self.tasks.spawn(self.clone().consume_all(parts, place));
    }
}
