//! One customer's messages of a batch, and the outcome of each.

use std::collections::HashSet;
use std::slice;
use std::sync::Arc;

use super::intake::{CallPermits, Intake};
use super::outcome::{self, Outcome};
use crate::plugin::admission::Permit;
use hearth_backend::queue::{Received, Settlement};

/// Messages of one customer. No wave has two of a group, for the second begins
/// only once the first has ended, and none has more bytes than one call may.
pub(super) struct Part {
    customer: Option<Arc<str>>,
    waves: Vec<Wave>,
}

/// The messages of one call.
type Wave = Vec<Received>;

/// Groups belong to a customer, so none is torn by this.
pub(super) fn by_customer(messages: Vec<Received>, call_bytes_max: usize) -> Vec<Part> {
    let mut parts: Vec<Part> = Vec::new();
    for message in messages {
        let same = |part: &&mut Part| part.customer == message.customer;
        match parts.iter_mut().find(same) {
            Some(part) => part.add(message, call_bytes_max),
            None => parts.push(Part {
                customer: message.customer.clone(),
                waves: vec![vec![message]],
            }),
        }
    }
    parts
}

fn bytes(wave: &[Received]) -> usize {
    wave.iter().map(|message| message.body.len()).sum()
}

impl Part {
    /// Into the first wave with room for it behind the last one with its group.
    fn add(&mut self, message: Received, call_bytes_max: usize) {
        let same = |other: &Received| message.group.is_some() && other.group == message.group;
        let last = self.waves.iter().rposition(|wave| wave.iter().any(same));
        let has_room = |wave: &&mut Wave| bytes(wave) + message.body.len() <= call_bytes_max;
        let behind = self.waves.iter_mut().skip(last.map_or(0, |last| last + 1));
        match behind.into_iter().find(has_room) {
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
    pub(super) async fn consume_all(self: Arc<Self>, parts: Vec<Part>, place: CallPermits) {
        let CallPermits { permit, slot } = place;
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

    /// Returns the groups with a message that must be delivered again.
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

    /// Removes messages that were delivered too often without any of their calls
    /// ending: their hosts died, perhaps because of them.
    async fn without_worn_out(&self, wave: Wave) -> Wave {
        let attempts_max = self.consumed.attempts_max;
        let (worn_out, rest): (Wave, Wave) = wave
            .into_iter()
            .partition(|message| message.attempt > attempts_max);
        let dead = |message: Received| {
            let attempts = message.attempt.saturating_sub(1);
            let reason = format!("no call for it ended, in {attempts} attempts");
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

    /// The settlement of each message. `None` if one of several is to blame and it is
    /// not known which.
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

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;
    use hearth_backend::queue::Receipt;

    fn message(id: usize, customer: &str, group: Option<&str>, bytes: usize) -> Received {
        Received {
            id: id.to_string(),
            queue: Arc::from("letters"),
            customer: Some(Arc::from(customer)),
            plugin: Arc::from("mail"),
            body: vec![0; bytes].into(),
            attributes: Vec::new(),
            traceparent: None,
            group: group.map(str::to_owned),
            attempt: 1,
            sent_at: SystemTime::UNIX_EPOCH,
            receipt: Receipt::of_none(),
        }
    }

    /// The ids of each call's messages, part by part.
    fn calls(messages: Vec<Received>) -> Vec<Vec<String>> {
        let ids = |wave: &Wave| wave.iter().map(|message| message.id.clone()).collect();
        let parts = by_customer(messages, 100);
        let waves = parts.iter().flat_map(|part| part.waves.iter().map(ids));
        waves.map(|ids: Vec<String>| vec![ids.join(" ")]).collect()
    }

    #[test]
    fn each_customer_has_calls_of_his_own() {
        let of = |id, customer| message(id, customer, None, 1);
        let messages = vec![of(1, "a"), of(2, "b"), of(3, "a")];
        assert_eq!(calls(messages), [["1 3"], ["2"]]);
    }

    #[test]
    fn second_of_a_group_waits_for_the_first() {
        let of = |id, group| message(id, "a", group, 1);
        let messages = vec![
            of(1, Some("g")),
            of(2, Some("g")),
            of(3, None),
            of(4, Some("h")),
        ];
        assert_eq!(calls(messages), [["1 3 4"], ["2"]]);
    }

    #[test]
    fn call_has_no_more_bytes_than_it_may_but_for_one_message_that_is_larger() {
        let of = |id, bytes| message(id, "a", None, bytes);
        let messages = vec![of(1, 60), of(2, 60), of(3, 40), of(4, 500), of(5, 1)];
        assert_eq!(calls(messages), [["1 3"], ["2 5"], ["4"]]);
    }
}
