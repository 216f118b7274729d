//! One circuit breaker: after too many failures nobody is let through for a
//! while; then a few are, and what becomes of them decides.
//!
//! It knows no clock and no network: whoever asks says what time it is.

use std::collections::VecDeque;
use std::time::Duration;

use metrics::Gauge;
use serde::Deserialize;
use tokio::time::Instant;

use hearth_base::bounds;
use hearth_base::section::{HOUR_MS, Mistakes, Section};

/// Section `[outbound.breaker]`. Times are milliseconds.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// How far back calls count.
    pub window_ms: u64,
    /// Fewer calls than these say nothing.
    pub calls_min: u32,
    /// Of the calls in the window, so that it opens.
    pub failure_percent: u32,
    /// How long nobody is let through.
    pub open_ms: u64,
    /// Calls that are let through afterwards to find out.
    pub probes: u32,
    /// Breakers that are remembered; the longest unused is forgotten.
    pub breakers_max: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            window_ms: 10_000,
            calls_min: 20,
            failure_percent: 50,
            open_ms: 30_000,
            probes: 5,
            breakers_max: 10_000,
        }
    }
}

impl Section for Config {
    fn validate(&self, mistakes: &mut Mistakes) {
        bounds! { self, mistakes =>
            window_ms in 100..=HOUR_MS,
            calls_min in 1..=1_000_000,
            failure_percent in 1..=100,
            open_ms in 1..=HOUR_MS,
            probes in 1..=1_000,
            breakers_max in 100..=10_000_000,
        }
    }
}

impl Config {
    fn is_failing(&self, tally: CallCounts) -> bool {
        u64::from(tally.failures) * 100
            >= u64::from(tally.calls()) * u64::from(self.failure_percent)
    }
}

/// A window is counted in so many parts, each forgotten as a whole.
const PARTS: u64 = 10;
/// While the probes are under way nobody knows for how long.
const PROBING: Duration = Duration::from_secs(1);

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct CallCounts {
    successes: u32,
    failures: u32,
}

impl CallCounts {
    fn calls(self) -> u32 {
        self.successes.saturating_add(self.failures)
    }

    fn add(&mut self, other: CallCounts) {
        self.successes = self.successes.saturating_add(other.successes);
        self.failures = self.failures.saturating_add(other.failures);
    }

    fn count(&mut self, good: bool) {
        let place = match good {
            true => &mut self.successes,
            false => &mut self.failures,
        };
        *place = place.saturating_add(1);
    }
}

enum State {
    Closed(VecDeque<(Instant, CallCounts)>),
    Open {
        until: Instant,
        _open: OpenGuard,
    },
    /// `left` may still try; `tally` is of those that have.
    Probing {
        left: u32,
        tally: CallCounts,
        _open: OpenGuard,
    },
}

/// Counts a breaker among those that are not closed, until it is dropped.
struct OpenGuard(Gauge);

impl OpenGuard {
    fn new(gauge: &Gauge) -> OpenGuard {
        gauge.increment(1.0);
        OpenGuard(gauge.clone())
    }
}

impl Drop for OpenGuard {
    fn drop(&mut self) {
        self.0.decrement(1.0);
    }
}

/// Who was let through, and in which state: what becomes of a call that began
/// before the state changed says nothing about the new one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticket(u64);

/// What became of a call. `Unsaid` says nothing about the destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Good,
    Bad,
    Unsaid,
}

pub struct Breaker {
    state: State,
    states: u64,
    open: Gauge,
}

impl Breaker {
    pub fn new(open: &Gauge) -> Breaker {
        Breaker {
            state: State::Closed(VecDeque::new()),
            states: 0,
            open: open.clone(),
        }
    }

    /// Lets a call through, or says how long nobody is.
    pub fn admit(&mut self, now: Instant, rules: &Config) -> Result<Ticket, Duration> {
        match &mut self.state {
            State::Open { until, .. } if now < *until => Err(*until - now),
            State::Open { .. } => {
                self.enter(State::Probing {
                    left: rules.probes.saturating_sub(1),
                    tally: CallCounts::default(),
                    _open: OpenGuard::new(&self.open),
                });
                Ok(Ticket(self.states))
            }
            State::Probing { left: 0, .. } => Err(PROBING),
            State::Probing { left, .. } => {
                *left -= 1;
                Ok(Ticket(self.states))
            }
            State::Closed(_) => Ok(Ticket(self.states)),
        }
    }

    /// Takes in what became of a call that was let through.
    pub fn record(&mut self, ticket: Ticket, verdict: Verdict, now: Instant, rules: &Config) {
        if ticket != Ticket(self.states) {
            return;
        }
        let failing = match (&mut self.state, verdict) {
            // A probe that says nothing makes room for another.
            (State::Probing { left, .. }, Verdict::Unsaid) => {
                *left = left.saturating_add(1);
                None
            }
            (_, Verdict::Unsaid) | (State::Open { .. }, _) => None,
            (State::Closed(window), verdict) => {
                count(window, verdict == Verdict::Good, now, rules);
                fails(window, rules).then_some(true)
            }
            (State::Probing { tally, .. }, verdict) => {
                tally.count(verdict == Verdict::Good);
                (tally.calls() >= rules.probes).then_some(rules.is_failing(*tally))
            }
        };
        match failing {
            None => {}
            Some(false) => self.enter(State::Closed(VecDeque::new())),
            Some(true) => self.enter(State::Open {
                until: now + Duration::from_millis(rules.open_ms),
                _open: OpenGuard::new(&self.open),
            }),
        }
    }

