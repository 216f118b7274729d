//! The durations of the declared statements of plugins, by the names that their authors
//! gave them. A series exists from the first use of its statement until the last
//! deployment that declares it ends.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use parking_lot::Mutex;

use super::distribution::{Distribution, nanoseconds, seconds};
use super::page::{FamilyKind, MetricsPage, MetricsSource};

const DURATION: &str = "hearth_db_client_operation_duration_seconds";
const WAIT: &str = "hearth_db_client_operation_wait_seconds_total";

/// What a guest called a statement with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    Query,
    Execute,
    Batch,
    /// Either, within a transaction that the guest holds.
    Transaction,
}

impl Operation {
    /// As the page calls it.
    pub fn name(self) -> &'static str {
        OPERATIONS.get(self as usize).map_or("", |(_, name)| name)
    }
}

const OPERATIONS: [(Operation, &str); 4] = [
    (Operation::Query, "query"),
    (Operation::Execute, "execute"),
    (Operation::Batch, "batch"),
    (Operation::Transaction, "transaction"),
];

/// What a statement came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatementOutcome {
    Ok,
    UniqueViolation,
    ForeignKeyViolation,
    CheckViolation,
    SerializationConflict,
    /// Another session held a lock for longer than `database.lock_ms_max`.
    LockTimeout,
    DeadlineExceeded,
    TooLarge,
    Unavailable,
    Denied,
    Invalid,
    /// The call ended before it.
    Cancelled,
    /// It was not sent, for the pool had no connection.
    NoConnection,
}

const OUTCOMES: [(StatementOutcome, &str); 13] = [
    (StatementOutcome::Ok, "ok"),
    (StatementOutcome::UniqueViolation, "unique_violation"),
    (
        StatementOutcome::ForeignKeyViolation,
        "foreign_key_violation",
    ),
    (StatementOutcome::CheckViolation, "check_violation"),
    (
        StatementOutcome::SerializationConflict,
        "serialization_conflict",
    ),
    (StatementOutcome::LockTimeout, "lock_timeout"),
    (StatementOutcome::DeadlineExceeded, "deadline_exceeded"),
    (StatementOutcome::TooLarge, "too_large"),
    (StatementOutcome::Unavailable, "unavailable"),
    (StatementOutcome::Denied, "denied"),
    (StatementOutcome::Invalid, "invalid"),
    (StatementOutcome::Cancelled, "cancelled"),
    (StatementOutcome::NoConnection, "no_connection"),
];

impl StatementOutcome {
    /// Whether Postgres or the host failed. What the data did not allow, and what others
    /// changed at the same time, is an answer.
    pub fn is_failure(self) -> bool {
        use StatementOutcome::*;
        !matches!(
            self,
            Ok | UniqueViolation
                | ForeignKeyViolation
                | CheckViolation
                | SerializationConflict
                | Cancelled
        )
    }

    /// As the page calls it.
    pub fn name(self) -> &'static str {
        OUTCOMES.get(self as usize).map_or("", |(_, name)| name)
    }
}

/// Of one outcome of one operation; made when it is needed first.
type Series = OnceLock<Box<Distribution>>;

/// What is counted of all statements of one name in one plugin.
#[derive(Debug)]
pub struct StatementMetrics {
    pub plugin: Arc<str>,
    pub name: String,
    took: [[Series; OUTCOMES.len()]; OPERATIONS.len()],
    waited_ns: AtomicU64,
}

impl StatementMetrics {
    fn new(plugin: &Arc<str>, name: &str) -> StatementMetrics {
        StatementMetrics {
            plugin: plugin.clone(),
            name: name.to_owned(),
            took: Default::default(),
            waited_ns: AtomicU64::new(0),
        }
    }

    /// It ran for so long, the wait for a connection not counted.
    pub fn record(&self, operation: Operation, outcome: StatementOutcome, took: Duration) {
        let of_operation = self.took.get(operation as usize);
        let series = of_operation.and_then(|series| series.get(outcome as usize));
        if let Some(series) = series {
            series.get_or_init(Box::default).record(took);
        }
    }

