//! The policy and the calendar that apply to the caller's customer: those of its tier,
//! or else the built-in ones.

use std::time::Duration;

use hearth_plugin::cache::{self, Options};
use hearth_plugin::prelude::*;

use super::calendar::Calendar;
use super::hours::Hours;
use super::policy::{BUILT_IN, Policy};
use crate::sql::sla::{InForce, in_force};

/// What invalidates the plans that a host keeps.
const TAG: &str = "sla-plans";
/// They are read again now and then, whatever was heard.
const KEPT: Duration = Duration::from_secs(60);

/// What a ticket's clocks go by.
#[derive(Clone, Debug)]
pub struct Plan {
    pub policy_id: String,
    pub policy: Policy,
    /// None for the built-in one.
    pub calendar_id: Option<String>,
    pub calendar: Calendar,
}

impl Plan {
    pub fn of(found: &InForce, tier: &str) -> Self {
        Plan::read(&sql::to_json(found), tier)
    }

    /// What new tickets' clocks begin with, out of this host's memory. Another host
    /// hears within a second of what changed, and the review that follows a change
    /// comes later than that, so it finds what was made meanwhile.
    pub fn kept(database: &Database, tier: &str) -> Result<Self, sql::Error> {
        let options = Options::for_(KEPT).tag(TAG);
        let stored = cache::get_or_compute(&["plan-", tier].concat(), &options, || {
            let found = in_force(database, &[], tier)?;
            let stored = Value::Object(sql::to_json(&found));
            Ok::<_, sql::Error>(stored.to_string().into_bytes())
        })?;
        let text = std::str::from_utf8(&stored).unwrap_or_default();
        let stored = match Json::parse(text) {
            Some(Json(Value::Object(stored))) => stored,
            _ => Map::new(),
        };
        Ok(Plan::read(&stored, tier))
    }

    /// Reads the columns of `InForce`.
    fn read(stored: &Map<String, Value>, tier: &str) -> Self {
        let text = |name: &str| stored.get(name)?.as_str().map(String::from);
        Plan {
            policy_id: text("policy_id").unwrap_or_else(|| [BUILT_IN, tier].concat()),
            policy: own_policy(stored).unwrap_or_else(|| Policy::built_in(tier)),
            calendar_id: text("calendar_id"),
            calendar: own_hours(stored).unwrap_or_else(Hours::built_in).calendar(),
        }
    }
}

/// To be called once a policy or calendar was committed.
pub fn forget_kept() {
    cache::invalidate_tag(TAG);
}

fn own_policy(stored: &Map<String, Value>) -> Option<Policy> {
    fields(stored, &["targets", "warn_before"]).map(|mut fields| Policy::read(&mut fields))
}

fn own_hours(stored: &Map<String, Value>) -> Option<Hours> {
    let names = ["time_zone", "hours", "holidays"];
    fields(stored, &names).map(|mut fields| Hours::read(&mut fields))
}

/// These members, where none is null.
fn fields(stored: &Map<String, Value>, names: &[&str]) -> Option<Fields> {
    let member = |name: &&str| {
        let value = stored.get(*name).filter(|value| !value.is_null())?;
        Some((name.to_string(), value.clone()))
    };
    let members = names.iter().map(member).collect::<Option<Map<_, _>>>()?;
    Fields::of(Value::Object(members)).ok()
}
