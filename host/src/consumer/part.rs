//! One customer's messages of a batch: the calls, and what becomes of each message.

use std::collections::HashSet;
use std::slice;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use tokio::time::sleep;

use super::intake::{Intake, Place};
use super::outcome::{self, Outcome};
use crate::backend::queue::{QueueError, Received, Settlement};
use crate::plugin::admission::Permit;
use crate::plugin::call;
use crate::plugin::instance::{Batch, Caller, Context, Message};

/// Messages of one customer, in the order in which they came.
pub(super) struct Part {
    customer: Option<Arc<str>>,
    messages: Vec<Received>,
}

/// Groups belong to a customer, so none is torn by this.
pub(super) fn by_customer(messages: Vec<Received>) -> Vec<Part> {
    let mut parts: Vec<Part> = Vec::new();
    for message in messages {
        let same = |part: &&mut Part| part.customer == message.customer;
        match parts.iter_mut().find(same) {
            Some(part) => part.messages.push(message),
            None => parts.push(Part {
                customer: message.customer.clone(),
                messages: vec![message],
            }),
        }
    }
    parts
}

impl Intake {
    /// Consumes parts one after the other. Each but the first waits for its turn
    /// as every call does; once it is stopped, what was not begun is given back.
    pub(super) async fn consume_all(self: Arc<Self>, parts: Vec<Part>, place: Place) {
        let Place { permit, slot } = place;
        let mut first = Some(permit).filter(|_| !self.stop.is_cancelled());
        for part in parts {
            let permit = match first.take() {
                Some(permit) => Some(permit),
                None => self.or_stop(self.turn()).await,
            };
            match permit {
                Some(permit) => self.consume(part, permit).await,
                None => self.give_back(part.messages).await,
            }
        }
        drop(slot);
    }

    async fn consume(&self, part: Part, permit: Permit) {
        let messages = self.without_worn_out(part.messages).await;
        if messages.is_empty() {
            return;
        }
        let outcome = self.call(part.customer.as_ref(), &messages, permit).await;
        match self.judge(outcome, &messages) {
            Some(settlements) => {
                let settled = messages.into_iter().zip(settlements);
                self.settle(settled.collect()).await;
            }
            None => self.one_by_one(part.customer, messages).await,
        }
    }

    /// A message that came more often than it may, and whose calls never ended: its
    /// hosts died, perhaps of it.
    async fn without_worn_out(&self, messages: Vec<Received>) -> Vec<Received> {
        let attempts_max = self.consumed.attempts_max;
        let (worn_out, rest): (Vec<_>, Vec<_>) = messages
            .into_iter()
            .partition(|message| message.attempt > attempts_max);
        if !worn_out.is_empty() {
            let dead = |message: Received| {
                let attempts = message.attempt.saturating_sub(1);
                let reason = format!("it came {attempts} times, and was settled none of them");
                (message, Settlement::DeadLetter(reason))
            };
            self.settle(worn_out.into_iter().map(dead).collect()).await;
        }
        rest
    }

    /// Finds the message that is to blame for the failure of all: each is tried
    /// alone. Within a group none goes before one that has to come again.
    async fn one_by_one(&self, customer: Option<Arc<str>>, messages: Vec<Received>) {
        let mut held_up: HashSet<String> = HashSet::new();
        for message in messages {
            let behind = |group: &String| held_up.contains(group);
            let permit = match message.group.as_ref().is_some_and(behind) {
                true => None,
                false => self.or_stop(self.turn()).await,
            };
            let settlement = match permit {
                Some(permit) => self.alone(customer.as_ref(), &message, permit).await,
                None => Settlement::GiveBack,
            };
            let ends = matches!(settlement, Settlement::Done | Settlement::DeadLetter(_));
            held_up.extend(message.group.clone().filter(|_| !ends));
            self.settle(vec![(message, settlement)]).await;
        }
    }

    async fn alone(
        &self,
        customer: Option<&Arc<str>>,
        message: &Received,
        permit: Permit,
    ) -> Settlement {
        let message = slice::from_ref(message);
        let outcome = self.call(customer, message, permit).await;
        let settlements = self.judge(outcome, message).unwrap_or_default();
        let settlement = settlements.into_iter().next();
        settlement.unwrap_or(Settlement::GiveBack)
    }

