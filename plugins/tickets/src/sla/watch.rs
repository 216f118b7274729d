//! What comes of the orders to look at clocks: warnings and breaches, told once.
//!
//! A ticket's row says for which instant its order is under way; any other is void.
//! Looked at are the clocks as they are then, under the ticket's lock: what has moved,
//! stopped or been met is not told, and the next order goes out with the commit.

use std::time::Duration;

use hearth_plugin::consumer::{Batch, Disposition};
use hearth_plugin::prelude::*;
use hearth_plugin::sql::Error;

use super::clock::Check;
use super::order::{Order, span};
use super::plan::Plan;
use super::track::{self, Tracked};
use super::{review, tier};
use crate::events::Event;
use crate::outbox::Outbox;
use crate::sql::sla::{in_force, write_told};
use crate::sql::{Described, lock_tickets, short_descriptions};
use crate::ticket::Summary;

/// How long an order waits where Postgres is away or busy.
const WAIT: Duration = Duration::from_secs(1);

/// Carries out orders of one customer.
pub fn consume(batch: &Batch) -> Vec<Disposition> {
    let now = Timestamp::now();
    let orders: Vec<_> = batch.messages.iter().map(Order::read).collect();
    let is_due = |order: &&Order| matches!(order, Order::Check { at, .. } if *at <= now);
    let due: Vec<&Order> = orders.iter().flatten().filter(is_due).collect();
    let database = batch.database();
    let looked = look(&database, &due);
    let orders = orders.into_iter().map(|order| match order {
        None => Disposition::DeadLetter("the body is no order".into()),
        Some(Order::Check { at, .. }) if at > now => Disposition::RetryAfter(span(now, at)),
        Some(Order::Check { .. }) => disposition(&looked),
        Some(Order::Review { after }) => disposition(&review::review(&database, &after)),
        Some(Order::ReviewSoon) => disposition(&review::review(&database, "")),
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

/// Looks at the clocks that orders are about.
fn look(database: &Database, orders: &[&Order]) -> Result<(), Error> {
    if orders.is_empty() {
        return Ok(());
    }
    let ids: Vec<String> = orders.iter().filter_map(|order| ticket_id(order)).collect();
    let tier = tier::of_caller(database)?;
    Outbox::run(|outbox| {
        database.transaction(Isolation::ReadCommitted, |tx| {
            let tickets = lock_tickets(tx, &ids)?;
            let now = Timestamp::now();
            let mut found = in_force(tx, &ids, &tier)?;
            let mut tracked = track::read(found.clocks.take());
            tracked.retain(|tracked| orders.iter().any(|order| is_about(order, tracked)));
            let plan = Plan::of(&found, &tier);
            let looked = tracked.iter_mut().map(|own| told(&plan, own, now));
            let looked: Vec<Looked> = looked.collect();
            if !looked.is_empty() {
                write_told(tx, &Json(tracked.iter().map(row).collect()))?;
            }
            let events = events(tx, &plan, &tickets, &tracked, &looked)?;
            let orders: Vec<Order> = looked
                .into_iter()
                .filter_map(|looked| looked.next)
                .collect();
            outbox.send(tx, &events, &orders)
        })
    })
}

fn ticket_id(order: &Order) -> Option<String> {
    match order {
        Order::Check { ticket_id, .. } => Some(ticket_id.clone()),
        _ => None,
    }
}

/// Whether it is the order that is under way for these clocks.
fn is_about(order: &Order, tracked: &Tracked) -> bool {
    match order {
        Order::Check { ticket_id, at } => {
            *ticket_id == tracked.ticket_id && Some(*at) == tracked.check_at
        }
        _ => false,
    }
}

/// What a look at a ticket's clocks came to.
struct Looked {
    told: Vec<Check>,
    next: Option<Order>,
}

fn told(plan: &Plan, tracked: &mut Tracked, now: Timestamp) -> Looked {
    tracked.clocks.schedule(plan, &tracked.priority);
    let mut told = tracked.clocks.untold(now);
    told.retain(|check| check.at <= now);
    told.iter()
        .for_each(|check| tracked.clocks.tell(check, now));
    tracked.check_at = None;
    let next = tracked.watch(now);
    Looked { told, next }
}

fn row(tracked: &Tracked) -> Value {
    let clocks = &tracked.clocks;
    json!({
        "ticket_id": tracked.ticket_id,
        "check_at": tracked.check_at,
        "first_response_warned_at": clocks.first_response.told.warning,
        "first_response_breached_at": clocks.first_response.told.breach,
        "resolution_warned_at": clocks.resolution.told.warning,
        "resolution_breached_at": clocks.resolution.told.breach,
    })
}

fn events(
    tx: &Transaction,
    plan: &Plan,
    tickets: &[Summary],
    tracked: &[Tracked],
    looked: &[Looked],
) -> Result<Vec<Event>, Error> {
    let both = tracked.iter().zip(looked);
    let told = both.flat_map(|(own, looked)| looked.told.iter().map(move |check| (own, check)));
    let told: Vec<(&Tracked, &Check)> = told.collect();
    if told.is_empty() {
        return Ok(Vec::new());
    }
    let ids: Vec<String> = told.iter().map(|(own, _)| own.ticket_id.clone()).collect();
    let descriptions = short_descriptions(tx, &ids)?;
    let event = |(own, check): (&Tracked, &Check)| {
        let ticket = tickets.iter().find(|ticket| ticket.id == own.ticket_id)?;
        Some(event(plan, ticket, &descriptions, own, check))
    };
    Ok(told.into_iter().filter_map(event).collect())
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
    use crate::sla::order::QUEUE;

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
