//! The two clocks of a ticket: until the first public answer of an agent, and until the
//! solution. Both stop while the ticket is pending or on hold.
//!
//! Elapsed time is stored as business time, and the due times as instants: a change of
//! status or priority, and an answer, update the elapsed time to that instant and
//! compute the due times again.

use hearth_plugin::prelude::*;

use super::calendar::MICROS_PER_MINUTE;
use super::plan::Plan;
use super::policy::Promise;

/// One promise to the customer, and what became of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Clock {
    /// Business minutes; none where the policy promises nothing.
    pub target_minutes: Option<i64>,
    /// None while the clock is stopped, unless it was overdue before; and if the
    /// calendar's next ten years do not have as many hours.
    pub due_at: Option<Timestamp>,
    /// When it is time to warn; none as with `due_at`.
    pub warn_at: Option<Timestamp>,
    /// When the promise was kept, or at last done.
    pub met_at: Option<Timestamp>,
    pub sent: SentEvents,
}

/// When the last events of a clock were sent.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct SentEvents {
    pub warning: Option<Timestamp>,
    pub breach: Option<Timestamp>,
}

/// The clocks of one ticket.
#[derive(Clone, Debug, PartialEq)]
pub struct Clocks {
    pub started_at: Timestamp,
    /// None while they are stopped.
    pub running_since: Option<Timestamp>,
    /// Microseconds of business time until `running_since`, or until they stopped.
    pub elapsed_micros: i64,
    pub first_response: Clock,
    pub resolution: Clock,
}

/// What happened to a ticket: how it is since.
#[derive(Clone, Copy, Debug)]
pub struct Moment<'t> {
    pub at: Timestamp,
    pub status: &'t str,
    pub priority: &'t str,
    /// Whether an agent answered in public.
    pub answered: bool,
}

/// What there is to look after, and when.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Check {
    pub clock: &'static str,
    pub kind: &'static str,
    pub at: Timestamp,
}

fn is_running(status: &str) -> bool {
    matches!(status, "new" | "open")
}

fn is_solved(status: &str) -> bool {
    matches!(status, "solved" | "closed")
}

impl Clock {
    /// Whether it is past its due time, or was when the promise was kept at last.
    pub fn is_breached(&self, now: Timestamp) -> bool {
        let until = self.met_at.unwrap_or(now);
        self.due_at.is_some_and(|due_at| due_at < until)
    }

    fn fulfil(&mut self, at: Timestamp) {
        self.met_at = self.met_at.or(Some(at));
    }

    /// The due time, if no event was sent for a missed target, or one that will be
    /// missed. A due time that moves is only reported again if it moves past the
    /// reported one.
    fn unsent_breach(&self) -> Option<Timestamp> {
        let due_at = self.due_at?;
        let missed = self.met_at.is_none_or(|met_at| due_at < met_at);
        Some(due_at).filter(|_| missed && self.sent.breach.is_none_or(|told| told < due_at))
    }

    /// When to warn, while that makes sense.
    fn unsent_warning(&self, now: Timestamp) -> Option<Timestamp> {
        let warn_at = self.warn_at?;
        let open = self.met_at.is_none() && self.due_at.is_none_or(|due_at| due_at > now);
        Some(warn_at).filter(|_| open && self.sent.warning.is_none_or(|told| told < warn_at))
    }
}

impl Clocks {
    /// Clocks that begin to run.
    pub fn start(at: Timestamp) -> Self {
        Clocks {
            started_at: at,
            running_since: Some(at),
            elapsed_micros: 0,
            first_response: Clock::default(),
            resolution: Clock::default(),
        }
    }

    /// Takes over what happened.
    pub fn follow(&mut self, plan: &Plan, moment: Moment<'_>) {
        self.schedule(plan, moment.priority);
        if moment.answered {
            self.first_response.fulfil(moment.at);
        }
        match is_solved(moment.status) {
            true => self.resolution.fulfil(moment.at),
            false => self.resolution.met_at = None,
        }
        self.advance(plan, moment);
        self.schedule(plan, moment.priority);
        if self.running_since.is_none() {
            self.forget_what_lies_ahead(moment.at);
        }
    }

    /// Computes the due times of promises that are not kept yet, as the policy is.
    pub fn schedule(&mut self, plan: &Plan, priority: &str) {
        let [first_response, resolution] = plan.policy.promises(priority);
        let first_response = self.scheduled(plan, &self.first_response, first_response);
        let resolution = self.scheduled(plan, &self.resolution, resolution);
        (self.first_response, self.resolution) = (first_response, resolution);
    }

    fn scheduled(&self, plan: &Plan, clock: &Clock, promise: Option<Promise>) -> Clock {
        let Some(promise) = promise.filter(|_| clock.met_at.is_none()) else {
            return match clock.met_at {
                Some(_) => clock.clone(),
                None => Clock {
                    sent: clock.sent,
                    ..Clock::default()
                },
            };
        };
        let (due, warn) = (
            promise.minutes,
            promise.minutes - promise.warn_before_minutes,
        );
        Clock {
            target_minutes: Some(promise.minutes),
            due_at: self.reached(plan, due, clock.due_at),
            warn_at: self.reached(plan, warn.max(0), clock.warn_at),
            met_at: None,
            sent: clock.sent,
        }
    }

