//! Adds the search terms of tickets that were created before there were any: some with
//! each message of the queue `ticket-clocks`, which the hourly review starts.

use hearth_plugin::prelude::*;
use hearth_plugin::sql::Error;

use crate::fold;
use crate::outbox::Outbox;
use crate::sla::order::Order;
use crate::sql::terms::{Unfolded, lock_unfolded, remove_terms, write_terms};

/// Folds the next tickets, and sends an order for those after them.
pub fn refold(database: &Database) -> Result<(), Error> {
    Outbox::run(|outbox| {
        database.transaction(Isolation::ReadCommitted, |tx| {
            let tickets = lock_unfolded(tx)?;
            for ticket in &tickets {
                write(tx, ticket)?;
            }
            let next = (!tickets.is_empty()).then_some(Order::Refold);
            outbox.send(tx, &[], next.as_slice())
        })
    })
}

fn write(tx: &Transaction, ticket: &Unfolded) -> Result<(), Error> {
    let search = fold::vector(&ticket.subject, &ticket.description);
    remove_terms(tx, &ticket.id)?;
    write_terms(tx, &ticket.id, &search).map(drop)
}
