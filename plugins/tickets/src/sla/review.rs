//! Going through all tickets of a customer whose clocks run, a page a message: due
//! times move when a policy or calendar changes, or the customer's tier, and no ticket
//! hears of that. It also makes up for orders that were lost.
//!
//! Most have nothing new, and those are read and neither locked nor written.

use hearth_plugin::prelude::*;
use hearth_plugin::sql::Error;

use super::calendar::MICROS_PER_MINUTE;
use super::order::Order;
use super::plan::Plan;
use super::tier;
use super::track::{self, Tracked};
use crate::outbox::Outbox;
use crate::sql::lock_tickets;
use crate::sql::sla::{in_force, watched_after, write_clocks};

/// Tickets of one message.
const PAGE: i64 = 100;
/// An order that did not come so long after its time is lost.
const LOST_AFTER_MICROS: i64 = 10 * MICROS_PER_MINUTE;

/// Sends orders for the tickets after one that lack them, and one for the next page.
pub fn review(database: &Database, after: &str) -> Result<(), Error> {
    let page = watched_after(database, after, PAGE)?;
    let ids: Vec<String> = page.into_iter().map(|watched| watched.ticket_id).collect();
    let is_full = i64::try_from(ids.len()) == Ok(PAGE);
    let after = ids.last().filter(|_| is_full).cloned();
    let next: Vec<Order> = after
        .map(|after| Order::Review { after })
        .into_iter()
        .collect();
    let tier = tier::of_caller(database)?;
    let lacking = lacking(database, &ids, &tier)?;
    let lacking: Vec<String> = lacking.into_iter().map(|own| own.ticket_id).collect();
    if lacking.is_empty() && next.is_empty() {
        return Ok(());
    }
    Outbox::run(|outbox| {
        database.transaction(Isolation::ReadCommitted, |tx| {
            let orders = mend(tx, &lacking, &tier)?;
            outbox.send(tx, &[], &[orders, next.clone()].concat())
        })
    })
}

/// The clocks, as the policy is now, that nobody will look at in time.
fn lacking(on: &dyn sql::Connection, ids: &[String], tier: &str) -> Result<Vec<Tracked>, Error> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let now = Timestamp::now();
    let mut found = in_force(on, ids, tier)?;
    let mut tracked = track::read(found.clocks.take());
    let plan = Plan::of(&found, tier);
    for own in &mut tracked {
        own.clocks.schedule(&plan, &own.priority);
        let lost = |at: &Timestamp| at.micros() < now.micros() - LOST_AFTER_MICROS;
        own.check_at = own.check_at.filter(|at| !lost(at));
    }
    tracked.retain(|own| own.unwatched(now).is_some());
    Ok(tracked)
}

/// Locks the tickets, looks again, and writes for when each has an order.
fn mend(tx: &Transaction, ids: &[String], tier: &str) -> Result<Vec<Order>, Error> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    lock_tickets(tx, ids)?;
    let mut tracked = lacking(tx, ids, tier)?;
    let now = Timestamp::now();
    let orders = tracked
        .iter_mut()
        .filter_map(|own| own.watch(now))
        .collect();
    write_clocks(tx, &Json(tracked.iter().map(track::row).collect()))?;
    Ok(orders)
}
