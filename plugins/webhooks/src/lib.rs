//! Webhooks, at `/webhooks`, by Standard Webhooks: a customer's endpoints, the events
//! that the customer or other plugins send, and their deliveries: at least once each,
//! signed, retried for three days, with a record of each attempt.
//!
//! An event is accepted in one transaction with its deliveries and their messages
//! (`accept`). A worker takes the message, checks whether it is the endpoint's turn
//! (`admit`), sends (`attempt`), and writes the outcome (`deliver`); the message itself
//! waits for the next attempt. The state of a delivery is in its row, and a message is
//! void once its row has moved on.

mod accept;
mod admit;
mod attempt;
mod attempts;
mod deliver;
mod destination;
mod dlq;
mod endpoint;
mod endpoints;
mod event_types;
mod events;
mod headers;
mod ingest;
mod order;
mod requeue;
mod schedule;
mod schema;
mod secrets;
mod sign;
mod sql;
mod stats;
mod sweep;
mod switch;
mod topic;
mod trial;

use hearth_plugin::consumer::{Batch, Disposition, Message};
use hearth_plugin::prelude::*;

use crate::order::{Job, Order, Spread};

fn router() -> Router {
    Router::new()
        .get("/endpoints", endpoints::list)
        .post("/endpoints", endpoints::create)
        .get("/endpoints/{id}", endpoints::show)
        .patch("/endpoints/{id}", endpoints::change)
        .delete("/endpoints/{id}", endpoints::delete)
        .post("/endpoints/{id}/enable", endpoints::enable)
        .post("/endpoints/{id}/disable", endpoints::disable)
        .post("/endpoints/{id}/test", trial::send)
        .post("/endpoints/{id}/recover", requeue::recover)
        .post("/endpoints/{id}/replay-missing", requeue::replay_missing)
        .get("/endpoints/{id}/secret", secrets::show)
        .post("/endpoints/{id}/secret/rotate", secrets::rotate)
        .get("/endpoints/{id}/stats", stats::show)
        .get("/endpoints/{id}/attempts", attempts::of_endpoint)
        .get("/events", events::list)
        .post("/events", events::create)
        .get("/events/{id}", events::show)
        .get("/events/{id}/attempts", attempts::of_event)
        .post(
            "/events/{id}/endpoints/{endpoint_id}/resend",
            requeue::resend,
        )
        .get("/event-types", event_types::list)
        .get("/event-types/{name}", event_types::show)
        .put("/event-types/{name}", event_types::replace)
        .delete("/event-types/{name}", event_types::delete)
        .get("/dlq", dlq::list)
        .post("/dlq/redrive", dlq::redrive)
}

hearth_plugin::handler!(router);

/// Takes messages of the queues that the manifest names.
fn consume(batch: &Batch) -> Vec<Disposition> {
    let messages = batch.messages.iter();
    let Some(customer) = batch.customer() else {
        let nobody = || Disposition::DeadLetter("the message has no customer".into());
        return messages.map(|_| nobody()).collect();
    };
    match batch.messages.first().map(|first| first.queue.as_str()) {
        Some(ingest::EVENTS) => ingest::ingest(batch),
        Some(sweep::SWEEPS) => messages.map(|_| sweep::sweep(batch, customer)).collect(),
        _ => messages
            .map(|message| consume_own(batch, customer, message))
            .collect(),
    }
}

/// A message of the plugin to itself.
fn consume_own(batch: &Batch, customer: &str, message: &Message) -> Disposition {
    if let Some(order) = message.json::<Order>() {
        return deliver::deliver(batch, customer, &order);
    }
    if let Some(spread) = message.json::<Spread>() {
        return accept::spread(batch, &spread);
    }
    match message.json::<Job>() {
        Some(job) => requeue::work(batch, &job),
        None => Disposition::DeadLetter("the message body is invalid".into()),
    }
}

hearth_plugin::consumer!(consume);

#[cfg(test)]
mod tests;
