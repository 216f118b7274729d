//! The cached answers, with limits in bytes for all of them and for each customer.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{AGE, HeaderName, HeaderValue};
use http::{HeaderMap, Response, StatusCode};
use http_body_util::Full;
use moka::notification::RemovalCause;

use super::key::Key;
use super::{Config, WholeAnswer};
use crate::edge::x_cache::X_CACHE;
use hearth_base::budget::{self, Entries};
use hearth_runtime::capability::cache::{Moment, TagHash};

/// From here on a body is large.
const LARGE_BYTES: usize = 64 << 10;

/// An answer as it is kept.
pub(super) struct CachedAnswer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    pub(super) at: Instant,
    pub(super) ttl: Duration,
    pub(super) began: Moment,
    pub(super) tags: Vec<TagHash>,
}

/// The answers of all plugins.
pub(super) struct Answers {
    kept: moka::sync::Cache<Arc<Key>, Arc<CachedAnswer>>,
    holdings: Arc<Entries<Arc<Key>>>,
}

impl Answers {
    pub(super) fn new(config: &Config) -> Answers {
        let share = budget::share(config.bytes_max, config.customer_percent_max);
        let holdings: Arc<Entries<Arc<Key>>> = Arc::new(Entries::new(share));
        let known = holdings.clone();
        let gone = move |key: Arc<Arc<Key>>, kept: Arc<CachedAnswer>, cause: RemovalCause| {
            if cause != RemovalCause::Replaced {
                known.remove(key.customer(), &key, &kept);
            }
        };
        let kept = moka::sync::Cache::builder()
            .max_capacity(config.bytes_max as u64)
            .weigher(weigh)
            .expire_after(Lifetime)
            .eviction_listener(gone)
            .build();
        Answers { kept, holdings }
    }

    pub(super) fn get(&self, key: &Arc<Key>) -> Option<Arc<CachedAnswer>> {
        self.kept.get(key)
    }

    pub(super) fn insert(&self, key: &Arc<Key>, kept: CachedAnswer) {
        let (kept, customer) = (Arc::new(kept), key.customer());
        self.kept.insert(key.clone(), kept.clone());
        let bytes = weigh(key, &kept) as usize;
        self.holdings.add(customer, key.clone(), &kept, bytes);
        while let Some(oldest) = self.holdings.surplus(customer) {
            self.kept.invalidate(&oldest);
        }
        if kept.body.len() > LARGE_BYTES {
            // moka enforces its bound from time to time, which may be too late.
            self.kept.run_pending_tasks();
        }
    }

    pub(super) fn bytes(&self) -> u64 {
        self.kept.weighted_size()
    }
}

impl CachedAnswer {
    pub(super) fn answer(&self) -> WholeAnswer {
        let mut answer = Response::new(Full::new(self.body.clone()));
        *answer.status_mut() = self.status;
        *answer.headers_mut() = self.headers.clone();
        let headers = answer.headers_mut();
        headers.insert(AGE, HeaderValue::from(self.at.elapsed().as_secs()));
        headers.insert(X_CACHE, HeaderValue::from_static("HIT"));
        answer
    }
}

struct Lifetime;

impl moka::Expiry<Arc<Key>, Arc<CachedAnswer>> for Lifetime {
    fn expire_after_create(
        &self,
        _: &Arc<Key>,
        kept: &Arc<CachedAnswer>,
        _: Instant,
    ) -> Option<Duration> {
        Some(kept.ttl)
    }

    fn expire_after_update(
        &self,
        _: &Arc<Key>,
        kept: &Arc<CachedAnswer>,
        _: Instant,
        _: Option<Duration>,
    ) -> Option<Duration> {
        Some(kept.ttl)
    }
}

/// What an entry costs beside its texts: moka's node, ours, who has it, and the header
/// map.
const OVERHEAD_BYTES: usize = 704;

fn weigh(key: &Arc<Key>, kept: &Arc<CachedAnswer>) -> u32 {
    let header = |(name, value): (&HeaderName, &HeaderValue)| name.as_str().len() + value.len();
    let headers: usize = kept.headers.iter().map(header).sum();
    let tags = std::mem::size_of_val(&*kept.tags);
    let bytes = OVERHEAD_BYTES + key.bytes() + headers + tags + kept.body.len();
    u32::try_from(bytes).unwrap_or(u32::MAX)
}
