//! The statements of deliveries.

use hearth_plugin::prelude::*;

use super::endpoints::Count;

row! {
    /// What a worker has to know of a delivery, of its endpoint, and of what else is
    /// under way: to its endpoint, to all endpoints of the customer, and to those of
    /// them that do not fare well.
    pub struct DeliveryState {
        enabled: bool,
        ordered: bool,
        rate_per_second: Option<i64>,
        last_success_at: Option<Timestamp>,
        failing_since: Option<Timestamp>,
        slow: i64,
        paused_until: Option<Timestamp>,
        throttles: i64,
        claims: i64,
        status: String,
        round: i64,
        due_at: Timestamp,
        has_slot: bool,
        leased_until: Option<Timestamp>,
        to_endpoint: i64,
        to_customer: i64,
        to_unproven: i64,
        has_line: bool,
    }

    /// A delivery that is leased now.
    pub struct Taken { tries: i64, attempts: i64 }

    /// An instant of an endpoint's rate.
    pub struct Slot { at: Timestamp }

    /// The first of an endpoint's line, which is leased now.
    pub struct Next { event_id: String, round: i64, tries: i64, attempts: i64 }

    /// Since when an endpoint fails.
    pub struct Failing { failing_since: Timestamp }

    /// What an attempt sends, and where to.
    pub struct Parcel {
        r#type: String,
        body: String,
        url: String,
        headers: Vec<u8>,
    }

    /// A delivery in the answer that shows its event.
    pub struct Shown {
        endpoint_id: String,
        status: String,
        attempts: i64,
        due_at: Timestamp,
        last_status: Option<i64>,
        last_error: Option<String>,
        ended_at: Option<Timestamp>,
    }

    /// A delivery that failed for good.
    pub struct Dead {
        event_id: String,
        endpoint_id: String,
        r#type: String,
        attempts: i64,
        last_status: Option<i64>,
        last_error: Option<String>,
        created_at: Timestamp,
        failed_at: Timestamp,
    }
}

/// Takes a place of an endpoint, if it was free when the claims were so many. Where
/// another one takes one just now there is none, and nobody waits.
macro_rules! place {
    ($endpoint:literal, $claims:literal) => {
        concat!(
            "UPDATE endpoint_health SET claims = claims + 1 WHERE endpoint_id = \
             (SELECT endpoint_id FROM endpoint_health WHERE endpoint_id = ",
            $endpoint,
            " AND claims = ",
            $claims,
            " FOR UPDATE SKIP LOCKED) RETURNING endpoint_id"
        )
    };
}

/// The first of the line of the endpoint $1 that nobody has at the time $2, where
/// nothing is amiss with the endpoint, and it asked for neither order nor rate. What
/// somebody took along whose lease has ended is in line again.
macro_rules! first {
    () => {
        "SELECT first.event_id FROM deliveries AS first \
         WHERE first.endpoint_id = $1 AND first.in_line AND first.status = 'pending' \
         AND (first.leased_until IS NULL OR first.leased_until <= $2) \
         AND EXISTS (SELECT FROM endpoints JOIN endpoint_health AS health \
         ON health.endpoint_id = endpoints.id WHERE endpoints.id = $1 \
         AND endpoints.enabled AND endpoints.deleted_at IS NULL AND NOT endpoints.ordered \
         AND endpoints.rate_per_second IS NULL AND health.failing_since IS NULL \
         AND health.slow = 0 AND (health.paused_until IS NULL OR health.paused_until <= $2)) \
         ORDER BY first.created_at, first.event_id LIMIT 1 FOR UPDATE OF first SKIP LOCKED"
    };
}

