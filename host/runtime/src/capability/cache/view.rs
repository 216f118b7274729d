//! The interface's functions, on what a call borrows.

use std::sync::Arc;

use wasmtime::component::Resource;

use super::flight::ComputeLease;
use super::memory::{CacheKey, Stored};
use super::share::{self, Began};
use super::shared_look_up::SharedLookUp;
use super::{
    Entry, Error, Found, GuestError, Host, HostLease, LeaseHandle, LeaseState, Options, Scope,
    View, convert_error,
};
use crate::capability::GuestResult;
use crate::capability::call::Cached;
use hearth_base::telemetry::{Span, SpanKind};

impl Host for View<'_> {
    async fn get(&mut self, key: String, scope: Scope) -> wasmtime::Result<Option<Entry>> {
        self.call.host_call()?;
        self.began();
        if self.check_key(&key).is_err() {
            return Ok(None);
        }
        let span = self.call.trace.span("cache get", SpanKind::Internal);
        let (stored, second) = self.lent.share.get(&self.key(&key), scope).await;
        let found = match stored {
            Some(_) => Cached::Hit,
            None => Cached::Miss,
        };
        self.note(scope, found, second, span);
        Ok(stored.map(|stored| entry(&stored)))
    }

    async fn set(
        &mut self,
        key: String,
        value: Vec<u8>,
        options: Options,
    ) -> GuestResult<(), GuestError> {
        self.call.host_call()?;
        let began = self.began();
        let _span = self.call.trace.span("cache set", SpanKind::Internal);
        let put = self.lent.share.put(self.key(&key), value, options, began);
        Ok(put.map(|_| ()).map_err(convert_error))
    }

    async fn delete(&mut self, key: String) -> wasmtime::Result<()> {
        self.call.host_call()?;
        self.began();
        if self.check_key(&key).is_ok() {
            self.state.began = Some(self.lent.share.delete(&self.key(&key)));
        }
        Ok(())
    }

    async fn invalidate_tag(&mut self, tag: String) -> wasmtime::Result<()> {
        self.call.host_call()?;
        let config = &self.lent.share.config;
        if config.check_name("tag", &tag, config.tag_bytes_max).is_ok() {
            let customer = self.call.customer.as_deref();
            // What the call sets from now on is newer than its own invalidation.
            self.state.began = Some(self.lent.share.invalidate_tag(customer, &tag));
        }
        Ok(())
    }

    async fn lookup(&mut self, key: String, scope: Scope) -> wasmtime::Result<Found> {
        self.call.host_call()?;
        self.began();
        if let Err(error) = self.check_key(&key) {
            return Ok(Found::Miss(self.hold(LeaseState::Refused(error))?));
        }
        let lent = self.lent;
        let caller = *self.state.caller.get_or_insert_with(|| lent.caller());
        let key = self.key(&key);
        let span = self.call.trace.span("cache lookup", SpanKind::Internal);
        let (found, second) = lent.share.lookup(key, caller, scope).await;
        let cached = match &found {
            share::LookUp::Hit(_) => Cached::Hit,
            share::LookUp::Stale(..) => Cached::Stale,
            share::LookUp::Miss(_) => Cached::Miss,
        };
        self.note(scope, cached, second, span);
        let found = match found {
            share::LookUp::Hit(stored) => Found::Hit(entry(&stored)),
            share::LookUp::Stale(stored, None) => Found::Stale((entry(&stored), None)),
            share::LookUp::Stale(stored, Some(lease)) => Found::Stale((
                entry(&stored),
                Some(self.hold(LeaseState::Lease(Some(lease)))?),
            )),
            share::LookUp::Miss(lease) => Found::Miss(self.hold(LeaseState::Lease(Some(lease)))?),
        };
        Ok(found)
    }
}

impl HostLease for View<'_> {
    async fn fulfil(
        &mut self,
        this: Resource<LeaseHandle>,
        value: Vec<u8>,
        options: Options,
    ) -> GuestResult<(), GuestError> {
        self.call.host_call()?;
        let number = self.table.get(&this)?.number;
        let fulfilled = match self.state.leases.get_mut(&number) {
            Some(LeaseState::Lease(lease)) => ComputeLease::fulfil(lease, value, options),
            Some(LeaseState::Refused(error)) => Err(error.clone()),
            None => Err(Error::Invalid(
                "the lease has expired: the call that took it has ended".into(),
            )),
        };
        Ok(fulfilled.map_err(convert_error))
    }

    async fn drop(&mut self, this: Resource<LeaseHandle>) -> wasmtime::Result<()> {
        let number = self.table.delete(this)?.number;
        self.state.leases.remove(&number);
        Ok(())
    }
}

impl View<'_> {
    /// The customer comes from the host; the guest cannot name one.
    fn key(&self, name: &str) -> CacheKey {
        CacheKey {
            customer: self.call.customer.clone(),
            name: Arc::from(name),
        }
    }

    fn check_key(&self, key: &str) -> Result<(), Error> {
        let config = &self.lent.share.config;
        config.check_name("key", key, config.key_bytes_max)
    }

    /// What a host keeps for itself is no matter of the client's.
    fn note(&self, scope: Scope, found: Cached, second: SharedLookUp, mut span: Span) {
        span.text("hearth.cache.found", found.name());
        if second == SharedLookUp::Served {
            span.text("hearth.cache.tier", "shared");
        }
        if scope == Scope::Shared {
            let (shared, away) = (second == SharedLookUp::Served, second == SharedLookUp::Away);
            self.call.lookups.note(found, shared, away);
        }
    }

    fn began(&mut self) -> Began {
        let now = || self.lent.share.now();
        *self.state.began.get_or_insert_with(now)
    }

    fn hold(&mut self, held: LeaseState) -> wasmtime::Result<Resource<LeaseHandle>> {
        let number = self.state.leased;
        let handle = self.table.push(LeaseHandle { number })?;
        self.state.leased += 1;
        self.state.leases.insert(number, held);
        Ok(handle)
    }
}

fn entry(stored: &Stored) -> Entry {
    Entry {
        value: stored.value.clone(),
        age_ms: u64::try_from(stored.age().as_millis()).unwrap_or(u64::MAX),
    }
}
