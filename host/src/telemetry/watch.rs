//! Whether what the host stands on is well: one line when Postgres, DynamoDB or SQS
//! is slow or away, and one when it is well again, however many calls suffer. Of the
//! cache's shared tier, Redis or DynamoDB, the cache itself tells, which asks it no more
//! while it is away.

use std::fmt::Display;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::Config;
use super::page::{Kind, Page, Source};

const TROUBLE: &str = "hearth_backend_trouble";

/// How a backend does. The numbers are in the order of how bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum State {
    Well = 0,
    Slow = 1,
    Away = 2,
}

const TROUBLES: [(State, &str); 2] = [(State::Slow, "slow"), (State::Away, "away")];

/// Who asked a backend for what. No text of it is a customer's.
#[derive(Clone, Copy, Debug, Default)]
pub struct Asked<'a> {
    pub plugin: Option<&'a str>,
    /// A declared statement's name, or the operation of an API.
    pub statement: Option<&'a str>,
}

/// One backend, as this host sees it.
pub struct Watch {
    backend: &'static str,
    slow: Duration,
    repeat: Duration,
    recovered: Duration,
    /// What `seen` has too, for those who have nothing to tell.
    state: AtomicU8,
    seen: Mutex<Seen>,
}

struct Seen {
    state: State,
    /// Since when it is not well.
    since: Instant,
    last: Instant,
    /// When a line told of it last: of slowness, and of absence.
    told: [Option<Instant>; 2],
    /// Whether any did since it was well.
    is_told: bool,
    /// Calls that had no line of their own.
    untold: u64,
}

impl Watch {
    fn new(backend: &'static str, config: &Config) -> Watch {
        let now = Instant::now();
        Watch {
            backend,
            slow: Duration::from_millis(config.log_slow_ms),
            repeat: Duration::from_millis(config.log_repeat_ms),
            recovered: Duration::from_millis(config.log_recovered_ms),
            state: AtomicU8::new(State::Well as u8),
            seen: Mutex::new(Seen {
                state: State::Well,
                since: now,
                last: now,
                told: [None; 2],
                is_told: false,
                untold: 0,
            }),
        }
    }

    /// It answered, after so long. Where all is well this costs a comparison.
    pub fn answered(&self, asked: Asked<'_>, took: Duration) {
        if took >= self.slow {
            self.note(State::Slow, asked, took, None);
        } else if self.state.load(Relaxed) != State::Well as u8 {
            self.well();
        }
    }

    /// Nobody waited for its answer any longer, after so long. That is slow, or it says
    /// nothing.
    pub fn gave_up(&self, asked: Asked<'_>, waited: Duration) {
        if waited >= self.slow {
            self.note(State::Slow, asked, waited, None);
        }
    }

    /// It did not answer, or not as a backend that is well.
    pub fn away(&self, asked: Asked<'_>, took: Duration, reason: &dyn Display) {
        self.note(State::Away, asked, took, Some(reason));
    }

    fn note(&self, state: State, asked: Asked<'_>, took: Duration, reason: Option<&dyn Display>) {
        let now = Instant::now();
        let mut locked = self.seen.lock();
        let seen = &mut *locked;
        if seen.state == State::Well {
            (seen.since, seen.is_told, seen.untold) = (now, false, 0);
        }
        seen.last = now;
        seen.state = seen.state.max(state);
        self.state.store(seen.state as u8, Relaxed);
        let repeat = self.repeat;
        let kind = usize::from(state == State::Away);
        let Some(told) = seen.told.get_mut(kind) else {
            return;
        };
        let is_due = told.is_none_or(|told| now.duration_since(told) >= repeat);
        // A backend that was told to be away is not told to be slow as well.
        if !is_due || state < seen.state {
            seen.untold += 1;
            return;
        }
        *told = Some(now);
        seen.is_told = true;
        let untold = std::mem::take(&mut seen.untold);
        drop(locked);
        self.tell(state, asked, took, untold, reason);
    }

    fn tell(
        &self,
        state: State,
        asked: Asked<'_>,
        took: Duration,
        untold: u64,
        reason: Option<&dyn Display>,
    ) {
        let (backend, took_ms) = (self.backend, took.as_millis() as u64);
        let (plugin, statement) = (asked.plugin, asked.statement);
        let reason = reason.map(ToString::to_string);
        let reason = reason.as_deref();
        match state {
            State::Away => {
                tracing::warn!(
                    backend,
                    plugin,
                    statement,
                    took_ms,
                    reason,
                    untold,
                    "{backend} is away"
                );
            }
            _ => tracing::warn!(
                backend,
                plugin,
                statement,
                took_ms,
                untold,
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
        let was_away = seen.state == State::Away;
        seen.state = State::Well;
        self.state.store(State::Well as u8, Relaxed);
        let lasted_ms = seen.last.duration_since(seen.since).as_millis() as u64;
        let (is_told, untold, backend) = (seen.is_told, seen.untold, self.backend);
        drop(seen);
        match (is_told, was_away) {
            (false, _) => {}
            (true, true) => tracing::warn!(backend, lasted_ms, untold, "{backend} is back"),
            (true, false) => {
                tracing::warn!(backend, lasted_ms, untold, "{backend} is no longer slow");
            }
        }
    }
}

/// The backends.
pub struct Watches {
    pub postgres: Arc<Watch>,
    pub dynamodb: Arc<Watch>,
    pub sqs: Arc<Watch>,
}

impl Watches {
    pub fn new(config: &Config) -> Watches {
        let of = |backend| Arc::new(Watch::new(backend, config));
        Watches {
            postgres: of("postgres"),
            dynamodb: of("dynamodb"),
            sqs: of("sqs"),
        }
    }
}

impl Source for Watches {
    fn write(&self, page: &mut Page) {
        let help = "1 while a backend is slow, or away, as the log says it.";
        page.family(TROUBLE, Kind::Gauge, help);
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
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    /// What the log says of a Postgres that does all this.
    fn told(does: impl FnOnce(&Watch)) -> String {
        let config = Config {
            log_slow_ms: 100,
            log_recovered_ms: 0,
            ..Config::default()
        };
        let kept = Kept::default();
        let opened = Logs::to_writer(&config, &Redactor::default(), kept.clone());
        let (logs, guard) = opened.unwrap();
        logs.with(|| does(&Watch::new("postgres", &config)));
        drop(guard);
        String::from_utf8(kept.0.lock().clone()).unwrap()
    }

    const FAST: Duration = Duration::from_millis(99);
    const SLOW: Duration = Duration::from_millis(100);

    #[test]
    fn trouble_that_comes_again_soon_is_told_once_and_so_is_its_end() {
        let asked = Asked {
            plugin: Some("tickets"),
            statement: Some("list"),
        };
        let text = told(|watch| {
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
            lines[0].contains("plugin=\"tickets\" statement=\"list\""),
            "{text}"
        );
        assert!(lines[1].contains("postgres is no longer slow"), "{text}");
    }

    #[test]
    fn absence_is_told_beside_slowness_and_impatience_says_nothing() {
        let text = told(|watch| {
            let nobody = Asked::default();
            watch.gave_up(nobody, FAST);
            watch.answered(nobody, SLOW);
            watch.away(nobody, FAST, &"gone");
            watch.gave_up(nobody, FAST);
            watch.answered(nobody, SLOW);
            watch.answered(nobody, FAST);
        });
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 3, "{text}");
        assert!(lines[1].contains("postgres is away"), "{text}");
        assert!(lines[2].contains("postgres is back"), "{text}");
    }
}
