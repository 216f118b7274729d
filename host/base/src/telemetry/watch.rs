//! The health of backends: one line in the log when Postgres, DynamoDB or SQS is slow
//! or unavailable, and one when it is well again, however many calls are affected. The
//! cache reports its shared tier, Redis or DynamoDB, itself, as it does not ask it
//! while it is unavailable.

use std::fmt::Display;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::Config;
use super::page::{FamilyKind, MetricsPage, MetricsSource};

const TROUBLE: &str = "hearth_backend_trouble";

/// How a backend does. The numbers are in the order of how bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum State {
    Well = 0,
    Slow = 1,
    Unavailable = 2,
}

const TROUBLES: [(State, &str); 2] = [(State::Slow, "slow"), (State::Unavailable, "unavailable")];

/// Who asked a backend for what. No text of it is a customer's.
#[derive(Clone, Copy, Debug, Default)]
pub struct BackendCall<'a> {
    pub plugin: Option<&'a str>,
    /// A declared statement's name, or the operation of an API.
    pub statement: Option<&'a str>,
}

/// One backend, as this host sees it.
pub struct BackendWatch {
    backend: &'static str,
    slow: Duration,
    repeat: Duration,
    recovered: Duration,
    /// A copy of the state in `seen`, to read without its lock when all is well.
    state: AtomicU8,
    seen: Mutex<Incident>,
}

struct Incident {
    state: State,
    /// Since when it is not well.
    since: Instant,
    last: Instant,
    /// When a line was last logged: for slow, and for unavailable.
    reported: [Option<Instant>; 2],
    /// Whether any did since it was well.
    was_reported: bool,
    /// Calls that had no line of their own.
    suppressed: u64,
}

impl BackendWatch {
    pub(super) fn new(backend: &'static str, config: &Config) -> BackendWatch {
        let now = Instant::now();
        BackendWatch {
            backend,
            slow: Duration::from_millis(config.log_slow_ms),
            repeat: Duration::from_millis(config.log_repeat_ms),
            recovered: Duration::from_millis(config.log_recovered_ms),
            state: AtomicU8::new(State::Well as u8),
            seen: Mutex::new(Incident {
                state: State::Well,
                since: now,
                last: now,
                reported: [None; 2],
                was_reported: false,
                suppressed: 0,
            }),
        }
    }

    /// It answered, after so long. Where all is well this costs a comparison.
    pub fn answered(&self, asked: BackendCall<'_>, took: Duration) {
        if took >= self.slow {
            self.note(State::Slow, asked, took, None);
        } else if self.state.load(Relaxed) != State::Well as u8 {
            self.well();
        }
    }

    /// The caller gave up waiting for its answer, after so long. If that is long
    /// enough, the backend counts as slow.
    pub fn gave_up(&self, asked: BackendCall<'_>, waited: Duration) {
        if waited >= self.slow {
            self.note(State::Slow, asked, waited, None);
        }
    }

    /// It did not answer, or not as a backend that is well.
    pub fn unavailable(&self, asked: BackendCall<'_>, took: Duration, reason: &dyn Display) {
        self.note(State::Unavailable, asked, took, Some(reason));
    }

    fn note(
        &self,
        state: State,
        asked: BackendCall<'_>,
        took: Duration,
        reason: Option<&dyn Display>,
    ) {
        let now = Instant::now();
        let mut locked = self.seen.lock();
        let seen = &mut *locked;
        if seen.state == State::Well {
            (seen.since, seen.was_reported, seen.suppressed) = (now, false, 0);
        }
        seen.last = now;
        seen.state = seen.state.max(state);
        self.state.store(seen.state as u8, Relaxed);
        let repeat = self.repeat;
        let kind = usize::from(state == State::Unavailable);
        let Some(reported) = seen.reported.get_mut(kind) else {
            return;
        };
        let is_due = reported.is_none_or(|reported| now.duration_since(reported) >= repeat);
        // What was reported as unavailable is not reported as slow as well.
        if !is_due || state < seen.state {
            seen.suppressed += 1;
            return;
        }
        *reported = Some(now);
        seen.was_reported = true;
        let suppressed = std::mem::take(&mut seen.suppressed);
        drop(locked);
        self.report(state, asked, took, suppressed, reason);
    }