    /// It waited so long for a connection, whether it got one or not.
    pub fn add_wait(&self, waited: Duration) {
        self.waited_ns.fetch_add(nanoseconds(waited), Relaxed);
    }

    fn write_durations(&self, page: &mut MetricsPage) {
        for ((_, operation), series) in OPERATIONS.iter().zip(&self.took) {
            for ((_, outcome), series) in OUTCOMES.iter().zip(series) {
                let Some(took) = series.get() else { continue };
                let labels = [
                    ("plugin", &*self.plugin),
                    ("statement", &self.name),
                    ("operation", operation),
                    ("outcome", outcome),
                ];
                page.histogram(DURATION, &labels, took);
            }
        }
    }
}

/// Plugin and statement.
type Key = (Arc<str>, String);

/// The statements of everything that is deployed.
#[derive(Default)]
pub struct StatementRegistry {
    all: Mutex<BTreeMap<Key, Weak<StatementMetrics>>>,
}

impl StatementRegistry {
    /// Those of the statements of that name. A later deployment counts on where an
    /// earlier one still serves.
    pub fn of(&self, plugin: &Arc<str>, name: &str) -> Arc<StatementMetrics> {
        let mut all = self.all.lock();
        let known = all.entry((plugin.clone(), name.to_owned())).or_default();
        known.upgrade().unwrap_or_else(|| {
            let fresh = Arc::new(StatementMetrics::new(plugin, name));
            *known = Arc::downgrade(&fresh);
            fresh
        })
    }

    fn deployed(&self) -> Vec<Arc<StatementMetrics>> {
        let mut all = self.all.lock();
        all.retain(|_, known| known.strong_count() > 0);
        all.values().filter_map(Weak::upgrade).collect()
    }
}

impl MetricsSource for StatementRegistry {
    fn write(&self, page: &mut MetricsPage) {
        let all = self.deployed();
        let help = "Time of a declared statement in Postgres, by plugin, statement, operation and \
                    outcome.";
        page.family(DURATION, FamilyKind::Histogram, help);
        for statement in &all {
            statement.write_durations(page);
        }
        let help = "Time that a declared statement waited for a connection of its plugin's pool.";
        page.family(WAIT, FamilyKind::Counter, help);
        for statement in &all {
            let labels = [
                ("plugin", &*statement.plugin),
                ("statement", &statement.name),
            ];
            page.sample(WAIT, &labels, seconds(statement.waited_ns.load(Relaxed)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::page::Sources;
    use super::*;

    #[test]
    fn names_stand_where_their_variants_say() {
        let operations = OPERATIONS.iter().enumerate();
        assert!(
            operations
                .into_iter()
                .all(|(at, (one, _))| *one as usize == at)
        );
        let outcomes = OUTCOMES.iter().enumerate();
        assert!(
            outcomes
                .into_iter()
                .all(|(at, (one, _))| *one as usize == at)
        );
    }

    #[test]
    fn series_go_with_the_last_deployment_that_declares_the_statement() {
        let statements = Arc::new(StatementRegistry::default());
        let text = || {
            let sources = Sources::default();
            sources.add(&statements);
            sources.behind(String::new())
        };
        let plugin = Arc::from("tickets");
        let (old, new) = (statements.of(&plugin, "all"), statements.of(&plugin, "all"));
        old.record(
            Operation::Query,
            StatementOutcome::Ok,
            Duration::from_millis(2),
        );
        new.record(
            Operation::Query,
            StatementOutcome::Ok,
            Duration::from_millis(2),
        );
        let count = "hearth_db_client_operation_duration_seconds_count{plugin=\"tickets\",\
                     statement=\"all\",operation=\"query\",outcome=\"ok\"} 2";
        assert!(text().contains(count), "{}", text());
        drop(old);
        assert!(text().contains(count), "{}", text());
        drop(new);
        assert!(!text().contains("tickets"), "{}", text());
    }
}
