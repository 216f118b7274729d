//! The statements of deliveries that are started again, or earlier than scheduled.

use hearth_plugin::prelude::*;

row! {
    /// A delivery that may be begun anew.
    #[derive(Clone, Debug, PartialEq)]
    pub struct Candidate {
        event_id: String,
        endpoint_id: String,
        created_at: Timestamp,
    }

    /// An endpoint that wants its events in order.
    pub struct Ordered { id: String }

    /// A delivery that was begun anew.
    pub struct Begun {
        event_id: String,
        endpoint_id: String,
        round: i64,
        created_at: Timestamp,
        ordered: bool,
    }
}

/// Of the endpoint $1 the first page of those deliveries whose events are of the time
/// from $2 to $3, and behind the place of $4 and $5.
macro_rules! oldest {
    ($of:literal) => {
        concat!(
            "(SELECT event_id, endpoint_id, created_at FROM deliveries \
             WHERE endpoint_id = $1 AND created_at >= $2 AND created_at < $3 \
             AND (created_at, event_id) > ($4, $5) AND ",
            $of,
            " ORDER BY created_at, event_id LIMIT 90)"
        )
    };
}

/// The first delivery that an ordered endpoint $1 waits for at the time $2.
macro_rules! waiting {
    ($of:literal) => {
        concat!(
            "(SELECT own.event_id FROM deliveries AS own \
             WHERE own.endpoint_id = $1 AND own.status = 'pending' AND own.",
            $of,
            " AND own.due_at > $2 AND (own.leased_until IS NULL OR own.leased_until <= $2) \
             ORDER BY own.created_at, own.event_id LIMIT 1)"
        )
    };
}

sql! {
    /// A page of an endpoint's deliveries that failed, stopped or are scheduled for
    /// later, the oldest event first.
    pub read fn undelivered(
        endpoint_id: &str,
        since: Timestamp,
        until: Timestamp,
        after: Timestamp,
        after_id: &str,
        now: Timestamp,
    ) -> Vec<Candidate> = concat!(
        "SELECT event_id, endpoint_id, created_at FROM (",
        oldest!("status IN ('failed', 'stopped')"), " UNION ALL ",
        oldest!("status = 'pending' AND attempts > 0 AND NOT in_line AND due_at > $6"),
        " UNION ALL ",
        oldest!("status = 'pending' AND in_line AND due_at > $6 \
            AND (leased_until IS NULL OR leased_until <= $6)"),
        ") AS missing ORDER BY created_at, event_id LIMIT 90");

    /// A page of dead letters, of one endpoint or all, of some events or all, by when
    /// they failed.
    pub read fn dead(
        endpoint: Option<&str>,
        event_ids: Option<&[String]>,
        until: Timestamp,
        after: Timestamp,
        event_id: &str,
        endpoint_id: &str,
    ) -> Vec<Candidate> =
        "SELECT event_id, endpoint_id, ended_at AS created_at FROM deliveries \
         WHERE status = 'failed' AND ($1::text IS NULL OR endpoint_id = $1) \
         AND ($2::text[] IS NULL OR event_id = ANY ($2)) \
         AND ended_at < $3 AND (ended_at, event_id, endpoint_id) > ($4, $5, $6) \
         ORDER BY ended_at, event_id, endpoint_id LIMIT 90";

    /// Those of the endpoints that want their events in order.
    pub read fn ordered_of(endpoint_ids: &[String]) -> Vec<Ordered> =
        "SELECT id FROM endpoints WHERE id = ANY ($1) AND ordered AND deleted_at IS NULL";

    /// Lets an ordered endpoint have now what it waits for.
    pub write fn hasten(endpoint_id: &str, now: Timestamp) -> u64 = concat!(
        "UPDATE deliveries SET due_at = $2 WHERE endpoint_id = $1 AND event_id = coalesce(",
        waiting!("in_line"), ", ", waiting!("attempts > 0 AND NOT own.in_line"), ")");

    /// Begins deliveries that nobody attempted and that had no message until now.
    pub write fn begin_first(event_id: &str, endpoint_ids: &[String]) -> Vec<Begun> =
        "UPDATE deliveries SET round = 2 FROM endpoints \
         WHERE deliveries.event_id = $1 AND deliveries.endpoint_id = ANY ($2) \
         AND deliveries.round = 1 AND endpoints.id = deliveries.endpoint_id \
         RETURNING deliveries.event_id, deliveries.endpoint_id, deliveries.round, \
         deliveries.created_at, endpoints.ordered";

    /// Begins deliveries anew, or for the first time, to endpoints that are enabled.
    /// What an ordered endpoint waits for keeps its place in the order. With
    /// `only_missing` those that were delivered, are under way or due stay as they are.
    pub write fn begin_anew(
        event_ids: &[String],
        endpoint_ids: &[String],
        now: Timestamp,
        only_missing: bool,
    ) -> Vec<Begun> =
        "INSERT INTO deliveries (event_id, endpoint_id, due_at, created_at) \
         SELECT events.id, endpoints.id, $3, events.created_at \
         FROM unnest($1::text[], $2::text[]) AS wanted (event_id, endpoint_id) \
         CROSS JOIN LATERAL (SELECT id, created_at FROM events \
         WHERE events.id = wanted.event_id LIMIT 1) AS events \
         CROSS JOIN LATERAL (SELECT id FROM endpoints WHERE endpoints.id = wanted.endpoint_id \
         AND endpoints.enabled AND endpoints.deleted_at IS NULL LIMIT 1) AS endpoints \
         ON CONFLICT (customer_id, event_id, endpoint_id) DO UPDATE SET status = 'pending', \
         round = deliveries.round + 1, tries = 0, due_at = excluded.due_at, has_slot = false, \
         in_line = false, ended_at = NULL WHERE deliveries.status IN ('failed', 'stopped') \
         OR (deliveries.status = 'delivered' AND NOT $4) \
         OR (deliveries.status = 'pending' AND (NOT $4 OR (deliveries.due_at > $3 \
         AND (deliveries.leased_until IS NULL OR deliveries.leased_until <= $3))) \
         AND NOT (SELECT endpoints.ordered FROM endpoints \
         WHERE endpoints.id = deliveries.endpoint_id)) \
         RETURNING event_id, endpoint_id, round, created_at, \
         (SELECT endpoints.ordered FROM endpoints WHERE endpoints.id = deliveries.endpoint_id) \
         AS ordered";

    /// Begins the schedule of a delivery anew that keeps its place in its endpoint's order.
    pub write fn begin_in_place(event_id: &str, endpoint_id: &str, now: Timestamp) -> u64 =
        "UPDATE deliveries SET tries = 0, due_at = least(due_at, $3) \
         WHERE event_id = $1 AND endpoint_id = $2 AND status = 'pending'";

    /// Deliveries that should have been tried long ago: their messages are lost. One
    /// that waits behind others of its endpoint's order is not among them.
    pub read fn overdue(before: Timestamp) -> Vec<Candidate> =
        "SELECT event_id, endpoint_id, deliveries.created_at FROM deliveries \
         JOIN endpoints ON endpoints.id = deliveries.endpoint_id \
         WHERE deliveries.ended_at IS NULL AND deliveries.due_at < $1 \
         AND (deliveries.leased_until IS NULL OR deliveries.leased_until < $1) \
         AND NOT endpoints.ordered ORDER BY deliveries.due_at LIMIT 90";
}
