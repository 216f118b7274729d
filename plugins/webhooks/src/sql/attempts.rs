//! The statements of attempts and their statistics.

use hearth_plugin::prelude::*;

row! {
    /// An attempt of a page, and how many the page would have had if long answers
    /// did not shorten it.
    pub struct Listed {
        id: String,
        event_id: String,
        endpoint_id: String,
        number: i64,
        started_at: Timestamp,
        duration_ms: i64,
        outcome: String,
        status: Option<i64>,
        error: Option<String>,
        note: Option<String>,
        url: Option<String>,
        request_headers: Option<Json>,
        response: Vec<u8>,
        fetched: i64,
    }

    /// When an endpoint took an event last.
    pub struct Latest { delivered_at: Option<Timestamp> }

    /// How an endpoint fares.
    pub struct Sums {
        delivered: i64,
        failed: i64,
        duration_ms_sum: i64,
        duration_ms_max: i64,
        pending: i64,
        dead: i64,
        last_success_at: Option<Timestamp>,
        failing_since: Option<Timestamp>,
        paused_until: Option<Timestamp>,
    }
}

sql! {
    /// Keeps an attempt. Its number is the next one, for it is written before the
    /// delivery counts it.
    pub write fn insert_attempt(
        id: &str,
        event_id: &str,
        endpoint_id: &str,
        started_at: Timestamp,
        duration_ms: i64,
        outcome: &str,
        status: Option<i64>,
        error: Option<&str>,
        note: Option<&str>,
        url: &str,
        request_headers: &Json,
        response: &[u8],
    ) -> u64 =
        "INSERT INTO attempts (id, event_id, endpoint_id, number, started_at, duration_ms, \
         outcome, status, error, note, url, request_headers, response) \
         SELECT $1, event_id, endpoint_id, attempts + 1, $4, $5, $6, $7, $8, $9, $10, $11, $12 \
         FROM deliveries WHERE event_id = $2 AND endpoint_id = $3";

    /// Counts an attempt in one of the hour's parts.
    pub write fn count_attempt(
        endpoint_id: &str,
        hour: Timestamp,
        part: i64,
        delivered: i64,
        failed: i64,
        duration_ms: i64,
        delivered_at: Option<Timestamp>,
    ) -> u64 =
        "INSERT INTO attempt_counts AS counts (endpoint_id, hour, part, delivered, failed, \
         duration_ms_sum, duration_ms_max, last_delivered_at) \
         SELECT endpoints.id, $2, $3, $4, $5, $6, $6, $7 \
         FROM endpoints WHERE endpoints.id = $1 \
         ON CONFLICT (customer_id, endpoint_id, hour, part) DO UPDATE SET \
         delivered = counts.delivered + excluded.delivered, \
         failed = counts.failed + excluded.failed, \
         duration_ms_sum = counts.duration_ms_sum + excluded.duration_ms_sum, \
         duration_ms_max = greatest(counts.duration_ms_max, excluded.duration_ms_max), \
         last_delivered_at = greatest(counts.last_delivered_at, excluded.last_delivered_at)";

    /// When an endpoint took an event last, since that hour.
    pub read fn latest(endpoint_id: &str, since: Timestamp) -> Latest =
        "SELECT max(last_delivered_at) AS delivered_at FROM attempt_counts \
         WHERE endpoint_id = $1 AND hour >= $2";

    /// A page of an event's attempts, the newest first, cut where the answers pass a
    /// megabyte: as JSON each byte may become six, and a response holds eight, of which
    /// a hundred URLs with their headers take half of one.
    pub read fn attempts_of_event(event_id: &str, before: &str, limit: i64) -> Vec<Listed> =
        "SELECT id, event_id, endpoint_id, number, started_at, duration_ms, outcome, status, \
         error, note, url, request_headers, response, fetched FROM ( \
         SELECT id, event_id, endpoint_id, number, started_at, duration_ms, outcome, status, \
         error, note, url, request_headers, response, count(*) OVER () AS fetched, \
         sum(octet_length(response)) OVER (ORDER BY id DESC) AS bytes FROM ( \
         SELECT id, event_id, endpoint_id, number, started_at, duration_ms, outcome, status, \
         error, note, url, request_headers, response FROM attempts WHERE event_id = $1 AND id < $2 \
         ORDER BY id DESC LIMIT $3) AS page) AS measured \
         WHERE bytes <= 1000000 ORDER BY id DESC";

    /// The same of an endpoint, of all attempts or of those that succeeded or failed.
    pub read fn attempts_of_endpoint(
        endpoint_id: &str,
        delivered: Option<bool>,
        before: &str,
        limit: i64,
    ) -> Vec<Listed> =
        "SELECT id, event_id, endpoint_id, number, started_at, duration_ms, outcome, status, \
         error, note, url, request_headers, response, fetched FROM ( \
         SELECT id, event_id, endpoint_id, number, started_at, duration_ms, outcome, status, \
         error, note, url, request_headers, response, count(*) OVER () AS fetched, \
         sum(octet_length(response)) OVER (ORDER BY id DESC) AS bytes FROM ( \
         SELECT id, event_id, endpoint_id, number, started_at, duration_ms, outcome, status, \
         error, note, url, request_headers, response FROM attempts WHERE endpoint_id = $1 AND id < $3 \
         AND ($2::boolean IS NULL OR (outcome = 'delivered') = $2) \
         ORDER BY id DESC LIMIT $4) AS page) AS measured \
         WHERE bytes <= 1000000 ORDER BY id DESC";

    /// The sums since an hour, and how many deliveries wait and failed for good, each
    /// counted to 10,001.
    pub read fn sums(endpoint_id: &str, since: Timestamp) -> Sums =
        "SELECT coalesce(hours.delivered, 0) AS delivered, coalesce(hours.failed, 0) AS failed, \
         coalesce(hours.duration_ms_sum, 0) AS duration_ms_sum, \
         coalesce(hours.duration_ms_max, 0) AS duration_ms_max, \
         (SELECT count(*) FROM (SELECT 1 AS one FROM deliveries WHERE endpoint_id = $1 \
         AND ended_at IS NULL LIMIT 10001) AS pending) AS pending, \
         (SELECT count(*) FROM (SELECT 1 AS one FROM deliveries WHERE endpoint_id = $1 \
         AND status = 'failed' LIMIT 10001) AS dead) AS dead, \
         greatest(health.last_success_at, (SELECT max(last_delivered_at) FROM attempt_counts \
         WHERE endpoint_id = $1 AND hour = (SELECT hour FROM attempt_counts \
         WHERE endpoint_id = $1 AND delivered > 0 ORDER BY hour DESC LIMIT 1))) \
         AS last_success_at, health.failing_since, health.paused_until \
         FROM endpoint_health AS health CROSS JOIN ( \
         SELECT sum(delivered)::bigint AS delivered, sum(failed)::bigint AS failed, \
         sum(duration_ms_sum)::bigint AS duration_ms_sum, \
         max(duration_ms_max) AS duration_ms_max FROM ( \
         SELECT delivered, failed, duration_ms_sum, duration_ms_max FROM attempt_hours \
         WHERE endpoint_id = $1 AND hour >= $2 \
         UNION ALL SELECT delivered, failed, duration_ms_sum, duration_ms_max \
         FROM attempt_counts WHERE endpoint_id = $1 AND hour >= $2) AS counted) AS hours \
         WHERE health.endpoint_id = $1";

    pub write fn forget_hours(before: Timestamp) -> u64 =
        "DELETE FROM attempt_hours WHERE hour < $1";

    pub write fn forget_counts(before: Timestamp) -> u64 =
        "DELETE FROM attempt_counts WHERE hour < $1";
}
