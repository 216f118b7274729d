//! The manifest of a plugin, `plugin.toml`: what it is called, where it is
//! mounted, what it asks for. An operator's config may grant less.
//!
//! ```
//! use hearth_runtime::plugin::manifest::{Manifest, World};
//! let manifest = Manifest::parse(
//!     r#"
//!     name = "tickets"
//!     version = "0.1.0"
//!     mount = "/support"
//!     world = "plugin"
//!     grants = ["sql", "log"]
//!     [limits]
//!     cpu_ms_max = 250
//!     "#,
//! )
//! .unwrap();
//! assert_eq!(manifest.world, World::Plugin);
//! assert_eq!(manifest.limits.cpu_ms_max, Some(250));
//! ```

mod cached;
mod consumed;
mod fields;
mod read;
mod schedule;

use std::collections::BTreeSet;
use std::fmt;

pub use self::cached::{CachedRoute, Piece, Segment};
pub use self::consumed::Consumed;
pub use self::read::{NAME_RULE, is_name};
pub use self::schedule::{Schedule, ScheduleAudience, Times};
use crate::capability::sql::statement::Declared;
use crate::plugin::limits::LimitOverrides;
use crate::plugin::package::Interface;

/// How many bytes a manifest may have.
pub const MANIFEST_BYTES_MAX: usize = 1024 * 1024;

/// What a plugin says about itself.
#[derive(Clone, Debug, PartialEq)]
pub struct Manifest {
    /// Lower-case letters, digits and `-`, at most 32 characters. Database
    /// schema, cache keys and metrics begin with it.
    pub name: String,
    pub version: semver::Version,
    /// The path under which the plugin's routes lie, for example `/support`. Empty
    /// for a worker, which has no routes.
    pub mount: String,
    /// What the component must export.
    pub world: World,
    /// What it asks for. An import that is not asked for is an error.
    pub grants: BTreeSet<Grant>,
    /// Whether its routes want no API key. Then calls may have no customer.
    pub public: bool,
    /// File name of its part of the OpenAPI document.
    pub openapi: Option<String>,
    /// The limits that it wants; what it does not name is the operator's default.
    pub limits: LimitOverrides,
    pub instances: Instances,
    pub sql: Sql,
    /// The answers that the host may keep.
    pub response_cache: Vec<CachedRoute>,
    pub self_test: Option<SelfTest>,
    /// The queues that it consumes.
    pub queues: Vec<Consumed>,
    /// The messages that the host sends for it by the clock.
    pub schedules: Vec<Schedule>,
}

/// What a component serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum World {
    /// HTTP requests: exports `handler`.
    Plugin,
    /// Messages of queues: exports `consumer`.
    Worker,
    /// Both.
    Full,
}

impl World {
    /// The name in the manifest.
    pub fn name(self) -> &'static str {
        match self {
            World::Plugin => "plugin",
            World::Worker => "worker",
            World::Full => "full",
        }
    }

    /// Whether a component of this world answers HTTP requests.
    pub fn handles(self) -> bool {
        self != World::Worker
    }

    /// Whether a component of this world consumes messages.
    pub fn consumes(self) -> bool {
        self != World::Plugin
    }
}

/// One thing that a plugin asks for, and an operator may grant.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Grant {
    /// A whole interface: its name, for example `sql`.
    Interface(Interface),
    /// Sending to one queue: `queue:NAME`.
    Queue(String),
    /// Consuming one queue: `consume:NAME`. `[[queues]]` asks for it.
    Consume(String),
    /// Requests to URLs that match: `outbound:https://*.example.com`.
    Outbound(String),
    /// Instances that serve one customer after another: `reuse:shared`.
    /// `[instances] reuse = "shared"` asks for it.
    SharedReuse,
}

/// How [`Grant::SharedReuse`] is written.
pub const SHARED_REUSE: &str = "reuse:shared";

impl Grant {
    /// The interface that this grant lets a component import, if any.
    pub fn interface(&self) -> Option<Interface> {
        match self {
            Grant::Interface(interface) => Some(*interface),
            Grant::Queue(_) => Some(Interface::Queue),
            Grant::Consume(_) | Grant::SharedReuse => None,
            Grant::Outbound(_) => Some(Interface::Outbound),
        }
    }
}

impl fmt::Display for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Grant::Interface(interface) => f.write_str(interface.name()),
            Grant::Queue(name) => write!(f, "queue:{name}"),
            Grant::Consume(name) => write!(f, "consume:{name}"),
            Grant::Outbound(url) => write!(f, "outbound:{url}"),
            Grant::SharedReuse => f.write_str(SHARED_REUSE),
        }
    }
}

/// How instances of the component are used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instances {
    pub reuse: Reuse,
    /// With reuse: calls after which an instance is dropped.
    pub uses_max: u64,
    /// With reuse: age at which an instance is dropped.
    pub age_ms_max: u64,
    /// Instances kept ready although nobody calls.
    pub warm_instances_min: u64,
}

impl Default for Instances {
    fn default() -> Self {
        Instances {
            reuse: Reuse::Fresh,
            uses_max: 1_000,
            age_ms_max: 600_000,
            warm_instances_min: 0,
        }
    }
}

/// Whether an instance serves more than one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reuse {
    /// Each call has an instance of its own.
    Fresh,
    /// An instance serves one call after another, all of one customer. What a call
    /// leaves in memory a later one of that customer may see.
    Serial,
    /// The same, and the next call may be any customer's. Wants the grant
    /// `reuse:shared`.
    Shared,
}

impl Reuse {
    /// The name in the manifest.
    pub fn name(self) -> &'static str {
        match self {
            Reuse::Fresh => "fresh",
            Reuse::Serial => "serial",
            Reuse::Shared => "shared",
        }
    }
}

/// What a plugin asks of the database.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sql {
    /// The folder with the migrations, beside the manifest.
    pub migrations: Option<String>,
    /// Tables without a customer: every customer sees all rows.
    pub shared: BTreeSet<String>,
    /// Functions that the plugin wants approved by the operator.
    pub functions: BTreeSet<String>,
    /// Statements of plugins in languages without `sql!`.
    pub statements: Vec<Declared>,
}

/// A request that a new deployment must answer before it serves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SelfTest {
    pub method: String,
    pub path: String,
    pub status: u16,
}

/// Everything that is wrong with a manifest. Its author is to blame.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct ManifestError {
    /// At least one, in the order of their lines.
    pub mistakes: Vec<Mistake>,
}

impl fmt::Display for ManifestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines = self
            .mistakes
            .iter()
            .map(Mistake::to_string)
            .collect::<Vec<_>>();
        f.write_str(&lines.join("\n"))
    }
}

/// One mistake in a manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// The line of the manifest, counted from 1.
    pub line: usize,
    pub reason: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.reason)
    }
}

impl Manifest {
    /// Reads a manifest. The error has every mistake, not only the first.
    pub fn parse(text: &str) -> Result<Manifest, ManifestError> {
        read::manifest(text)
    }

    /// Whether the manifest asks for an interface.
    pub fn asks_for(&self, interface: Interface) -> bool {
        self.grants
            .iter()
            .any(|grant| grant.interface() == Some(interface))
    }
}
