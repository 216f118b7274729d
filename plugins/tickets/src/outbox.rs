//! Messages that are sent with a change: events for other plugins, and delayed messages
//! to this plugin to check clocks.
//!
//! A full queue does not fail a change. The message is dropped, counted and logged; for
//! clocks the hourly review makes up for it.

use std::cell::RefCell;

use hearth_plugin::log;
use hearth_plugin::prelude::*;
use hearth_plugin::queue::Message;
use hearth_plugin::sql::{Batch, Error};

use crate::events::Event;
use crate::sla::looks;
use crate::sla::order::{self, Order};
use crate::sql::sla::insert_look;

/// Where events may go.
const EVENT_QUEUES: [&str; 2] = ["webhook-events", "notification-events"];

/// The messages of a change are sent through this.
pub struct Outbox {
    /// Where events go.
    queues: Vec<&'static str>,
    /// The queues that had no room.
    full: RefCell<Vec<String>>,
    /// The instants of the orders to look at clocks among what is sent.
    looks: RefCell<Vec<Timestamp>>,
}

/// The queues of the setting `events`, names separated by commas; or the first name
/// that is none of them.
fn parse_queues(setting: &str) -> Result<Vec<&'static str>, &str> {
    let names = setting.split(',').map(str::trim);
    let names = names.filter(|name| !name.is_empty());
    let known = |name| EVENT_QUEUES.into_iter().find(|known| *known == name);
    names.map(|name| known(name).ok_or(name)).collect()
}

/// Refuses to serve with a setting that names another queue. The gate's self-test
/// comes here, so the operator hears of it before anything is lost.
pub fn check_setting() -> Result<(), Problem> {
    let setting = config::get("events").unwrap_or_default();
    parse_queues(&setting).map(drop).map_err(|unknown| {
        let known = EVENT_QUEUES.join(", ");
        log::error!(
            "the setting events names an unknown queue",
            queue = unknown,
            known = known
        );
        Problem::internal()
    })
}

impl Outbox {
    /// Runs a change that sends messages: again, and without them, where a queue
    /// turns out to be full.
    pub fn run<T, E>(change: impl Fn(&Outbox) -> Result<T, E>) -> Result<T, E> {
        let setting = config::get("events").unwrap_or_default();
        let outbox = Outbox {
            queues: parse_queues(&setting).unwrap_or_default(),
            full: RefCell::default(),
            looks: RefCell::default(),
        };
        loop {
            let known = outbox.full.borrow().len();
            let result = change(&outbox);
            if result.is_ok() {
                outbox.report();
                looks::remember(&outbox.looks.borrow());
            }
            if result.is_ok() || outbox.full.borrow().len() == known {
                return result;
            }
        }
    }

    /// Sends events and orders with a transaction.
    pub fn send(&self, tx: &Transaction, events: &[Event], orders: &[Order]) -> Result<(), Error> {
        for at in self.looks(orders) {
            insert_look(tx, at)?;
        }
        for (queue, message) in self.messages(events, orders) {
            self.noted(tx.enqueue(queue, message))?;
        }
        Ok(())
    }

    /// The same with a batch; hand its result to [`Outbox::noted`].
    pub fn add(&self, batch: &mut Batch, events: &[Event], orders: &[Order]) {
        for at in self.looks(orders) {
            batch.add(insert_look::step(at));
        }
        for (queue, message) in self.messages(events, orders) {
            batch.enqueue(queue, message);
        }
    }

    /// Remembers which queue was full.
    pub fn noted<T>(&self, result: Result<T, Error>) -> Result<T, Error> {
        if let Err(Error::QueueFull(queue)) = &result {
            self.full.borrow_mut().push(queue.clone());
        }
        result
    }

    /// Whether nothing was heard of the queue being full.
    pub fn has_room(&self, queue: &str) -> bool {
        !self.full.borrow().iter().any(|full| full == queue)
    }

    /// The orders to look at clocks that are under way with the commit.
    fn looks(&self, orders: &[Order]) -> Vec<Timestamp> {
        let look = |order: &Order| match order {
            Order::Look { at } => Some(*at),
            Order::Review { .. } | Order::ReviewSoon | Order::Refold => None,
        };
        let orders = orders.iter().filter(|_| self.has_room(order::QUEUE));
        let looks: Vec<_> = orders.filter_map(look).collect();
        self.looks.borrow_mut().clone_from(&looks);
        looks
    }

    /// Each event once for every queue, with the same id.
    fn messages(&self, events: &[Event], orders: &[Order]) -> Vec<(&'static str, Message)> {
        let has_room = |queue: &&str| self.has_room(queue);
        let mut messages = Vec::new();
        if self.queues.iter().any(&has_room) {
            for event in events {
                let message = event.message();
                let queues = self.queues.iter().filter(|queue| has_room(queue));
                messages.extend(queues.map(|queue| (*queue, message.clone())));
            }
        }
        if has_room(&order::QUEUE) {
            let orders = orders.iter().map(|order| (order::QUEUE, order.message()));
            messages.extend(orders);
        }
        messages
    }

    fn report(&self) {
        for queue in self.full.borrow().iter() {
            metrics::count("queue_full", 1, &[("queue", queue)]);
            log::error!(
                "the event of a change was not sent: the queue is full",
                queue = queue.as_str()
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn setting_names_the_queues_that_events_go_to() {
        assert_eq!(parse_queues(""), Ok(vec![]));
        assert_eq!(
            parse_queues(" notification-events ,"),
            Ok(vec!["notification-events"])
        );
        assert_eq!(
            parse_queues("webhook-events,notification-events"),
            Ok(EVENT_QUEUES.to_vec())
        );
        assert_eq!(parse_queues("webhook-events,webhooks"), Err("webhooks"));
    }
}