    fn report(
        &self,
        state: State,
        asked: BackendCall<'_>,
        took: Duration,
        suppressed: u64,
        reason: Option<&dyn Display>,
    ) {
        let (backend, took_ms) = (self.backend, took.as_millis() as u64);
        let plugin = asked.plugin.map(tracing::field::display);
        let statement = asked.statement;
        let reason = reason.map(ToString::to_string);
        let reason = reason.as_deref();
        match state {
            State::Unavailable => {
                tracing::warn!(
                    backend,
                    plugin,
                    statement,
                    took_ms,
                    reason,
                    suppressed,
                    "{backend} is unavailable"
                );
            }
            _ => tracing::warn!(
                backend,
                plugin,
                statement,
                took_ms,
                suppressed,
                "{backend} is slow"
            ),
        }
    }

    /// Only after a while without trouble: what is slow now and then is not well.
    fn well(&self) {
        let mut seen = self.seen.lock();
        if seen.state == State::Well || seen.last.elapsed() < self.recovered {
            return;
        }
        let was_unavailable = seen.state == State::Unavailable;
        seen.state = State::Well;
        self.state.store(State::Well as u8, Relaxed);
        let lasted_ms = seen.last.duration_since(seen.since).as_millis() as u64;
        let (was_reported, suppressed, backend) =
            (seen.was_reported, seen.suppressed, self.backend);
        drop(seen);
        match (was_reported, was_unavailable) {
            (false, _) => {}
            (true, true) => tracing::warn!(
                backend,
                lasted_ms,
                suppressed,
                "{backend} is available again"
            ),
            (true, false) => {
                tracing::warn!(
                    backend,
                    lasted_ms,
                    suppressed,
                    "{backend} is no longer slow"
                );
            }
        }
    }
}

/// The backends.
pub struct Watches {
    pub postgres: Arc<BackendWatch>,
    pub dynamodb: Arc<BackendWatch>,
    pub sqs: Arc<BackendWatch>,
}

impl Watches {
    pub fn new(config: &Config) -> Watches {
        let of = |backend| Arc::new(BackendWatch::new(backend, config));
        Watches {
            postgres: of("postgres"),
            dynamodb: of("dynamodb"),
            sqs: of("sqs"),
        }
    }
}

impl MetricsSource for Watches {
    fn write(&self, page: &mut MetricsPage) {
        let help = "1 while a backend is slow or unavailable, by backend and state.";
        page.family(TROUBLE, FamilyKind::Gauge, help);
        for watch in [&self.postgres, &self.dynamodb, &self.sqs] {
            let now = watch.state.load(Relaxed);
            for (state, name) in TROUBLES {
                let labels = [("backend", watch.backend), ("state", name)];
                page.sample(TROUBLE, &labels, u8::from(now == state as u8));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::super::{Logs, Redactor};
    use super::*;

    #[derive(Clone, Default)]
    struct LogBuffer(Arc<Mutex<Vec<u8>>>);

    impl Write for LogBuffer {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    /// What the log says of a Postgres that does all this.
    fn log_of(does: impl FnOnce(&BackendWatch)) -> String {
        let config = Config {
            log_slow_ms: 100,
            log_recovered_ms: 0,
            ..Config::default()
        };
        let kept = LogBuffer::default();
        let opened = Logs::to_writer(&config, &Redactor::default(), kept.clone());
        let (logs, guard) = opened.unwrap();
        logs.with(|| does(&BackendWatch::new("postgres", &config)));
        drop(guard);
        String::from_utf8(kept.0.lock().clone()).unwrap()
    }

    const FAST: Duration = Duration::from_millis(99);
    const SLOW: Duration = Duration::from_millis(100);

    #[test]
    fn trouble_that_comes_again_soon_is_reported_once_and_so_is_its_end() {
        let asked = BackendCall {
            plugin: Some("tickets"),
            statement: Some("list"),
        };
        let text = log_of(|watch| {
            for _ in 0..3 {
                watch.answered(asked, FAST);
                watch.answered(asked, SLOW);
                watch.gave_up(asked, SLOW);
                watch.answered(asked, FAST);
            }
        });
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 2, "{text}");
        assert!(lines[0].contains("postgres is slow"), "{text}");
        assert!(
            lines[0].contains("plugin=tickets statement=\"list\""),
            "{text}"
        );
        assert!(lines[1].contains("postgres is no longer slow"), "{text}");
    }

    #[test]
    fn absence_is_reported_beside_slowness_and_impatience_says_nothing() {
        let text = log_of(|watch| {
            let nobody = BackendCall::default();
            watch.gave_up(nobody, FAST);
            watch.answered(nobody, SLOW);
            watch.unavailable(nobody, FAST, &"gone");
            watch.gave_up(nobody, FAST);
            watch.answered(nobody, SLOW);
            watch.answered(nobody, FAST);
        });
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 3, "{text}");
        assert!(lines[1].contains("postgres is unavailable"), "{text}");
        assert!(lines[2].contains("postgres is available again"), "{text}");
    }
}
