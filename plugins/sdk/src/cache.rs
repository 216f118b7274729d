//! Values that are expensive to compute, cached by the host for this plugin and the
//! caller's customer.
//!
//! [`get_or_compute`] is right for most handlers: of all requests on a host that miss a
//! key at the same time, one computes, and the others wait for its value.
//!
//! ```no_run
//! use std::time::Duration;
//! use hearth_plugin::cache::{self, Options};
//! # use hearth_plugin::Problem;
//! # fn count_tickets() -> Result<u64, Problem> { Ok(3) }
//! # fn example() -> Result<(), Problem> {
//! let options = Options::for_(Duration::from_secs(60)).tag("tickets");
//! let count = cache::get_or_compute("count", &options, || {
//!     Ok::<_, Problem>(count_tickets()?.to_string().into_bytes())
//! })?;
//! // After a change is committed, never before: who computes in between would
//! // keep the old value.
//! cache::invalidate_tag("tickets");
//! # Ok(())
//! # }
//! ```
//!
//! To cache that something does not exist, store an empty value.
//!
//! A value that is worth fetching from another host gets [`Options::shared`]. It is
//! then looked up in memory and in the tier that all hosts share; with [`get_local`]
//! and [`lookup_local`], and in [`get_or_compute`] without that option, only in this
//! host's memory.

use std::time::Duration;

use crate::host::cache as host;

/// The tag that the host invalidates for a customer when its tier changes: for values
/// that depend on `hearth.customer`.
pub const CUSTOMER: &str = "hearth:customer";

/// How long a value is good, and how it is found again.
#[derive(Clone, Debug)]
pub struct Options {
    ttl: Duration,
    stale: Duration,
    tags: Vec<String>,
    scope: host::Scope,
}

impl Options {
    /// Served for so long, at most a day; on this host only, without tags.
    pub fn for_(ttl: Duration) -> Self {
        Options {
            ttl,
            stale: Duration::ZERO,
            tags: Vec::new(),
            scope: host::Scope::Local,
        }
    }

    /// For so long past its time [`lookup`] answers it as stale.
    pub fn stale_for(mut self, stale: Duration) -> Self {
        self.stale = stale;
        self
    }

    /// A name under which [`invalidate_tag`] finds it.
    pub fn tag(mut self, tag: &str) -> Self {
        self.tags.push(tag.into());
        self
    }

    /// For all hosts of the fleet.
    pub fn shared(mut self) -> Self {
        self.scope = host::Scope::Shared;
        self
    }

    fn into_host(self) -> host::Options {
        host::Options {
            ttl_ms: millis(self.ttl),
            stale_ms: millis(self.stale),
            tags: self.tags,
            scope: self.scope,
        }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Something cached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// What was set.
    pub value: Vec<u8>,
    /// How long ago it was set.
    pub age: Duration,
}

impl From<host::Entry> for Entry {
    fn from(entry: host::Entry) -> Self {
        Entry {
            value: entry.value,
            age: Duration::from_millis(entry.age_ms),
        }
    }
}

/// Why something was not cached. A cache is never the truth, so a handler may go
/// on without.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// Larger than an entry may be.
    TooLarge,
    /// A key or tag that is empty or too long, or a lease that is spent.
    Invalid(String),
}

impl From<host::Error> for Error {
    fn from(error: host::Error) -> Self {
        match error {
            host::Error::TooLarge => Error::TooLarge,
            host::Error::Invalid(reason) => Error::Invalid(reason),
        }
    }
}

/// The right to compute a missing value. If it is dropped without [`Lease::fulfil`],
/// for example by an error, the next waiting call gets it.
#[derive(Debug)]
pub struct Lease(host::Lease);

impl Lease {
    /// Sets the value and hands it to everyone who waits.
    pub fn fulfil(self, value: &[u8], options: &Options) -> Result<(), Error> {
        let options = options.clone().into_host();
        self.0.fulfil(value, &options).map_err(Error::from)
    }
}

/// What [`lookup`] found.
#[derive(Debug)]
pub enum Found {
    /// A fresh value.
    Hit(Entry),
    /// A value past its time. With a lease: answer with it and renew it.
    Stale(Entry, Option<Lease>),
    /// Nothing: compute it.
    Miss(Lease),
}

/// A fresh value, or nothing, from whichever host.
pub fn get(key: &str) -> Option<Entry> {
    host::get(key, host::Scope::Shared).map(Entry::from)
}

/// A fresh value, or nothing, from this host's memory.
pub fn get_local(key: &str) -> Option<Entry> {
    host::get(key, host::Scope::Local).map(Entry::from)
}

/// Sets a value. It counts as old as the call's first use of the cache, so that
/// what was invalidated since then does not come back.
pub fn set(key: &str, value: &[u8], options: &Options) -> Result<(), Error> {
    host::set(key, value, &options.clone().into_host()).map_err(Error::from)
}

/// Removes a value, on every host within a second.
pub fn delete(key: &str) {
    host::delete(key);
}

/// Removes everything of this customer with that tag, on every host within a
/// second. Call it after the commit that made it stale.
pub fn invalidate_tag(tag: &str) {
    host::invalidate_tag(tag);
}

/// Asks for a value that this call would compute: where another one computes it
/// already, this waits for it; where another host has it, it comes from there.
pub fn lookup(key: &str) -> Found {
    look(key, host::Scope::Shared)
}

/// The same, in this host's memory alone.
pub fn lookup_local(key: &str) -> Found {
    look(key, host::Scope::Local)
}

fn look(key: &str, scope: host::Scope) -> Found {
    match host::lookup(key, scope) {
        host::Found::Hit(entry) => Found::Hit(entry.into()),
        host::Found::Stale((entry, lease)) => Found::Stale(entry.into(), lease.map(Lease)),
        host::Found::Miss(lease) => Found::Miss(Lease(lease)),
    }
}

/// The cached value, or what `compute` makes, which is then cached, for as many
/// hosts as the options say. An error of `compute` is not. Where the value cannot be
/// cached it is still answered.
pub fn get_or_compute<E>(
    key: &str,
    options: &Options,
    compute: impl FnOnce() -> Result<Vec<u8>, E>,
) -> Result<Vec<u8>, E> {
    let lease = match look(key, options.scope) {
        Found::Hit(entry) | Found::Stale(entry, None) => return Ok(entry.value),
        Found::Stale(_, Some(lease)) | Found::Miss(lease) => lease,
    };
    let value = compute()?;
    let _ = lease.fulfil(&value, options);
    Ok(value)
}
