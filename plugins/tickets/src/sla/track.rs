//! Keeping the clocks of tickets, in the transactions that change them: two
//! statements for however many tickets, and none for what no clock knows of.

use hearth_plugin::prelude::*;

use super::clock::{Clock, Clocks, Moment};
use super::plan::Plan;
use crate::sql::sla::{in_force, write_clocks};
use crate::ticket::Summary;

/// A ticket after a change, and what a clock wants to know of that.
pub struct Change<'t> {
    pub ticket: &'t Summary,
    pub at: Timestamp,
    /// Whether its status or priority is another one.
    pub moved: bool,
    /// Whether an agent answered in public.
    pub answered: bool,
}

/// The clocks of a ticket as they are stored, and how the ticket is.
pub struct Tracked {
    pub ticket_id: String,
    pub status: String,
    pub priority: String,
    pub clocks: Clocks,
}

/// Takes over what happened to locked tickets of a customer of this tier.
pub fn follow(tx: &Transaction, tier: &str, changes: &[Change<'_>]) -> Result<(), sql::Error> {
    let told = |change: &&Change| change.moved || change.answered;
    let changes: Vec<&Change> = changes.iter().filter(told).collect();
    if changes.is_empty() {
        return Ok(());
    }
    let ids: Vec<String> = changes
        .iter()
        .map(|change| change.ticket.id.clone())
        .collect();
    let found = in_force(tx, &ids, tier)?;
    let plan = Plan::of(&found, tier);
    let tracked = read(found.clocks);
    let clocks = |change: &&Change| followed(&plan, &tracked, change);
    let rows: Vec<Value> = changes.iter().filter_map(clocks).collect();
    if !rows.is_empty() {
        write_clocks(tx, &Json(rows.into()))?;
    }
    Ok(())
}

/// The row of a ticket's clocks; `None` where they are as before.
fn followed(plan: &Plan, tracked: &[Tracked], change: &Change<'_>) -> Option<Value> {
    let id = change.ticket.id.as_str();
    let tracked = tracked.iter().find(|tracked| tracked.ticket_id == id);
    let started = || Clocks::start(change.ticket.created_at);
    let mut clocks = tracked.map_or_else(started, |tracked| tracked.clocks.clone());
    if !change.moved && clocks.first_response.met_at.is_some() {
        return None;
    }
    let moment = Moment {
        at: change.at,
        status: &change.ticket.status,
        priority: &change.ticket.priority,
        answered: change.answered,
    };
    clocks.follow(plan, moment);
    Some(row(id, &clocks))
}

/// The row of a new ticket.
pub fn started(plan: &Plan, ticket: &Summary, at: Timestamp) -> Value {
    let mut clocks = Clocks::start(at);
    clocks.schedule(plan, &ticket.priority);
    row(&ticket.id, &clocks)
}

fn row(ticket_id: &str, clocks: &Clocks) -> Value {
    let mut members = Map::new();
    members.insert("ticket_id".into(), ticket_id.into());
    members.insert("started_at".into(), json!(clocks.started_at));
    members.insert("running_since".into(), json!(clocks.running_since));
    members.insert("elapsed_micros".into(), clocks.elapsed_micros.into());
    let both = [
        ("first_response", &clocks.first_response),
        ("resolution", &clocks.resolution),
    ];
    for (name, clock) in both {
        let mut member = |what, value| members.insert([name, what].concat(), value);
        member("_target_minutes", json!(clock.target_minutes));
        member("_due_at", json!(clock.due_at));
        member("_warn_at", json!(clock.warn_at));
        member("_met_at", json!(clock.met_at));
    }
    Value::Object(members)
}

/// The clocks in the answer of `in_force`.
pub fn read(found: Option<Json>) -> Vec<Tracked> {
    let list = match found {
        Some(Json(Value::Array(list))) => list,
        _ => Vec::new(),
    };
    list.iter().filter_map(tracked).collect()
}

/// A ticket without clocks was made by a deployment that did not know them: its
/// clocks run since then.
fn tracked(row: &Value) -> Option<Tracked> {
    let text = |name: &str| row.get(name).and_then(Value::as_str).map(String::from);
    let time = |name: &str| Timestamp::parse(row.get(name)?.as_str()?);
    let number = |name: &str| row.get(name).and_then(Value::as_i64);
    let clock = |name: &str| Clock {
        target_minutes: number(&[name, "_target_minutes"].concat()),
        due_at: time(&[name, "_due_at"].concat()),
        warn_at: time(&[name, "_warn_at"].concat()),
        met_at: time(&[name, "_met_at"].concat()),
    };
    let clocks = match time("started_at") {
        None => Clocks::start(time("created_at")?),
        Some(started_at) => Clocks {
            started_at,
            running_since: time("running_since"),
            elapsed_micros: number("elapsed_micros")?,
            first_response: clock("first_response"),
            resolution: clock("resolution"),
        },
    };
    Some(Tracked {
        ticket_id: text("ticket_id")?,
        status: text("status")?,
        priority: text("priority")?,
        clocks,
    })
}
