//! The capability `documents`: a DynamoDB table lent to the plugin.
//!
//! An item's partition key is the plugin, the customer and the partition that the
//! plugin names; the host puts the first two there. Plain puts and deletes go
//! through the batch writer of [`hearth_backend::dynamodb::writer`]; reads and
//! updates go straight. Reads are strongly consistent unless `consistent_reads` is
//! off: what was acknowledged is what is read.
//!
//! ```no_run
//! use hearth_backend::dynamodb::{Config as DynamoConfig, Dynamo};
//! use hearth_runtime::capability::Call;
//! use hearth_runtime::capability::documents::{Client, Config, Host, Item, Key, View};
//! # use hearth_base::telemetry::{HostMetrics, Metrics};
//! # async fn example(metrics: HostMetrics) -> wasmtime::Result<()> {
//! let dynamo = Dynamo::open(&DynamoConfig::default(), None).await;
//! let clock = hearth_base::clock::Clock::system();
//! let client = Client::open(Some(&dynamo), &Config::default(), &clock, &metrics);
//! tokio::spawn(client.clone().run_writer());
//! let (call, lent) = (Call::of("notifications", Some("acme")), client.lend());
//! let mut view = View { call: &call, lent: &lent };
//! let item = Item {
//!     partition: "inbox".into(),
//!     sort: "2026-11-23".into(),
//!     attributes: r#"{"title":"Hello"}"#.into(),
//!     expires_at_ms: None,
//! };
//! view.put(item.clone()).await?.unwrap();
//! let key = Key { partition: "inbox".into(), sort: "2026-11-23".into() };
//! assert_eq!(view.get(key).await?.unwrap(), Some(item));
//! # Ok(())
//! # }
//! ```

mod error;
mod item;
mod json;
mod many;
mod number;
mod query;
mod range;
mod update;
mod view;

use std::sync::Arc;
use std::time::UNIX_EPOCH;

use serde::Deserialize;
use wasmtime::component::{HasData, Linker};

use super::{Backends, Call, OpenError};
use hearth_backend::dynamodb::writer::{self, Writer};
use hearth_backend::dynamodb::{Dynamo, size};
use hearth_base::bounds;
use hearth_base::clock::Clock;
use hearth_base::section::{KIB, MIB, Mistakes, Section};
use hearth_base::telemetry::HostMetrics;

pub use error::Error;
pub use generated::hearth::plugin::documents::{
    Change, Condition, Error as GuestError, Host, Item, Key, Page, Range,
};

mod generated {
    wasmtime::component::bindgen!({
        path: "../../wit",
        inline: "package hearth:lends-documents; world lends { import hearth:plugin/documents@0.1.0; }",
        imports: { default: async | trappable },
        additional_derives: [PartialEq],
    });
}

/// Section `[documents]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Whether a read sees every write that was acknowledged before it. Others cost
    /// half as much and may be a second behind.
    pub consistent_reads: bool,
    /// Items of one `put-many`, `get-many` or `delete-many`.
    pub items_max: usize,
    /// Bytes of one item as DynamoDB counts them, with its key and what the host
    /// keeps beside it.
    pub item_bytes_max: usize,
    /// Items of one page of a query.
    pub query_items_max: u32,
    /// Bytes of the attributes of one page, or of what one `get-many` answers, the first
    /// item excepted.
    pub query_bytes_max: usize,
    /// Attributes that one query may name.
    pub query_attributes_max: usize,
    /// Requests to DynamoDB for one page; what expired and is still there makes a
    /// page take more than one.
    pub query_requests_max: u32,
    /// Items that `count` counts at most.
    pub count_max: u32,
    /// Changes of one update.
    pub changes_max: usize,
    /// How the batch writer writes.
    pub writer: writer::Config,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            consistent_reads: true,
            items_max: 10_000,
            item_bytes_max: size::ITEM_BYTES_MAX,
            query_items_max: 1_000,
            query_bytes_max: 2 << 20,
            query_attributes_max: 64,
            query_requests_max: 20,
            count_max: 10_000,
            changes_max: 64,
            writer: writer::Config::default(),
        }
    }
}

