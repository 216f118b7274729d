//! One customer's messages of a batch, and what becomes of each.

use std::collections::HashSet;
use std::slice;
use std::sync::Arc;

use super::intake::{Intake, Place};
use super::outcome::{self, Outcome};
use crate::backend::queue::{Received, Settlement};
use crate::plugin::admission::Permit;

/// Messages of one customer. No wave has two of a group, for the second begins
/// only once the first has ended.
pub(super) struct Part {
    customer: Option<Arc<str>>,
    waves: Vec<Wave>,
}

/// The messages of one call.
type Wave = Vec<Received>;

/// Groups belong to a customer, so none is torn by this.
pub(super) fn by_customer(messages: Vec<Received>) -> Vec<Part> {
    let mut parts: Vec<Part> = Vec::new();
    for message in messages {
        let same = |part: &&mut Part| part.customer == message.customer;
        match parts.iter_mut().find(same) {
            Some(part) => part.add(message),
            None => parts.push(Part {
                customer: message.customer.clone(),
                waves: vec![vec![message]],
            }),
        }
    }
    parts
}

impl Part {
    /// Into the first wave behind the last one with its group.
    fn add(&mut self, message: Received) {
        let same = |other: &Received| message.group.is_some() && other.group == message.group;
        let last = self.waves.iter().rposition(|wave| wave.iter().any(same));
        let place = last.map_or(0, |last| last + 1);
        match self.waves.get_mut(place) {
            Some(wave) => wave.push(message),
            None => self.waves.push(vec![message]),
        }
    }

    fn into_messages(self) -> Vec<Received> {
        self.waves.into_iter().flatten().collect()
    }
}

impl Intake {
    /// Consumes parts one after the other. Each call but the first waits for its
    /// turn; once it is stopped, what was not begun is given back.
    pub(super) async fn consume_all(self: Arc<Self>, parts: Vec<Part>, place: Place) {
        let Place { permit, slot } = place;
        let mut first = Some(permit).filter(|_| !self.stop.is_cancelled());
        for part in parts {
            let permit = match first.take() {
                Some(permit) => Some(permit),
                None => self.or_stop(self.turn()).await,
            };
            match permit {
                Some(permit) => self.consume_part(part, permit).await,
                None => self.give_back(part.into_messages()).await,
            }
        }
        drop(slot);
    }

    async fn consume_part(&self, part: Part, permit: Permit) {
        let (customer, mut first) = (part.customer.as_ref(), Some(permit));
        let mut held_up = HashSet::new();
        for wave in part.waves {
            let behind = |group: &String| held_up.contains(group);
            let (behind, wave): (Wave, Wave) = wave
                .into_iter()
                .partition(|message| message.group.as_ref().is_some_and(behind));
            self.give_back(behind).await;
            if wave.is_empty() {
                continue;
            }
            let permit = match first.take() {
                Some(permit) => Some(permit),
                None => self.or_stop(self.turn()).await,
            };
            match permit {
                Some(permit) => held_up.extend(self.consume(customer, wave, permit).await),
                None => self.give_back(wave).await,
            }
        }
    }

    /// Answers the groups whose message has to come again.
    async fn consume(
        &self,
        customer: Option<&Arc<str>>,
        wave: Wave,
        permit: Permit,
    ) -> Vec<String> {
        let wave = self.without_worn_out(wave).await;
        if wave.is_empty() {
            return Vec::new();
        }
        let outcome = self.call(customer, &wave, permit).await;
        let settlements = match self.judge(outcome, &wave) {
            Some(settlements) => settlements,
            None => return self.one_by_one(customer, wave).await,
        };
        let settled: Vec<_> = wave.into_iter().zip(settlements).collect();
        let held_up = settled.iter().filter_map(held_up).collect();
        self.settle(settled).await;
        held_up
    }

    /// A message that came more often than it may, and whose calls never ended: its
    /// hosts died, perhaps of it.
    async fn without_worn_out(&self, wave: Wave) -> Wave {
        let attempts_max = self.consumed.attempts_max;
        let (worn_out, rest): (Wave, Wave) = wave
            .into_iter()
            .partition(|message| message.attempt > attempts_max);
        let dead = |message: Received| {
            let attempts = message.attempt.saturating_sub(1);
            let reason = format!("no call of it came to an end, {attempts} times");
            (message, Settlement::DeadLetter(reason))
        };
        self.settle(worn_out.into_iter().map(dead).collect()).await;
        rest
    }

    /// Finds the message that is to blame for the failure of all: each is tried
    /// alone.
    async fn one_by_one(&self, customer: Option<&Arc<str>>, wave: Wave) -> Vec<String> {
        let mut groups = Vec::new();
        for message in wave {
            let settlement = match self.or_stop(self.turn()).await {
                Some(permit) => self.alone(customer, &message, permit).await,
                None => Settlement::GiveBack,
            };
            let settled = (message, settlement);
            groups.extend(held_up(&settled));
            self.settle(vec![settled]).await;
        }
        groups
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
}

/// The group of a message that has to come again.
fn held_up((message, settlement): &(Received, Settlement)) -> Option<String> {
    let ends = matches!(settlement, Settlement::Done | Settlement::DeadLetter(_));
    message.group.clone().filter(|_| !ends)
}
