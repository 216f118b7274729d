//! The log of what plugins published.
//!
//! A plugin's own transaction never writes it: a host appends what its calls publish,
//! many at once, and tells the others by NOTIFY in the same commit. Positions become
//! visible in their own order (see `migrations/0008_push.sql`), so a reader asks for
//! what is past the last one that it knows.

mod append;
mod page;
mod sweep;
mod tail;

use std::sync::Arc;

use tokio_postgres::Row;
use uuid::Uuid;

use super::Server;
pub use super::invalidations::LogError;
pub use page::{ChannelPosition, Page};
pub use sweep::Retention;
pub use tail::{Newest, News, Tail};

/// A place in the log: microseconds since 1970, and unique. Zero is before all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position(pub i64);

/// One event on its way into the log.
#[derive(Clone, Debug)]
pub struct Published {
    /// Stands for the next three together.
    pub channel: Uuid,
    pub plugin: Arc<str>,
    pub customer: Option<Arc<str>>,
    pub name: String,
    pub id: Option<String>,
    pub kind: Option<String>,
    pub data: String,
}

/// One event, as listeners get it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    pub position: Position,
    pub kind: Option<String>,
    pub data: String,
}

/// The log, over the pool of the host's own tables.
#[derive(Clone)]
pub struct Log {
    server: Server,
}

impl Log {
    /// Asks Postgres nothing yet.
    pub fn new(server: Server) -> Log {
        Log { server }
    }
}

/// An event in three columns, the first of which is this one.
fn event(row: &Row, first: usize) -> Result<Event, tokio_postgres::Error> {
    Ok(Event {
        position: Position(row.try_get(first)?),
        kind: row.try_get(first + 1)?,
        data: row.try_get(first + 2)?,
    })
}

/// As many rows as one statement may find.
fn limit(rows_max: usize) -> i64 {
    i64::try_from(rows_max).unwrap_or(i64::MAX)
}