    /// When so many business minutes will have passed, or had: then it is the
    /// instant that is remembered, as far as it came before the clocks last began
    /// to run, and else that beginning.
    fn reached(&self, plan: &Plan, minutes: i64, known: Option<Timestamp>) -> Option<Timestamp> {
        let left = minutes * MICROS_PER_MINUTE - self.elapsed_micros;
        match self.running_since {
            Some(since) if left > 0 => plan.calendar.add_business(since, left),
            Some(since) => Some(known.filter(|known| *known <= since).unwrap_or(since)),
            None => known.filter(|_| left <= 0),
        }
    }

    /// Counts the time until that instant; from there on the clocks run or are stopped.
    fn advance(&mut self, plan: &Plan, moment: Moment<'_>) {
        let since = self.running_since.unwrap_or(moment.at);
        self.elapsed_micros += plan.calendar.business_between(since, moment.at);
        self.running_since = is_running(moment.status).then_some(moment.at.max(since));
    }

    /// While the clocks are stopped nothing becomes due. A target that had passed when
    /// it was set was due at that moment.
    fn forget_what_lies_ahead(&mut self, at: Timestamp) {
        let elapsed = self.elapsed_micros;
        for clock in [&mut self.first_response, &mut self.resolution] {
            if clock.met_at.is_some() {
                continue;
            }
            let target = clock.target_minutes;
            let over = target.is_some_and(|minutes| elapsed > minutes * MICROS_PER_MINUTE);
            let due_at = clock.due_at.filter(|due_at| *due_at < at);
            clock.due_at = due_at.or(over.then_some(at));
            clock.warn_at = clock.warn_at.filter(|warn_at| *warn_at < at);
        }
    }

    /// Microseconds of business time that have passed.
    pub fn elapsed(&self, plan: &Plan, now: Timestamp) -> i64 {
        let running = self.running_since;
        let passing = running.map_or(0, |since| plan.calendar.business_between(since, now));
        self.elapsed_micros + passing
    }

    /// The instants after `now` at which warnings or breaches may have to be sent, the
    /// earliest first. A check must compare with the clocks as they are then: they may
    /// have been stopped.
    pub fn next_checks(&self, now: Timestamp) -> Vec<Check> {
        let mut checks = Vec::new();
        let clocks = self.by_name().into_iter();
        for (clock, state) in clocks.filter(|(_, state)| state.met_at.is_none()) {
            let instants = [("warning", state.warn_at), ("breach", state.due_at)];
            let instants = instants
                .into_iter()
                .filter_map(|(kind, at)| Some((kind, at?)));
            checks.extend(instants.map(|(kind, at)| Check { clock, kind, at }));
        }
        checks.retain(|check| check.at > now);
        checks.sort_by_key(|check| check.at);
        checks
    }

    /// The events that were not sent yet, the earliest first: up to `now` to be sent,
    /// after it to be checked again. A stopped clock sends no warning, and neither does
    /// an overdue one.
    pub fn unsent_events(&self, now: Timestamp) -> Vec<Check> {
        let mut checks = Vec::new();
        for (clock, state) in self.by_name() {
            let warning = state.unsent_warning(now);
            let warning = warning.filter(|_| self.running_since.is_some());
            let instants = [("warning", warning), ("breach", state.unsent_breach())];
            let instants = instants
                .into_iter()
                .filter_map(|(kind, at)| Some((kind, at?)));
            checks.extend(instants.map(|(kind, at)| Check { clock, kind, at }));
        }
        checks.sort_by_key(|check| check.at);
        checks
    }

    /// Records that an event was sent.
    pub fn record_sent(&mut self, check: &Check, now: Timestamp) {
        let state = match check.clock {
            "first_response" => &mut self.first_response,
            _ => &mut self.resolution,
        };
        match check.kind {
            "warning" => state.sent.warning = Some(now),
            _ => state.sent.breach = Some(now),
        }
    }

    /// The clock of that name.
    pub fn of(&self, name: &str) -> &Clock {
        match name {
            "first_response" => &self.first_response,
            _ => &self.resolution,
        }
    }

    /// When the next promise is due that was not kept yet.
    pub fn due_at(&self) -> Option<Timestamp> {
        let open = self.by_name().into_iter();
        let open = open.filter(|(_, clock)| clock.met_at.is_none());
        open.filter_map(|(_, clock)| clock.due_at).min()
    }

    /// Both clocks.
    pub fn by_name(&self) -> [(&'static str, &Clock); 2] {
        [
            ("first_response", &self.first_response),
            ("resolution", &self.resolution),
        ]
    }
}
