//! Carries out orders to check clocks: sends warnings and breaches, each once.
//!
//! An order covers all clocks of the customer that are due by then. They are checked in
//! their current state, with their tickets locked: nothing is sent for a clock that was
//! moved, stopped or met. The next order, which is sent with the commit, covers what is
//! due later.

use std::time::Duration;

use hearth_plugin::consumer::{Batch, Disposition};
use hearth_plugin::prelude::*;
use hearth_plugin::sql::Error;

use super::clock::Check;
use super::looks::{Looks, whole_second};
use super::order::{Order, QUEUE, span};
use super::plan::Plan;
use super::track::{self, Tracked};
use super::{review, tier};
use crate::events::Event;
use crate::outbox::Outbox;
use crate::refold;
use crate::sql::sla::{due_clocks, in_force, insert_look, next_check, remove_looks, write_clocks};
use crate::sql::{Described, lock_order, lock_tickets, short_descriptions};
use crate::ticket::Summary;

/// How long an order waits when Postgres is unavailable or busy.
const WAIT: Duration = Duration::from_secs(1);
/// Tickets of one look at most.
const PAGE: i64 = 100;
/// Between two looks at least, so that clocks which are due one soon after the other
/// are looked at together.
const PAUSE: Duration = Duration::from_secs(1);

/// Carries out orders of one customer.
pub fn consume(batch: &Batch) -> Vec<Disposition> {
    let now = Timestamp::now();
    let orders: Vec<_> = batch.messages.iter().map(Order::read).collect();
    let is_due = |order: &Order| matches!(order, Order::Look { at } if *at <= now);
    let database = batch.database();
    let looked = match orders.iter().flatten().any(is_due) {
        true => look(&database),
        false => Ok(()),
    };
    let orders = orders.into_iter().map(|order| match order {
        None => Disposition::DeadLetter("the message body is invalid".into()),
        Some(Order::Look { at }) if at > now => Disposition::RetryAfter(span(now, at)),
        Some(Order::Look { .. }) => disposition(&looked),
        Some(Order::Review { after }) => disposition(&review::review(&database, &after)),
        Some(Order::ReviewSoon) => disposition(&review::review(&database, "")),
        Some(Order::Refold) => disposition(&refold::refold(&database)),
    });
    orders.collect()
}

/// What Postgres cannot do now is done later. What it will never do is a mistake in
/// the plugin: its next version may mend it.
fn disposition(done: &Result<(), Error>) -> Disposition {
    match done {
        Ok(()) => Disposition::Done,
        Err(
            Error::Unavailable
            | Error::SerializationConflict
            | Error::DeadlineExceeded
            | Error::OutcomeUnknown
            | Error::QueueFull(_),
        ) => Disposition::RetryAfter(WAIT),
        Err(error) => Disposition::DeadLetter(error.to_string()),
    }
}

/// Looks at the clocks that are due, and orders the next look.
pub fn look(database: &Database) -> Result<(), Error> {
    let tier = tier::of_caller(database)?;
    let looks = Looks::of_caller(database)?;
    Outbox::run(|outbox| {
        database.transaction(Isolation::ReadCommitted, |tx| {
            let now = Timestamp::now();
            let due = due_clocks(tx, now, PAGE)?.into_iter();
            let due = lock_order(due.map(|due| due.ticket_id));
            let events = match due.is_empty() {
                true => Vec::new(),
                false => send_due_events(tx, &tier, &due)?,
            };
            remove_looks(tx, now)?;
            let is_full = i64::try_from(due.len()) == Ok(PAGE);
            let next = next_check(tx)?.and_then(|next| next.check_at);
            let next = next.and_then(|next| next_look(&looks, next, now, is_full));
            let next = match next {
                // Who comes second finds it ordered.
                Some(at) if outbox.has_room(QUEUE) && insert_look(tx, at)? > 0 => {
                    Some(Order::Look { at })
                }
                _ => None,
            };
            outbox.send(tx, &events, next.as_slice())
        })
    })
}

/// When to look again, unless an order for it is known; where there was more than a
/// page, at once.
fn next_look(looks: &Looks, next: Timestamp, now: Timestamp, is_full: bool) -> Option<Timestamp> {
    match is_full {
        true => Some(whole_second(now)),
        false => looks.uncovered([next.max(now.after(PAUSE))], now),
    }
}

