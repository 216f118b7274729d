//! The queues whose messages a plugin consumes: `[[queues]]`.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use super::World;
use super::fields::{Fields, Text};
use super::read::{MS_MAX, NAME_RULE, is_name};

/// One queue that the plugin consumes. It asks for the grant `consume:NAME`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Consumed {
    pub name: String,
    /// The most messages of one call. A queue of SQS gives ten at once.
    pub batch: usize,
    /// The most calls at once, on each host.
    pub concurrency: usize,
    /// Milliseconds after which a message of a host that fell silent is delivered
    /// again; 6 times the wall limit where nothing is said. While a call runs the
    /// host prolongs it.
    pub visibility_ms: Option<u64>,
    /// Failures of one message after which it is a dead letter.
    pub attempts_max: u32,
    /// Milliseconds that a call waits for its batch to fill.
    pub window_ms: u64,
    /// Milliseconds from the first failure to the next attempt; each further
    /// failure doubles them, up to `backoff_ms_max`.
    pub backoff_ms: u64,
    pub backoff_ms_max: u64,
}

const QUEUES_MAX: usize = 32;
/// What SQS receives and settles with one request, and the most that it gives at once.
const BATCH: u64 = 10;
/// Each of them is received, consumed and settled in one go: what costs once a batch is
/// little by then.
const BATCH_MAX: u64 = 100;
/// Each of them may hold a whole batch in memory.
const CONCURRENCY_MAX: u64 = 1_000;
const CONCURRENCY: u64 = 4;
const ATTEMPTS: u64 = 5;
/// The longest visibility of SQS.
const VISIBILITY_MS_MAX: u64 = 12 * 60 * 60 * 1_000;
/// Messages that wait in a window are held back from other hosts.
const WINDOW_MS_MAX: u64 = 60_000;

impl Consumed {
    /// How long a message is hidden from others, where a call may take so long.
    pub fn visibility(&self, wall_max: Duration) -> Duration {
        let longest = Duration::from_millis(VISIBILITY_MS_MAX);
        match self.visibility_ms {
            Some(ms) => Duration::from_millis(ms),
            None => wall_max.saturating_mul(6).min(longest),
        }
    }

    /// How long a message waits after it has failed so many times.
    pub fn backoff(&self, failures: u32) -> Duration {
        let doubled = 1_u64.checked_shl(failures.saturating_sub(1));
        let ms = self.backoff_ms.saturating_mul(doubled.unwrap_or(u64::MAX));
        Duration::from_millis(ms.min(self.backoff_ms_max))
    }
}

impl fmt::Display for Consumed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Consumed {
            name,
            batch,
            concurrency,
            attempts_max,
            ..
        } = self;
        write!(f, "{name}: batches of {batch}, {concurrency} at once, ")?;
        write!(f, "{attempts_max} attempts, ")?;
        let (first, last) = (self.backoff_ms, self.backoff_ms_max);
        write!(f, "{first} to {last} ms between them")?;
        if self.window_ms > 0 {
            write!(f, ", gathered for {} ms", self.window_ms)?;
        }
        match self.visibility_ms {
            Some(ms) => write!(f, ", visible again after {ms} ms"),
            None => Ok(()),
        }
    }
}

/// Reads `[[queues]]`.
pub(super) fn queues(fields: &mut Fields<'_, '_>, world: World) -> Vec<Consumed> {
    let tables = fields.tables("queues");
    if let Some(table) = tables.first().filter(|_| !world.consumes()) {
        let rule = "`queues`: only the worlds worker and full consume messages";
        fields.note(table.at(), rule);
    }
    if let Some(table) = tables.get(QUEUES_MAX) {
        let rule = format!("`queues`: a plugin consumes at most {QUEUES_MAX}");
        fields.note(table.at(), rule);
    }
    let mut names = BTreeSet::new();
    let queues = tables.into_iter().map(|table| queue(table, &mut names));
    queues.collect()
}

fn queue(mut fields: Fields<'_, '_>, names: &mut BTreeSet<String>) -> Consumed {
    let name = name(&mut fields, "queues.name", "name");
    if !name.value.is_empty() && !names.insert(name.value.clone()) {
        let reason = format!("`queues.name`: `{}` is there twice", name.value);
        fields.note(name.at, reason);
    }
    let size = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
    let backoff_ms = fields.number("backoff_ms", 1_000, 0..=MS_MAX);
    let queue = Consumed {
        name: name.value,
        batch: size(fields.number("batch", BATCH, 1..=BATCH_MAX)),
        concurrency: size(fields.number("concurrency", CONCURRENCY, 1..=CONCURRENCY_MAX)),
        visibility_ms: fields.wanted("visibility_ms", 1_000..=VISIBILITY_MS_MAX),
        attempts_max: attempts(fields.number("attempts_max", ATTEMPTS, 1..=1_000)),
        window_ms: fields.number("window_ms", 0, 0..=WINDOW_MS_MAX),
        backoff_ms,
        backoff_ms_max: fields.number(
            "backoff_ms_max",
            backoff_ms.max(300_000),
            backoff_ms..=MS_MAX,
        ),
    };
    fields.finish();
    queue
}

fn attempts(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// The name of a queue, by the rule of all names in a manifest.
pub(super) fn name(fields: &mut Fields<'_, '_>, path: &str, key: &'static str) -> Text {
    let name = fields.required_text(key);
    if !name.value.is_empty() && !is_name(&name.value) {
        fields.note(name.at, format!("`{path}` {NAME_RULE}"));
    }
    name
}