    pub fn is_closed(&self) -> bool {
        matches!(self.state, State::Closed(_))
    }

    fn enter(&mut self, state: State) {
        self.state = state;
        self.states += 1;
    }
}

fn count(window: &mut VecDeque<(Instant, CallCounts)>, good: bool, now: Instant, rules: &Config) {
    let whole = Duration::from_millis(rules.window_ms);
    let part = Duration::from_millis(rules.window_ms / PARTS);
    while let Some((began, _)) = window.front()
        && now.saturating_duration_since(*began) >= whole
    {
        window.pop_front();
    }
    match window.back_mut() {
        Some((began, tally)) if now.saturating_duration_since(*began) < part => tally.count(good),
        _ => {
            let mut tally = CallCounts::default();
            tally.count(good);
            window.push_back((now, tally));
        }
    }
}

fn fails(window: &VecDeque<(Instant, CallCounts)>, rules: &Config) -> bool {
    let mut all = CallCounts::default();
    for (_, tally) in window {
        all.add(*tally);
    }
    all.calls() >= rules.calls_min && all.failures > 0 && rules.is_failing(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules() -> Config {
        Config::default()
    }

    fn breaker() -> Breaker {
        Breaker::new(&Gauge::noop())
    }

    fn calls(breaker: &mut Breaker, verdict: Verdict, count: u32, now: Instant) {
        for _ in 0..count {
            let ticket = breaker.admit(now, &rules()).unwrap();
            breaker.record(ticket, verdict, now, &rules());
        }
    }

    fn opened(now: Instant) -> Breaker {
        let mut breaker = breaker();
        calls(&mut breaker, Verdict::Bad, 20, now);
        assert!(!breaker.is_closed());
        breaker
    }

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn half_of_twenty_calls_open_it_and_nineteen_say_nothing() {
        let now = Instant::now();
        let mut breaker = breaker();
        calls(&mut breaker, Verdict::Bad, 19, now);
        assert!(breaker.is_closed());
        let mut half = self::breaker();
        calls(&mut half, Verdict::Good, 10, now);
        calls(&mut half, Verdict::Bad, 9, now);
        assert!(half.is_closed());
        calls(&mut half, Verdict::Bad, 1, now);
        assert_eq!(half.admit(now, &rules()), Err(30 * SECOND));
        assert_eq!(half.admit(now + 29 * SECOND, &rules()), Err(SECOND));
        let mut fewer = self::breaker();
        calls(&mut fewer, Verdict::Good, 100, now);
        calls(&mut fewer, Verdict::Bad, 99, now);
        assert!(fewer.is_closed());
    }

    #[test]
    fn failures_of_long_ago_are_forgotten() {
        let now = Instant::now();
        let mut breaker = breaker();
        calls(&mut breaker, Verdict::Bad, 19, now);
        calls(&mut breaker, Verdict::Bad, 19, now + 10 * SECOND);
        assert!(breaker.is_closed());
        calls(&mut breaker, Verdict::Bad, 1, now + 11 * SECOND);
        assert!(!breaker.is_closed());
    }

    #[test]
    fn window_stays_small_however_many_calls_there_are() {
        let now = Instant::now();
        let mut breaker = breaker();
        for tenth in 0..1_000 {
            calls(&mut breaker, Verdict::Good, 3, now + tenth * SECOND / 10);
        }
        let State::Closed(window) = &breaker.state else {
            panic!("it opened");
        };
        assert!(window.len() <= 11, "{}", window.len());
    }

    #[test]
    fn five_probes_decide_and_a_sixth_waits() {
        let now = Instant::now();
        let later = now + 30 * SECOND;
        for (bad, closes) in [(2, true), (3, false)] {
            let mut breaker = opened(now);
            let probes: Vec<Ticket> = (0..5)
                .map(|_| breaker.admit(later, &rules()).unwrap())
                .collect();
            assert_eq!(breaker.admit(later, &rules()), Err(PROBING));
            for (index, ticket) in probes.into_iter().enumerate() {
                let verdict = if index < bad {
                    Verdict::Bad
                } else {
                    Verdict::Good
                };
                breaker.record(ticket, verdict, later, &rules());
            }
            assert_eq!(breaker.is_closed(), closes);
            let again = breaker.admit(later, &rules());
            assert_eq!(again.is_ok(), closes);
        }
    }

    #[test]
    fn probe_that_says_nothing_makes_room_for_another() {
        let now = Instant::now();
        let later = now + 30 * SECOND;
        let mut breaker = opened(now);
        calls(&mut breaker, Verdict::Unsaid, 50, later);
        calls(&mut breaker, Verdict::Good, 5, later);
        assert!(breaker.is_closed());
    }

    #[test]
    fn call_that_began_before_it_opened_decides_nothing_afterwards() {
        let now = Instant::now();
        let mut breaker = breaker();
        let early = breaker.admit(now, &rules()).unwrap();
        calls(&mut breaker, Verdict::Bad, 20, now);
        let later = now + 30 * SECOND;
        breaker.admit(later, &rules()).unwrap();
        for _ in 0..5 {
            breaker.record(early, Verdict::Good, later, &rules());
        }
        assert!(!breaker.is_closed());
    }
}