    /// One call of the guest, within all its limits.
    async fn call(
        &self,
        customer: Option<&Arc<str>>,
        messages: &[Received],
        permit: Permit,
    ) -> Outcome {
        let deployment = &self.deployment;
        let request_id: Arc<str> = Arc::from(uuid::Uuid::now_v7().to_string());
        let call = call::circumstances(deployment, request_id.clone(), customer.cloned());
        let batch = Batch {
            context: self.context(&request_id, customer),
            messages: messages.iter().map(for_guest).collect(),
        };
        let in_flight = messages.len() as f64;
        self.metrics.in_flight.increment(in_flight);
        let answer = tokio::select! {
            answer = call::consume(deployment, &self.shared.long, permit, call, batch) => Some(answer),
            // A drain that lasted too long: the deployment goes.
            () = deployment.stop.cancelled() => None,
        };
        self.metrics.in_flight.decrement(in_flight);
        let Some(answer) = answer else {
            return Outcome::Cut;
        };
        if let Err(failure) = &answer {
            deployment.metrics.count_trap(failure.kind());
        }
        let outcome = Outcome::of(answer, messages.len());
        if let Outcome::Failed(reason) = &outcome {
            let (plugin, queue) = (deployment.label(), &self.queue);
            let ids: Vec<&str> = messages.iter().map(|message| message.id.as_str()).collect();
            tracing::warn!(%plugin, %queue, %request_id, messages = ?ids, reason, "a call failed");
        }
        outcome
    }

    fn context(&self, request_id: &str, customer: Option<&Arc<str>>) -> Context {
        let caller = customer.map(|customer| Caller {
            customer_id: customer.to_string(),
            key_id: String::new(),
            scopes: Vec::new(),
        });
        Context {
            request_id: request_id.to_owned(),
            caller,
            deadline_ms: self.deployment.limits.wall_ms_max,
            mount: self.deployment.mount.to_string(),
        }
    }

    /// What becomes of each message. Nothing, where one of several is to blame and
    /// nobody knows yet which.
    fn judge(&self, outcome: Outcome, messages: &[Received]) -> Option<Vec<Settlement>> {
        let reason_bytes_max = self.shared.config.reason_bytes_max;
        let all = |settlement: Settlement| Some(vec![settlement; messages.len()]);
        match (outcome, messages) {
            (Outcome::Answered(dispositions), _) => {
                let dispositions = dispositions.into_iter();
                let said = dispositions.map(|said| outcome::settlement(said, reason_bytes_max));
                Some(said.collect())
            }
            (Outcome::Cut, _) => all(Settlement::GiveBack),
            (Outcome::NoRoom, _) => all(Settlement::RetryAfter(self.away())),
            (Outcome::Failed(reason), [one]) => {
                let (consumed, attempt) = (&self.consumed, one.attempt);
                let failed = outcome::failed(consumed, attempt, &reason, reason_bytes_max);
                Some(vec![failed])
            }
            (Outcome::Failed(_), _) => None,
        }
    }

    pub(super) async fn give_back(&self, messages: Vec<Received>) {
        let back = |message| (message, Settlement::GiveBack);
        self.settle(messages.into_iter().map(back).collect()).await;
    }

    /// Settles, and tries again where the queue is away for a moment: what was
    /// consumed and cannot be settled is consumed once more.
    async fn settle(&self, mut settled: Vec<(Received, Settlement)>) {
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
        let (plugin, queue, id) = (self.deployment.label(), &self.queue, &message.id);
        let attempt = message.attempt;
        match settlement {
            Settlement::DeadLetter(_) => {
                tracing::warn!(%plugin, %queue, message = %id, attempt, "a message is a dead letter");
            }
            _ => tracing::debug!(%plugin, %queue, message = %id, attempt, became, "settled"),
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
        let (plugin, queue, id) = (self.deployment.label(), &self.queue, &message.id);
        let wanted = outcome::name(settlement);
        tracing::warn!(%plugin, %queue, message = %id, wanted, %error, "a message was not settled");
    }

    pub(super) fn away(&self) -> Duration {
        Duration::from_millis(self.shared.config.away_ms)
    }
}

fn for_guest(message: &Received) -> Message {
    let sent_at = message.sent_at.duration_since(UNIX_EPOCH);
    let sent_at_ms = sent_at.unwrap_or(Duration::ZERO).as_millis();
    Message {
        id: message.id.clone(),
        queue: message.queue.to_string(),
        body: message.body.to_vec(),
        attributes: message.attributes.clone(),
        attempt: message.attempt,
        sent_at_ms: u64::try_from(sent_at_ms).unwrap_or(u64::MAX),
    }
}
