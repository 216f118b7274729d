//! The targets of a policy: for each priority, how many business minutes until the
//! first answer and until the solution.

use hearth_plugin::prelude::*;

use crate::ticket::PRIORITIES;

/// The tiers of customers, which are the host's.
pub const TIERS: [&str; 4] = ["free", "standard", "premium", "unlimited"];

/// A target at most: the business minutes of a year that never closes.
const TARGET_MINUTES_MAX: i64 = 525_600;
/// What part of a target is left at the warning where nothing else is said.
const WARN_BEFORE_PERCENT: i64 = 20;

/// The prefix of the ids of built-in policies.
pub const BUILT_IN: &str = "built-in-";

/// The targets of one priority, in business minutes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Target {
    first_response_minutes: Option<i64>,
    resolution_minutes: Option<i64>,
}

/// How long before the due time to warn.
#[derive(Clone, Copy, Debug, PartialEq)]
enum WarnBefore {
    Percent(i64),
    Minutes(i64),
}

/// Targets for every priority, and when to warn.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    targets: [Target; 4],
    warn_before: WarnBefore,
}

/// One target, and how long before it to warn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Promise {
    pub minutes: i64,
    pub warn_before_minutes: i64,
}

impl Policy {
    /// Reads `targets` and `warn_before`, of a client or as they are stored.
    pub fn read(fields: &mut Fields) -> Self {
        let targets = fields.nested("targets", |targets| {
            PRIORITIES.map(|priority| targets.nested(priority, target).unwrap_or_default())
        });
        if targets.is_none() {
            fields.refuse("targets", "required", "this is required, as an object");
        }
        Policy {
            targets: targets.unwrap_or_default(),
            warn_before: warn_before(fields),
        }
    }

    /// The policy of a tier for which the customer has none of its own: what one
    /// working day, a week and a month may mean to a paying customer or another.
    pub fn built_in(tier: &str) -> Self {
        let (first_response, resolution) = match tier {
            "free" => ([2400, 1440, 960, 480], [9600, 4800, 2400, 960]),
            "premium" => ([480, 240, 120, 60], [2400, 960, 480, 240]),
            "unlimited" => ([240, 120, 60, 30], [960, 480, 240, 120]),
            _ => ([960, 480, 240, 120], [4800, 2400, 960, 480]),
        };
        let mut targets = [Target::default(); 4];
        let minutes = first_response.into_iter().zip(resolution);
        for (target, (first_response, resolution)) in targets.iter_mut().zip(minutes) {
            target.first_response_minutes = Some(first_response);
            target.resolution_minutes = Some(resolution);
        }
        Policy {
            targets,
            warn_before: WarnBefore::Percent(WARN_BEFORE_PERCENT),
        }
    }

    /// The first answer and the solution, as far as they are promised.
    pub fn promises(&self, priority: &str) -> [Option<Promise>; 2] {
        let position = PRIORITIES.iter().position(|known| *known == priority);
        let target = position.and_then(|position| self.targets.get(position));
        let target = target.copied().unwrap_or_default();
        let promise = |minutes| Promise {
            minutes,
            warn_before_minutes: self.warn_before.minutes(minutes),
        };
        [target.first_response_minutes, target.resolution_minutes]
            .map(|minutes| minutes.map(promise))
    }

    /// The targets of all priorities, as they are stored and answered.
    pub fn targets_json(&self) -> Value {
        let target = |target: &Target| {
            json!({
                "first_response_minutes": target.first_response_minutes,
                "resolution_minutes": target.resolution_minutes,
            })
        };
        let targets = PRIORITIES.iter().zip(&self.targets);
        let members = targets.map(|(priority, own)| (priority.to_string(), target(own)));
        Value::Object(members.collect())
    }

    pub fn warn_before_json(&self) -> Value {
        match self.warn_before {
            WarnBefore::Percent(percent) => json!({"percent": percent}),
            WarnBefore::Minutes(minutes) => json!({"minutes": minutes}),
        }
    }
}

impl WarnBefore {
    /// Of a target of so many minutes; of a percentage the minutes that are whole.
    fn minutes(self, target: i64) -> i64 {
        match self {
            WarnBefore::Percent(percent) => target * percent / 100,
            WarnBefore::Minutes(minutes) => minutes,
        }
    }
}

fn target(fields: &mut Fields) -> Target {
    let mut minutes = |name| {
        fields
            .integer(name)
            .range(1..=TARGET_MINUTES_MAX)
            .optional()
    };
    Target {
        first_response_minutes: minutes("first_response_minutes"),
        resolution_minutes: minutes("resolution_minutes"),
    }
}

fn warn_before(fields: &mut Fields) -> WarnBefore {
    let given = fields.nested("warn_before", |fields| {
        let percent = fields.integer("percent").range(1..=99).optional();
        let minutes = fields
            .integer("minutes")
            .range(1..=TARGET_MINUTES_MAX)
            .optional();
        match (percent, minutes) {
            (Some(percent), None) => Some(WarnBefore::Percent(percent)),
            (None, Some(minutes)) => Some(WarnBefore::Minutes(minutes)),
            (None, None) => {
                fields.refuse("percent", "required", "give either percent or minutes");
                None
            }
            _ => {
                fields.refuse("minutes", "not_allowed", "give either percent or minutes");
                None
            }
        }
    });
    let default = WarnBefore::Percent(WARN_BEFORE_PERCENT);
    given.flatten().unwrap_or(default)
}
