//! Enables and disables endpoints; disabling is an event itself.

use hearth_plugin::prelude::*;
use hearth_plugin::queue::Message;
use hearth_plugin::{config, log};

use crate::accept::{self, Event};
use crate::endpoint::{Endpoint, Reason};
use crate::sql::endpoints::{reset_health, update_endpoint};
use crate::sql::events::subscriptions;
use crate::{requeue, topic};

/// The type of the event.
const DISABLED: &str = "endpoint.disabled";
/// Where the customer's own notifications come from. They are told where the setting
/// `events` names it.
const NOTIFICATIONS: &str = "notification-events";

/// Enables a locked endpoint. Whatever went wrong before counts no more; one that is
/// enabled need not rest any more.
pub fn on(tx: &Transaction, endpoint: &mut Endpoint, now: Timestamp) -> Result<(), sql::Error> {
    if endpoint.enabled {
        requeue::lift(tx, std::slice::from_ref(&endpoint.id), now)?;
        return Ok(());
    }
    endpoint.switch(None, now);
    endpoint.touch(now);
    update_endpoint(tx, &endpoint.row())?;
    reset_health(tx, &endpoint.id)?;
    Ok(())
}

/// Runs what may disable an endpoint, and again without a word to the notifications
/// where nobody takes it: their queue may be full.
pub fn run_with_notice<T>(run: impl Fn(bool) -> Result<T, Problem>) -> Result<T, Problem> {
    match run(true) {
        Err(problem) if problem.status() == 503 => run(false),
        result => result,
    }
}

/// Disables a locked endpoint, and tells the customer's other endpoints and, where
/// `notify`, its notifications.
pub fn off(
    tx: &Transaction,
    endpoint: &mut Endpoint,
    reason: Reason,
    now: Timestamp,
    notify: bool,
) -> Result<(), sql::Error> {
    if !endpoint.enabled {
        return Ok(());
    }
    endpoint.switch(Some(reason), now);
    endpoint.touch(now);
    update_endpoint(tx, &endpoint.row())?;
    let (id, reason) = (endpoint.id.as_str(), reason.name());
    let data = json!({"endpoint_id": id, "url": endpoint.url, "description": endpoint.description,
        "reason": reason, "disabled_at": now});
    let event = Event::new(id::new("evt"), DISABLED, &data.to_string(), now, now);
    let met = subscriptions(tx, DISABLED, &topic::patterns_of(DISABLED))?;
    accept::accept_in(tx, &event, &accept::targets(&met))?;
    if notify && config::get("events").as_deref().map(str::trim) == Some(NOTIFICATIONS) {
        let told =
            json!({"event_id": event.id, "type": DISABLED, "occurred_at": now, "data": data});
        tx.enqueue(NOTIFICATIONS, Message::json(&told))?;
    }
    log::info!("endpoint disabled", endpoint = id, reason = reason);
    metrics::count("endpoints_disabled", 1, &[("reason", reason)]);
    Ok(())
}
