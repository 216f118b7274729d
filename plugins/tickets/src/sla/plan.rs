//! The policy and the calendar in force for the caller's customer: those of its
//! tier, and where it has none of its own the built-in ones.

use hearth_plugin::prelude::*;

use super::calendar::Calendar;
use super::hours::Hours;
use super::policy::{BUILT_IN, Policy};
use crate::sql::sla::InForce;

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
        let own = found.policy_id.as_ref();
        Plan {
            policy_id: own.map_or_else(|| [BUILT_IN, tier].concat(), String::clone),
            policy: own_policy(found).unwrap_or_else(|| Policy::built_in(tier)),
            calendar_id: found.calendar_id.clone(),
            calendar: own_hours(found).unwrap_or_else(Hours::built_in).calendar(),
        }
    }
}

fn own_policy(found: &InForce) -> Option<Policy> {
    let (targets, warn_before) = (found.targets.as_ref()?, found.warn_before.as_ref()?);
    let stored = json!({"targets": targets.0, "warn_before": warn_before.0});
    Fields::of(stored)
        .ok()
        .map(|mut fields| Policy::read(&mut fields))
}

fn own_hours(found: &InForce) -> Option<Hours> {
    let (time_zone, hours) = (found.time_zone.as_ref()?, found.hours.as_ref()?);
    let stored = json!({"time_zone": time_zone, "hours": hours.0, "holidays": found.holidays});
    Fields::of(stored)
        .ok()
        .map(|mut fields| Hours::read(&mut fields))
}
