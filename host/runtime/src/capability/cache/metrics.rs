//! The cache's handles.

use metrics::{Counter, Gauge, Histogram};

use super::{
    CACHE_LOOKUPS, CACHE_SHARED_ERRORS, CACHE_SHARED_LOOKS, CACHE_SHARED_SECONDS,
    CACHE_SHARED_WRITES, HostMetrics,
};

/// The metrics of one plugin's cache.
#[derive(Clone)]
pub struct CacheMetrics {
    pub hits: Counter,
    pub misses: Counter,
    pub stale: Counter,
    /// Values that another host had computed.
    pub shared: Counter,
    pub shared_hits: Counter,
    pub shared_misses: Counter,
    /// Found in the shared tier, and declared stale or over since.
    pub shared_stale: Counter,
    pub coalesced: Counter,
    pub invalidations: Counter,
    pub bytes: Gauge,
}

/// The metrics of the cache's shared tier.
pub struct SharedCacheMetrics {
    /// It failed, or took too long.
    pub look_errors: Counter,
    /// It was not asked, as it is unavailable.
    pub looks_refused: Counter,
    /// It held what no host of this fleet sealed under that name.
    pub looks_forged: Counter,
    pub writes: Counter,
    pub write_errors: Counter,
    pub writes_refused: Counter,
    /// There was no room to wait in.
    pub writes_dropped: Counter,
    pub writes_too_large: Counter,
    pub look_seconds: Histogram,
    pub write_seconds: Histogram,
    /// 1 while it is not asked.
    pub away: Gauge,
}

impl HostMetrics {
    /// The metrics of one plugin's cache. Take them once.
    pub fn plugin_cache(&self, plugin: &str) -> CacheMetrics {
        let named = |name| self.metrics.counter(name, &[("plugin", plugin)]);
        let outcome = |outcome| {
            let labels = [("plugin", plugin), ("outcome", outcome)];
            self.metrics.counter(CACHE_LOOKUPS, &labels)
        };
        let look = |outcome| {
            let labels = [("plugin", plugin), ("outcome", outcome)];
            self.metrics.counter(CACHE_SHARED_LOOKS, &labels)
        };
        CacheMetrics {
            hits: outcome("hit"),
            misses: outcome("miss"),
            stale: outcome("stale"),
            shared: outcome("shared"),
            shared_hits: look("hit"),
            shared_misses: look("miss"),
            shared_stale: look("stale"),
            coalesced: named("hearth_cache_coalesced_total"),
            invalidations: named("hearth_cache_invalidations_total"),
            bytes: self
                .metrics
                .gauge("hearth_cache_bytes", &[("plugin", plugin)]),
        }
    }

    /// The metrics of the cache's shared tier. Take them once.
    pub fn shared_cache(&self) -> SharedCacheMetrics {
        let error = |reason| {
            let labels = [("reason", reason)];
            self.metrics.counter(CACHE_SHARED_ERRORS, &labels)
        };
        let write = |outcome| {
            let labels = [("outcome", outcome)];
            self.metrics.counter(CACHE_SHARED_WRITES, &labels)
        };
        let seconds = |operation| {
            let labels = [("operation", operation)];
            self.metrics.histogram(CACHE_SHARED_SECONDS, &labels)
        };
        SharedCacheMetrics {
            look_errors: error("failed"),
            looks_refused: error("unavailable"),
            looks_forged: error("forged"),
            writes: write("written"),
            write_errors: write("failed"),
            writes_refused: write("unavailable"),
            writes_dropped: write("dropped"),
            writes_too_large: write("too_large"),
            look_seconds: seconds("look"),
            write_seconds: seconds("write"),
            away: self.metrics.gauge("hearth_cache_shared_unavailable", &[]),
        }
    }
}