impl Section for Config {
    fn validate(&self, mistakes: &mut Mistakes) {
        bounds! { self, mistakes =>
            items_max in 1..=100_000,
            item_bytes_max in KIB..=size::ITEM_BYTES_MAX as u64,
            query_items_max in 1..=100_000,
            query_bytes_max in KIB..=64 * MIB,
            // An expression has at most 4 KB (AWS), and a name takes up to 7 of its bytes.
            query_attributes_max in 1..=150,
            query_requests_max in 1..=1_000,
            count_max in 1..=1_000_000,
            // An update expression has at most 4 KB (AWS), and a change takes up to 20.
            changes_max in 1..=150,
        }
        mistakes.section("writer", &self.writer);
    }
}

/// The table of all plugins. One per process; cloning shares it.
#[derive(Clone)]
pub struct Client {
    lent: Lent,
}

impl Client {
    pub(super) fn from_backends(
        config: &Config,
        backends: &Backends<'_>,
    ) -> Result<Self, OpenError> {
        let (dynamo, clock) = (backends.dynamo, backends.clock);
        Ok(Self::open(dynamo, config, clock, backends.host_metrics))
    }

    /// Without a DynamoDB there is nothing to lend, and no plugin gets the grant.
    pub fn open(
        dynamo: Option<&Dynamo>,
        config: &Config,
        clock: &Clock,
        metrics: &HostMetrics,
    ) -> Client {
        let table = dynamo.map(|dynamo| {
            Arc::new(Table {
                config: config.clone(),
                dynamo: dynamo.clone(),
                clock: clock.clone(),
                writer: Writer::open(dynamo, &config.writer, metrics.documents_writer()),
            })
        });
        Client {
            lent: Lent { table },
        }
    }

    /// Whether there is a table.
    pub fn is_there(&self) -> bool {
        self.lent.table.is_some()
    }

    /// What a deployment borrows.
    pub fn lend(&self) -> Lent {
        self.lent.clone()
    }

    /// Writes what all plugins put and delete, until it is dropped.
    pub async fn run_writer(self) {
        if let Some(table) = &self.lent.table {
            table.writer.clone().run().await;
        }
    }
}

/// What one deployment borrows: nothing, on a host without a DynamoDB.
#[derive(Clone)]
pub struct Lent {
    table: Option<Arc<Table>>,
}

struct Table {
    config: Config,
    dynamo: Dynamo,
    /// Says what has expired.
    clock: Clock,
    writer: Writer,
}

impl Table {
    /// In milliseconds since 1970, as expiry is told.
    fn now_ms(&self) -> u64 {
        let since = self.clock.now().duration_since(UNIX_EPOCH);
        since.map_or(0, |since| {
            u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
        })
    }
}

/// A call accumulates nothing here.
pub type State = ();

/// The capability as one call borrows it.
pub struct View<'a> {
    pub call: &'a Call,
    pub lent: &'a Lent,
}

/// What the guest gets of an error.
fn convert_error(error: Error) -> GuestError {
    match error {
        Error::TooLarge => GuestError::TooLarge,
        Error::ConditionFailed => GuestError::ConditionFailed,
        Error::Deadline => GuestError::DeadlineExceeded,
        Error::Unavailable(_) => GuestError::Unavailable,
        Error::Invalid(reason) => GuestError::Invalid(reason),
    }
}

/// Tells the linker's generated code what a [`View`] is.
pub struct Access;

impl HasData for Access {
    type Data<'a> = View<'a>;
}

/// Links the interface. `view` finds this capability's parts in a store's state.
pub fn add_to_linker<T: Send + 'static>(
    linker: &mut Linker<T>,
    view: fn(&mut T) -> View<'_>,
) -> wasmtime::Result<()> {
    generated::hearth::plugin::documents::add_to_linker::<T, Access>(linker, view)
}
