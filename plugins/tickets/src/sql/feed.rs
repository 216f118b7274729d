//! The statements of the feed of changes.

use hearth_plugin::prelude::*;

row! {
    /// A ticket as it is now, and the position of its last change. Where it was deleted
    /// there is nothing but its id.
    pub struct Changed {
        position: i64,
        ticket_id: String,
        id: Option<String>,
        version: Option<i64>,
        status: Option<String>,
        priority: Option<String>,
        r#type: Option<String>,
        subject: Option<String>,
        assignee: Option<String>,
        external_id: Option<String>,
        requester: Option<Json>,
        tags: Option<Vec<String>>,
        custom_fields: Option<Json>,
        satisfaction: Option<String>,
        satisfaction_comment: Option<String>,
        merged_into: Option<String>,
        created_at: Option<Timestamp>,
        updated_at: Option<Timestamp>,
        solved_at: Option<Timestamp>,
    }

    /// A ticket with a change that has no position yet.
    pub struct Pending { ticket_id: String }
}

sql! {
    /// Says, in the transaction of the change, that locked tickets changed.
    pub write fn mark_changed(ids: &[String]) -> u64 =
        "INSERT INTO ticket_changes (ticket_id) SELECT id FROM unnest($1::text[]) AS given (id) \
         ON CONFLICT (customer_id, ticket_id) DO UPDATE SET position = NULL";

    pub read fn changes_after(position: i64, limit: i64) -> Vec<Changed> =
        "SELECT position, ticket_id, id, version, status, priority, type, subject, assignee, \
         external_id, requester, tags, custom_fields, satisfaction, satisfaction_comment, \
         merged_into, created_at, updated_at, solved_at FROM ticket_changes \
         LEFT JOIN LATERAL (SELECT id, version, status, priority, type, subject, assignee, \
         external_id, requester, tags, custom_fields, satisfaction, satisfaction_comment, \
         merged_into, created_at, updated_at, solved_at FROM tickets \
         WHERE tickets.id = ticket_changes.ticket_id LIMIT 1) AS tickets ON true \
         WHERE position > $1 ORDER BY position LIMIT $2";

    pub read fn pending() -> Option<Pending> =
        "SELECT ticket_id FROM ticket_changes WHERE position IS NULL LIMIT 1";

    /// One at a time numbers changes of a customer.
    pub write fn lock_feed() -> u64 =
        "INSERT INTO ticket_feeds (position) VALUES (0) \
         ON CONFLICT (customer_id) DO UPDATE SET position = ticket_feeds.position";

    /// Numbers changes that are committed. One that a writer holds at the moment
    /// is left out: it commits again without a number, or stays as it is. The rows are
    /// there, so what is inserted finds each by its key and changes it.
    pub write fn number_pending() -> u64 =
        "WITH held AS (SELECT ticket_id FROM ticket_changes WHERE position IS NULL \
         ORDER BY ticket_id LIMIT 1000 FOR UPDATE SKIP LOCKED) \
         INSERT INTO ticket_changes (ticket_id, position) SELECT ticket_id, \
         (SELECT position FROM ticket_feeds) + row_number() OVER (ORDER BY ticket_id) FROM held \
         ON CONFLICT (customer_id, ticket_id) DO UPDATE SET position = excluded.position";

    /// Positions are never given twice, though the row with the last one may have
    /// lost it again.
    pub write fn advance_feed() -> u64 =
        "UPDATE ticket_feeds SET position = greatest(ticket_feeds.position, last.position) \
         FROM (SELECT max(position) AS position FROM ticket_changes \
         WHERE position IS NOT NULL) AS last";
}
