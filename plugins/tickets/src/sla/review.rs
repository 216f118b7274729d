//! The hourly review: goes through all tickets of a customer with running clocks, one
//! page for each message. Due times change with a policy, a calendar or the customer's
//! tier, and tickets are not updated then. It begins by checking what is due, which
//! makes up for lost orders, and by adding missing search terms.
//!
//! Most tickets have not changed; these are read, but neither locked nor written.

use hearth_plugin::prelude::*;
use hearth_plugin::sql::Error;

use super::looks::Looks;
use super::order::Order;
use super::plan::Plan;
use super::track::{self, Tracked};
use super::{tier, watch};
use crate::outbox::Outbox;
use crate::refold;
use crate::sql::lock_tickets;
use crate::sql::sla::{in_force, watched_after, write_clocks};

/// Tickets of one message.
const PAGE: i64 = 100;

/// Says of the tickets after one when their clocks are due, and when to look at them
/// where that is sooner than was said; and sends an order for it, and one for the next page.
pub fn review(database: &Database, after: &str) -> Result<(), Error> {
    if after.is_empty() {
        watch::look(database)?;
        refold::refold(database)?;
    }
    let page = watched_after(database, after, PAGE)?;
    let ids: Vec<String> = page.into_iter().map(|watched| watched.ticket_id).collect();
    let is_full = i64::try_from(ids.len()) == Ok(PAGE);
    let after = ids.last().filter(|_| is_full).cloned();
    let next = after.map(|after| Order::Review { after });
    let tier = tier::of_caller(database)?;
    let overlooked = overlooked(database, &ids, &tier)?;
    let overlooked: Vec<String> = overlooked.into_iter().map(|own| own.ticket_id).collect();
    if overlooked.is_empty() && next.is_none() {
        return Ok(());
    }
    let looks = Looks::of_caller(database)?;
    Outbox::run(|outbox| {
        database.transaction(Isolation::ReadCommitted, |tx| {
            let checks = mend(tx, &overlooked, &tier)?;
            let order = looks.order(checks, Timestamp::now());
            let orders: Vec<Order> = order.into_iter().chain(next.clone()).collect();
            outbox.send(tx, &[], &orders)
        })
    })
}

/// The clocks, by the current policy, that will not be checked in time, or whose due
/// time differs from the stored one.
fn overlooked(on: &dyn sql::Connection, ids: &[String], tier: &str) -> Result<Vec<Tracked>, Error> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let now = Timestamp::now();
    let mut found = in_force(on, ids, tier)?;
    let mut tracked = track::read(found.clocks.take());
    let plan = Plan::of(&found, tier);
    for own in &mut tracked {
        own.clocks.schedule(&plan, &own.priority);
    }
    tracked.retain(|own| own.is_overlooked(now) || own.is_due_otherwise());
    Ok(tracked)
}

/// Locks the tickets, looks again, and writes for when each is to be looked at.
fn mend(tx: &Transaction, ids: &[String], tier: &str) -> Result<Vec<Timestamp>, Error> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    lock_tickets(tx, ids)?;
    let mut tracked = overlooked(tx, ids, tier)?;
    let now = Timestamp::now();
    tracked.iter_mut().for_each(|own| own.watch(now));
    write_clocks(tx, &Json(tracked.iter().map(track::row).collect()))?;
    Ok(tracked.iter().filter_map(|own| own.check_at).collect())
}
