//! The metrics of the cache.

use metrics::{Counter, Gauge, Histogram};

use hearth_base::telemetry::HostMetrics;

const LOOKUPS: &str = "hearth_cache_lookups_total";
const COALESCED: &str = "hearth_cache_coalesced_total";
const INVALIDATIONS: &str = "hearth_cache_invalidations_total";
const BYTES: &str = "hearth_cache_bytes";
const SHARED_LOOKS: &str = "hearth_cache_shared_looks_total";
const SHARED_ERRORS: &str = "hearth_cache_shared_errors_total";
const SHARED_WRITES: &str = "hearth_cache_shared_writes_total";
const SHARED_SECONDS: &str = "hearth_cache_shared_seconds";
const SHARED_UNAVAILABLE: &str = "hearth_cache_shared_unavailable";

const COUNTERS: [(&str, &str); 6] = [
    (LOOKUPS, "Cache lookups, by plugin and outcome."),
    (
        COALESCED,
        "Cache lookups that waited for another call to compute the value.",
    ),
    (
        INVALIDATIONS,
        "Tags and keys that plugins invalidated on this host.",
    ),
    (
        SHARED_LOOKS,
        "Lookups in the cache's shared tier that it answered, by plugin and outcome; stale: found, \
         but invalidated.",
    ),
    (
        SHARED_ERRORS,
        "Lookups in the cache's shared tier that failed, by reason; forged: not written by this \
         fleet.",
    ),
    (
        SHARED_WRITES,
        "Values for the cache's shared tier, by outcome.",
    ),
];

pub(super) fn describe(host: &HostMetrics) {
    let metrics = host.registry();
    for (name, text) in COUNTERS {
        metrics.describe_counter(name, text);
    }
    metrics.describe_gauge(BYTES, "Bytes in the cache, by plugin.");
    let unavailable = "1 while the cache's shared tier is unavailable.";
    metrics.describe_gauge(SHARED_UNAVAILABLE, unavailable);
    let seconds = "Time of operations of the cache's shared tier.";
    metrics.describe_histogram(SHARED_SECONDS, seconds);
}

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
    pub unavailable: Gauge,
}

impl CacheMetrics {
    /// Take them once, when the plugin is deployed first.
    pub fn new(host: &HostMetrics, plugin: &str) -> CacheMetrics {
        let metrics = host.registry();
        let named = |name| metrics.counter(name, &[("plugin", plugin)]);
        let outcome = |name, outcome| {
            let labels = [("plugin", plugin), ("outcome", outcome)];
            metrics.counter(name, &labels)
        };
        CacheMetrics {
            hits: outcome(LOOKUPS, "hit"),
            misses: outcome(LOOKUPS, "miss"),
            stale: outcome(LOOKUPS, "stale"),
            shared: outcome(LOOKUPS, "shared"),
            shared_hits: outcome(SHARED_LOOKS, "hit"),
            shared_misses: outcome(SHARED_LOOKS, "miss"),
            shared_stale: outcome(SHARED_LOOKS, "stale"),
            coalesced: named(COALESCED),
            invalidations: named(INVALIDATIONS),
            bytes: metrics.gauge(BYTES, &[("plugin", plugin)]),
        }
    }
}

impl SharedCacheMetrics {
    /// Take them once.
    pub fn new(host: &HostMetrics) -> SharedCacheMetrics {
        let metrics = host.registry();
        let error = |reason| metrics.counter(SHARED_ERRORS, &[("reason", reason)]);
        let write = |outcome| metrics.counter(SHARED_WRITES, &[("outcome", outcome)]);
        let seconds = |operation| metrics.histogram(SHARED_SECONDS, &[("operation", operation)]);
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
            unavailable: metrics.gauge(SHARED_UNAVAILABLE, &[]),
        }
    }
}