sql! {
    /// Endpoints that are gone by now get none.
    pub write fn insert_deliveries(event_id: &str, endpoint_ids: &[String], now: Timestamp) -> u64 =
        "INSERT INTO deliveries (event_id, endpoint_id, due_at, created_at) \
         SELECT $1, id, $3, $3 FROM endpoints WHERE id = ANY ($2) AND deleted_at IS NULL";

    /// Locks nothing: thousands may ask at once. What is under way is few rows of many,
    /// and is found by its own index whatever the planner believes.
    pub read fn delivery_state(event_id: &str, endpoint_id: &str, now: Timestamp) -> Option<DeliveryState> =
        "WITH busy AS MATERIALIZED (SELECT endpoint_id FROM deliveries WHERE leased_until > $3) \
         SELECT endpoints.enabled AND endpoints.deleted_at IS NULL AS enabled, \
         endpoints.ordered, endpoints.rate_per_second, health.last_success_at, \
         health.failing_since, health.slow, health.paused_until, health.throttles, \
         health.claims, \
         own.status, own.round, own.due_at, own.has_slot, own.leased_until, \
         (SELECT count(*) FROM busy WHERE busy.endpoint_id = $2) AS to_endpoint, \
         (SELECT count(*) FROM busy) AS to_customer, \
         (SELECT count(*) FROM busy \
         JOIN endpoint_health AS theirs ON theirs.endpoint_id = busy.endpoint_id \
         WHERE theirs.failing_since IS NOT NULL \
         OR theirs.last_success_at IS NULL OR theirs.slow > 0) AS to_unproven, \
         EXISTS (SELECT FROM deliveries AS other WHERE other.endpoint_id = $2 AND other.in_line \
         AND (other.leased_until IS NULL OR other.leased_until <= $3)) AS has_line \
         FROM deliveries AS own JOIN endpoints ON endpoints.id = own.endpoint_id \
         JOIN endpoint_health AS health ON health.endpoint_id = own.endpoint_id \
         WHERE own.event_id = $1 AND own.endpoint_id = $2";

    /// Leases a delivery that is due and that nobody else has, in a place of its endpoint
    /// that was free at that count of claims.
    pub write fn lease(
        event_id: &str,
        endpoint_id: &str,
        round: i64,
        now: Timestamp,
        until: Timestamp,
        claims: i64,
    ) -> Option<Taken> = concat!(
        "WITH place AS (", place!("$2", "$6"), ") \
         UPDATE deliveries SET leased_until = $5, in_line = true FROM place \
         WHERE deliveries.event_id = $1 AND deliveries.endpoint_id = $2 \
         AND deliveries.round = $3 AND deliveries.status = 'pending' \
         AND deliveries.due_at <= $4 \
         AND (deliveries.leased_until IS NULL OR deliveries.leased_until <= $4) \
         RETURNING deliveries.tries, deliveries.attempts");

    /// Leases the first of an endpoint's line, in a place that was free at that count of
    /// claims.
    pub write fn lease_first(
        endpoint_id: &str,
        now: Timestamp,
        until: Timestamp,
        claims: i64,
    ) -> Option<Next> = concat!(
        "WITH place AS (", place!("$1", "$4"), ") \
         UPDATE deliveries SET leased_until = $3 FROM place \
         WHERE deliveries.endpoint_id = $1 \
         AND deliveries.event_id = (", first!(), ") \
         RETURNING deliveries.event_id, deliveries.round, deliveries.tries, \
         deliveries.attempts");

    /// Leases the first of an endpoint's line in the place of whoever ends now.
    pub write fn lease_next(endpoint_id: &str, now: Timestamp, until: Timestamp) -> Option<Next> =
        concat!(
        "UPDATE deliveries SET leased_until = $3 \
         WHERE endpoint_id = $1 AND event_id = (", first!(), ") \
         RETURNING event_id, round, tries, attempts");

    /// How many are in an endpoint's line, up to a thousand.
    pub read fn line(endpoint_id: &str) -> Count =
        "SELECT count(*) AS count FROM (SELECT FROM deliveries \
         WHERE endpoint_id = $1 AND in_line LIMIT 1000) AS line";

    /// Takes the next instant that an endpoint's rate leaves free: each is so long
    /// after the one before.
    pub write fn take_slot(endpoint_id: &str, now: Timestamp, micros: i64) -> Option<Slot> =
        "UPDATE endpoint_health SET rate_free_at = greatest(coalesce(rate_free_at, $2), $2) \
         + $3::bigint * interval '1 microsecond' WHERE endpoint_id = $1 \
         RETURNING rate_free_at - $3::bigint * interval '1 microsecond' AS at";

    /// Says when a delivery shall come again that nobody has taken along meanwhile.
    pub write fn postpone(
        event_id: &str,
        endpoint_id: &str,
        round: i64,
        now: Timestamp,
        due_at: Timestamp,
        has_slot: bool,
    ) -> u64 =
        "UPDATE deliveries SET leased_until = NULL, due_at = $5, has_slot = $6, in_line = NOT $6 \
         WHERE event_id = $1 AND endpoint_id = $2 AND round = $3 AND status = 'pending' \
         AND (leased_until IS NULL OR leased_until <= $4)";

    /// Gives a lease back and says when to come again.
    pub write fn give_back(
        event_id: &str,
        endpoint_id: &str,
        round: i64,
        due_at: Timestamp,
        in_line: bool,
    ) -> u64 =
        "UPDATE deliveries SET leased_until = NULL, due_at = $4, has_slot = false, in_line = $5 \
         WHERE event_id = $1 AND endpoint_id = $2 AND round = $3";

    /// Nothing more of this round goes to its endpoint.
    pub write fn stop_delivery(
        event_id: &str,
        endpoint_id: &str,
        round: i64,
        now: Timestamp,
    ) -> u64 =
        "UPDATE deliveries SET status = 'stopped', leased_until = NULL, in_line = false, \
         ended_at = $4 WHERE event_id = $1 AND endpoint_id = $2 AND round = $3 \
         AND status = 'pending'";

    pub read fn parcel(event_id: &str, endpoint_id: &str) -> Option<Parcel> =
        "SELECT events.type, events.body, endpoints.url, endpoints.headers \
         FROM events CROSS JOIN endpoints WHERE events.id = $1 AND endpoints.id = $2";

    /// Writes what an attempt came to, if the round is still the same: the tries it has
    /// now, and the end of it or the next one.
    pub write fn settle(
        event_id: &str,
        endpoint_id: &str,
        round: i64,
        status: &str,
        due_at: Timestamp,
        last_status: Option<i64>,
        last_error: Option<&str>,
        ended_at: Option<Timestamp>,
        tries: i64,
    ) -> u64 =
        "UPDATE deliveries SET status = CASE WHEN round = $3 THEN $4 ELSE status END, \
         due_at = CASE WHEN round = $3 THEN $5 ELSE due_at END, \
         ended_at = CASE WHEN round = $3 THEN $8 ELSE ended_at END, \
         tries = CASE WHEN round = $3 THEN $9 ELSE tries END, \
         attempts = attempts + 1, last_status = $6, last_error = $7, leased_until = NULL, \
         has_slot = false, in_line = false WHERE event_id = $1 AND endpoint_id = $2";

    /// What a success says of an endpoint; nothing is written where all was well. One
    /// that was under way when the endpoint asked for rest lifts none.
    pub write fn note_success(
        endpoint_id: &str,
        now: Timestamp,
        slow: i64,
        started_at: Timestamp,
    ) -> u64 =
        "UPDATE endpoint_health SET failing_since = NULL, slow = $3, \
         throttles = CASE WHEN throttled_at > $4 THEN throttles ELSE 0 END, \
         paused_until = CASE WHEN throttled_at > $4 THEN paused_until END, \
         last_success_at = coalesce(last_success_at, $2) \
         WHERE endpoint_id = $1 AND (failing_since IS NOT NULL OR slow <> $3 \
         OR paused_until IS NOT NULL OR throttles > 0 OR last_success_at IS NULL)";

    /// What a failure says of it, and since when it fails. Those that were under way
    /// together when it asked for rest say so once: each has the same count.
    pub write fn note_failure(
        endpoint_id: &str,
        now: Timestamp,
        slow: i64,
        paused_until: Option<Timestamp>,
        throttles: i64,
    ) -> Option<Failing> =
        "UPDATE endpoint_health SET failing_since = coalesce(failing_since, $2), slow = $3, \
         paused_until = greatest(paused_until, $4), \
         throttled_at = CASE WHEN $5::bigint > 0 THEN $2 ELSE throttled_at END, \
         throttles = greatest(throttles, $5) WHERE endpoint_id = $1 \
         RETURNING coalesce(failing_since, $2) AS failing_since";

    pub read fn deliveries_of(event_id: &str) -> Vec<Shown> =
        "SELECT endpoint_id, status, attempts, due_at, last_status, last_error, ended_at \
         FROM deliveries WHERE event_id = $1 ORDER BY endpoint_id";

    pub read fn dead_before(
        before: Timestamp,
        event_id: &str,
        endpoint_id: &str,
        limit: i64,
    ) -> Vec<Dead> =
        "SELECT event_id, endpoint_id, events.type, attempts, last_status, last_error, \
         deliveries.created_at, deliveries.ended_at AS failed_at \
         FROM deliveries CROSS JOIN LATERAL (SELECT type FROM events \
         WHERE events.id = deliveries.event_id LIMIT 1) AS events \
         WHERE deliveries.status = 'failed' \
         AND (deliveries.ended_at, deliveries.event_id, deliveries.endpoint_id) < ($1, $2, $3) \
         ORDER BY deliveries.ended_at DESC, deliveries.event_id DESC, \
         deliveries.endpoint_id DESC LIMIT $4";

    pub read fn dead_of_endpoint_before(
        endpoint: &str,
        before: Timestamp,
        event_id: &str,
        endpoint_id: &str,
        limit: i64,
    ) -> Vec<Dead> =
        "SELECT event_id, endpoint_id, events.type, attempts, last_status, last_error, \
         deliveries.created_at, deliveries.ended_at AS failed_at \
         FROM deliveries CROSS JOIN LATERAL (SELECT type FROM events \
         WHERE events.id = deliveries.event_id LIMIT 1) AS events \
         WHERE deliveries.status = 'failed' AND deliveries.endpoint_id = $1 \
         AND (deliveries.ended_at, deliveries.event_id, deliveries.endpoint_id) < ($2, $3, $4) \
         ORDER BY deliveries.ended_at DESC, deliveries.event_id DESC, \
         deliveries.endpoint_id DESC LIMIT $5";
}