/// Locks tickets and sends the due events of their clocks.
fn send_due_events(tx: &Transaction, tier: &str, ids: &[String]) -> Result<Vec<Event>, Error> {
    let tickets = lock_tickets(tx, ids)?;
    let now = Timestamp::now();
    let mut found = in_force(tx, ids, tier)?;
    let mut tracked = track::read(found.clocks.take());
    // Another look, or a change, may have come first.
    tracked.retain(|own| own.check_at.is_some_and(|check_at| check_at <= now));
    if tracked.is_empty() {
        return Ok(Vec::new());
    }
    let plan = Plan::of(&found, tier);
    let checks = tracked.iter_mut().map(|own| due_checks(&plan, own, now));
    let checks: Vec<Vec<Check>> = checks.collect();
    write_clocks(tx, &Json(tracked.iter().map(track::row).collect()))?;
    events(tx, &plan, &tickets, &tracked, &checks)
}

/// What a look at a ticket's clocks came to.
fn due_checks(plan: &Plan, tracked: &mut Tracked, now: Timestamp) -> Vec<Check> {
    tracked.clocks.schedule(plan, &tracked.priority);
    let mut checks = tracked.clocks.unsent_events(now);
    checks.retain(|check| check.at <= now);
    checks
        .iter()
        .for_each(|check| tracked.clocks.record_sent(check, now));
    tracked.watch(now);
    checks
}

fn events(
    tx: &Transaction,
    plan: &Plan,
    tickets: &[Summary],
    tracked: &[Tracked],
    checks: &[Vec<Check>],
) -> Result<Vec<Event>, Error> {
    let both = tracked.iter().zip(checks);
    let checks = both.flat_map(|(own, checks)| checks.iter().map(move |check| (own, check)));
    let checks: Vec<(&Tracked, &Check)> = checks.collect();
    if checks.is_empty() {
        return Ok(Vec::new());
    }
    let ids = lock_order(checks.iter().map(|(own, _)| own.ticket_id.clone()));
    let descriptions = short_descriptions(tx, &ids)?;
    let event = |(own, check): (&Tracked, &Check)| {
        let ticket = tickets.iter().find(|ticket| ticket.id == own.ticket_id)?;
        Some(event(plan, ticket, &descriptions, own, check))
    };
    Ok(checks.into_iter().filter_map(event).collect())
}

fn event(
    plan: &Plan,
    ticket: &Summary,
    descriptions: &[Described],
    tracked: &Tracked,
    check: &Check,
) -> Event {
    let kind = match check.kind {
        "warning" => "ticket.sla_warning",
        _ => "ticket.sla_breached",
    };
    let clock = tracked.clocks.of(check.clock);
    let sla = json!({
        "clock": check.clock,
        "target_minutes": clock.target_minutes,
        "warn_at": clock.warn_at,
        "due_at": clock.due_at,
        "policy_id": plan.policy_id,
        "calendar_id": plan.calendar_id,
    });
    let mut described = descriptions.iter();
    let described = described.find(|described| described.id == ticket.id);
    let description = described.map(|described| described.description.as_str());
    Event::of_clock(kind, ticket, description, check.at, sla)
}

#[cfg(test)]
mod tests {
    use hearth_plugin::consumer::Message;
    use hearth_plugin::context::{Context, Deadline};

    use super::*;

    fn consumed(body: &Value) -> Vec<Disposition> {
        let message = Message {
            id: "m".into(),
            queue: QUEUE.into(),
            body: body.to_string().into_bytes(),
            attributes: Vec::new(),
            attempt: 1,
            sent_at: Timestamp::default(),
        };
        let context = Context {
            request_id: "r".into(),
            caller: None,
            deadline: Deadline::after(Duration::from_secs(1)),
            mount: "/support".into(),
        };
        consume(&Batch {
            context,
            messages: vec![message],
        })
    }

    #[test]
    fn order_that_comes_early_waits_and_what_is_none_is_a_dead_letter() {
        let hour = 60 * super::super::calendar::MICROS_PER_MINUTE;
        let at = Timestamp::from_micros(Timestamp::now().micros() + hour);
        let early = consumed(&json!({"check": {"ticket_id": "tkt_1", "at": at}}));
        let [Disposition::RetryAfter(wait)] = early[..] else {
            panic!("{early:?}");
        };
        assert!((3_500..=3_600).contains(&wait.as_secs()), "{wait:?}");
        let [Disposition::DeadLetter(_)] = &consumed(&json!({"do": "it"}))[..] else {
            panic!("it is an order");
        };
    }
}
