//! Updates the clocks of tickets in the transactions that change them: two statements
//! for however many tickets, and none for changes that do not affect clocks.

use hearth_plugin::prelude::*;
use hearth_plugin::sql::Step;

use super::clock::{Clock, Clocks, Moment, SentEvents};
use super::plan::Plan;
use crate::sql::creation::insert_clocks;
use crate::sql::sla::{in_force, write_clocks};
use crate::start::LAST;
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
    /// When they must be checked next; none if no event is pending.
    pub check_at: Option<Timestamp>,
    /// When the next promise is due by what is stored, as lists are ordered by it.
    pub due_at: Option<Timestamp>,
}

impl Tracked {
    /// Whether a change says anything to them: a second answer does not.
    fn is_told_by(&self, change: &Change<'_>) -> bool {
        change.moved || self.clocks.first_response.met_at.is_none()
    }

    /// Whether an event is due before the next check.
    pub fn is_overlooked(&self, now: Timestamp) -> bool {
        let next = self.clocks.unsent_events(now).first().map(|check| check.at);
        next.is_some_and(|next| self.check_at.is_none_or(|check_at| check_at > next))
    }

    /// Whether the next promise is due at another time than is stored.
    pub fn is_due_otherwise(&self) -> bool {
        self.clocks.due_at() != self.due_at
    }

    /// Says when they are to be looked at next.
    pub fn watch(&mut self, now: Timestamp) {
        self.check_at = self.clocks.unsent_events(now).first().map(|check| check.at);
    }
}

/// Takes over what happened to locked tickets of a customer of this tier, and answers
/// when their clocks are to be looked at.
pub fn follow(
    tx: &Transaction,
    tier: &str,
    changes: &[Change<'_>],
) -> Result<Vec<Timestamp>, sql::Error> {
    let told = |change: &&Change| change.moved || change.answered;
    let changes: Vec<&Change> = changes.iter().filter(told).collect();
    if changes.is_empty() {
        return Ok(Vec::new());
    }
    let ids: Vec<String> = changes
        .iter()
        .map(|change| change.ticket.id.clone())
        .collect();
    let mut found = in_force(tx, &ids, tier)?;
    let mut tracked = read(found.clocks.take());
    let plan = Plan::of(&found, tier);
    let (mut rows, mut checks) = (Vec::new(), Vec::new());
    for change in changes {
        let mut own = tracked.iter_mut();
        let own = own.find(|tracked| tracked.ticket_id == change.ticket.id);
        if let Some(tracked) = own.filter(|own| own.is_told_by(change)) {
            advance(&plan, tracked, change);
            checks.extend(tracked.check_at);
            rows.push(row(tracked));
        }
    }
    if !rows.is_empty() {
        write_clocks(tx, &Json(rows.into()))?;
    }
    Ok(checks)
}

/// Goes on with the clocks of a ticket.
fn advance(plan: &Plan, tracked: &mut Tracked, change: &Change<'_>) {
    let moment = Moment {
        at: change.at,
        status: &change.ticket.status,
        priority: &change.ticket.priority,
        answered: change.answered,
    };
    tracked.clocks.follow(plan, moment);
    tracked.watch(change.at);
}

/// The clocks of a new ticket.
pub fn started(plan: &Plan, ticket: &Summary, at: Timestamp) -> Tracked {
    let mut tracked = Tracked {
        ticket_id: ticket.id.clone(),
        status: ticket.status.clone(),
        priority: ticket.priority.clone(),
        clocks: Clocks::start(at),
        check_at: None,
        due_at: None,
    };
    tracked.clocks.schedule(plan, &ticket.priority);
    tracked.watch(at);
    tracked
}

/// The clocks of a new ticket, to be written.
pub fn insertion(tracked: &Tracked) -> Step<u64> {
    let clocks = &tracked.clocks;
    let (first, resolution) = (&clocks.first_response, &clocks.resolution);
    insert_clocks::step(
        &tracked.ticket_id,
        clocks.started_at,
        clocks.running_since,
        clocks.elapsed_micros,
        first.target_minutes,
        first.due_at,
        first.warn_at,
        resolution.target_minutes,
        resolution.due_at,
        resolution.warn_at,
        tracked.check_at,
        clocks.due_at().unwrap_or(LAST),
    )
}

/// The row of a ticket's clocks.
pub fn row(tracked: &Tracked) -> Value {
    let clocks = &tracked.clocks;
    let mut members = Map::new();
    members.insert("ticket_id".into(), tracked.ticket_id.as_str().into());
    members.insert("check_at".into(), json!(tracked.check_at));
    members.insert("due_at".into(), json!(clocks.due_at().unwrap_or(LAST)));
    members.insert("started_at".into(), json!(clocks.started_at));
    members.insert("running_since".into(), json!(clocks.running_since));
    members.insert("elapsed_micros".into(), clocks.elapsed_micros.into());
    for (name, clock) in clocks.by_name() {
        let mut member = |what, value| members.insert([name, what].concat(), value);
        member("_target_minutes", json!(clock.target_minutes));
        member("_due_at", json!(clock.due_at));
        member("_warn_at", json!(clock.warn_at));
        member("_met_at", json!(clock.met_at));
        member("_warned_at", json!(clock.sent.warning));
        member("_breached_at", json!(clock.sent.breach));
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
        sent: SentEvents {
            warning: time(&[name, "_warned_at"].concat()),
            breach: time(&[name, "_breached_at"].concat()),
        },
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
        check_at: time("check_at"),
        due_at: time("due_at").filter(|due_at| *due_at < LAST),
    })
}
