//! `GET /tickets/{id}/sla`: the state of a ticket's clocks.

use hearth_plugin::prelude::*;

use super::calendar::MICROS_PER_MINUTE;
use super::clock::{Check, Clock, Clocks};
use super::plan::Plan;
use super::tier;
use super::track::{self, Tracked};
use crate::sql::sla::in_force;
use crate::ticket::TicketId;

/// Now, by the policy in force: 404 where there is no such ticket.
pub fn show(request: &Request, TicketId(id): TicketId) -> Answer {
    let database = request.database();
    let tier = tier::of_caller(&database)?;
    let mut found = in_force(&database, std::slice::from_ref(&id), &tier)?;
    let tracked = track::read(found.clocks.take());
    let tracked = tracked.into_iter().next().ok_or_else(Problem::not_found)?;
    Response::json(
        200,
        &answer(&Plan::of(&found, &tier), tracked, Timestamp::now()),
    )
}

/// The members of the answer.
pub fn answer(plan: &Plan, tracked: Tracked, now: Timestamp) -> Value {
    let mut clocks = tracked.clocks;
    clocks.schedule(plan, &tracked.priority);
    let checks = clocks.next_checks(now);
    json!({
        "ticket_id": tracked.ticket_id,
        "status": tracked.status,
        "priority": tracked.priority,
        "policy_id": plan.policy_id,
        "calendar_id": plan.calendar_id,
        "started_at": clocks.started_at,
        "paused": clocks.running_since.is_none(),
        "first_response": clock(plan, &clocks, &clocks.first_response, now),
        "resolution": clock(plan, &clocks, &clocks.resolution, now),
        "next_checks": checks.iter().map(check).collect::<Vec<_>>(),
    })
}

/// One clock; null where nothing is, or was, promised.
fn clock(plan: &Plan, clocks: &Clocks, clock: &Clock, now: Timestamp) -> Value {
    if clock.target_minutes.is_none() && clock.met_at.is_none() {
        return Value::Null;
    }
    let open = clock.target_minutes.filter(|_| clock.met_at.is_none());
    let left = open.map(|minutes| minutes * MICROS_PER_MINUTE - clocks.elapsed(plan, now));
    let breached = clock.is_breached(now) || left.is_some_and(|left| left < 0);
    let paused = open.is_some() && clocks.running_since.is_none();
    let state = match (clock.met_at, paused) {
        (Some(_), _) if breached => "missed",
        (Some(_), _) => "met",
        (None, true) => "paused",
        (None, false) => "running",
    };
    json!({
        "state": state,
        "paused": paused,
        "breached": breached,
        "target_minutes": clock.target_minutes,
        "due_at": clock.due_at,
        "warn_at": clock.warn_at,
        "met_at": clock.met_at,
        "remaining_seconds": left.map(|left| left.div_euclid(1_000_000)),
    })
}

fn check(check: &Check) -> Value {
    json!({"clock": check.clock, "kind": check.kind, "at": check.at})
}
