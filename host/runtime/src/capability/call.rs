//! The circumstances of one call, as every capability sees them.

use std::fmt::Display;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering::Relaxed};
use std::time::SystemTime;

use parking_lot::Mutex;
use tokio::time::Instant;

use super::Spent;
use hearth_base::telemetry::TraceScope;

/// The guest called the host more often than one call may.
#[derive(Debug, thiserror::Error)]
#[error("the guest called the host more than {0} times")]
pub struct HostCallsExhausted(pub u64);

/// The right to apply one request that carries an `Idempotency-Key`. The first
/// transaction that writes marks it as applied, in the same commit.
#[derive(Debug)]
pub struct Claim {
    id: uuid::Uuid,
    since: SystemTime,
    applied: AtomicBool,
}

impl Claim {
    pub fn new(id: uuid::Uuid, since: SystemTime) -> Claim {
        Claim {
            id,
            since,
            applied: AtomicBool::new(false),
        }
    }

    pub fn id(&self) -> uuid::Uuid {
        self.id
    }

    /// When the key was first seen: the same for a request that is run again, because
    /// its host died or its answer was a failure.
    pub fn since(&self) -> SystemTime {
        self.since
    }

    /// What marks it, within the transaction that is about to commit. `None` once
    /// an earlier transaction of the call has committed with it.
    pub fn mark(&self) -> Option<String> {
        let text = || format!("SELECT hearth.apply_claim('{}')", self.id);
        (!self.applied.load(Relaxed)).then(text)
    }

    /// A transaction with the mark has committed, or may have.
    pub fn set_applied(&self) {
        self.applied.store(true, Relaxed);
    }

    pub fn is_applied(&self) -> bool {
        self.applied.load(Relaxed)
    }
}

/// What a look into the cache found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cached {
    Hit = 1,
    Stale = 2,
    Miss = 4,
}

impl Cached {
    /// As traces call it.
    pub fn name(self) -> &'static str {
        match self {
            Cached::Hit => "hit",
            Cached::Stale => "stale",
            Cached::Miss => "miss",
        }
    }
}

const SHARED: u8 = 8;
const AWAY: u8 = 16;

/// What all looks of a call into the cache found, for `X-Cache`.
#[derive(Debug, Default)]
pub struct Lookups(AtomicU8);

impl Lookups {
    /// `shared` says that another host had computed it, `away` that the shared tier
    /// could not be asked.
    pub fn note(&self, found: Cached, shared: bool, away: bool) {
        let flag = |set: bool, bit: u8| if set { bit } else { 0 };
        let bits = found as u8 | flag(shared, SHARED) | flag(away, AWAY);
        self.0.fetch_or(bits, Relaxed);
    }

    /// The worst of what was found; `None` where the call did not look.
    pub fn found(&self) -> Option<Cached> {
        let bits = self.0.load(Relaxed);
        let worst_first = [Cached::Miss, Cached::Stale, Cached::Hit];
        worst_first.into_iter().find(|one| bits & *one as u8 != 0)
    }

    /// Whether another host had computed something of it.
    pub fn shared(&self) -> bool {
        self.0.load(Relaxed) & SHARED != 0
    }

    /// Whether the shared tier could not be asked for something.
    pub fn away(&self) -> bool {
        self.0.load(Relaxed) & AWAY != 0
    }
}

/// How many faults of one call are kept: what comes later follows from the first.
const FAULTS_MAX: usize = 4;

/// What the host could not do for a call, and why, in words for its operator: a guest
/// hears less of it.
#[derive(Debug, Default)]
pub struct Faults(Mutex<Vec<String>>);

impl Faults {
    fn note(&self, text: String) {
        let mut texts = self.0.lock();
        if texts.len() < FAULTS_MAX && !texts.contains(&text) {
            texts.push(text);
        }
    }

    pub fn texts(&self) -> Vec<String> {
        self.0.lock().clone()
    }
}

/// One call of a plugin: an HTTP request, or a batch of messages. The host
/// stamps it; no value of a guest can change it.
#[derive(Debug)]
pub struct Call {
    /// The plugin's name.
    pub plugin: Arc<str>,
    /// The deployment's number within the plugin.
    pub deployment: u64,
    pub request_id: Arc<str>,
    /// The customer on whose behalf the call happens. `None` sees no rows.
    pub customer: Option<Arc<str>>,
    /// When everything that the call does must have ended.
    pub deadline: Instant,
    /// Of a request that carries an `Idempotency-Key`.
    pub claim: Option<Arc<Claim>>,
    /// What it found in the cache. Whoever answers reads it when the call is over.
    pub lookups: Arc<Lookups>,
    /// Where its time goes.
    pub spent: Arc<Spent>,
    /// Where what it does belongs in a trace.
    pub trace: TraceScope,
    /// Of a call whose outcome an operator is told: a self-test.
    pub faults: Option<Arc<Faults>>,
    host_calls: AtomicU64,
    host_calls_max: u64,
}

impl Call {
    pub fn new(
        plugin: Arc<str>,
        deployment: u64,
        request_id: Arc<str>,
        customer: Option<Arc<str>>,
        deadline: Instant,
        host_calls_max: u64,
    ) -> Call {
        Call {
            plugin,
            deployment,
            request_id,
            customer,
            deadline,
            claim: None,
            lookups: Arc::default(),
            spent: Arc::default(),
            trace: TraceScope::default(),
            faults: None,
            host_calls: AtomicU64::new(0),
            host_calls_max,
        }
    }

    /// A call of deployment 1 with half a minute and a thousand host calls, for
    /// tests and examples that need no more than a plugin and a customer.
    pub fn of(plugin: &str, customer: Option<&str>) -> Call {
        let deadline = Instant::now() + std::time::Duration::from_secs(30);
        Call::new(
            plugin.into(),
            1,
            "test".into(),
            customer.map(Arc::from),
            deadline,
            1_000,
        )
    }

    /// What a transaction that writes has to run before it commits.
    pub fn mark(&self) -> Option<String> {
        self.claim.as_ref().and_then(|claim| claim.mark())
    }

    /// A transaction that writes has committed, or nobody knows whether it has.
    pub fn committed(&self) {
        if let Some(claim) = &self.claim {
            claim.set_applied();
        }
    }

    /// An interface could not do what the guest asked of it.
    pub fn fault(&self, interface: &str, error: &impl Display) {
        if let Some(faults) = &self.faults {
            faults.note(format!("{interface}: {error}"));
        }
    }

    /// Counts one call of the guest to the host; past the limit it is a trap.
    /// Every method of a capability begins with it.
    pub fn host_call(&self) -> wasmtime::Result<()> {
        if self.host_calls.fetch_add(1, Relaxed) >= self.host_calls_max {
            return Err(wasmtime::Error::new(HostCallsExhausted(
                self.host_calls_max,
            )));
        }
        Ok(())
    }
}
