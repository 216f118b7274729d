//! The statements that make a ticket, one for each table, sent together. A plain VALUES
//! costs Postgres less than one statement that spreads a list of tickets over their tables
//! (docs/internals/measured.md), and there is seldom more than one.

use hearth_plugin::prelude::*;

sql! {
    /// The ticket itself. `search` is the text of a `tsvector`.
    pub write fn insert_ticket(
        id: &str,
        priority: &str,
        kind: Option<&str>,
        subject: &str,
        description: &str,
        assignee: Option<&str>,
        external_id: Option<&str>,
        requester: Option<&Json>,
        tags: &[String],
        custom_fields: &Json,
        search: &str,
        now: Timestamp,
    ) -> u64 =
        "INSERT INTO tickets (id, priority, type, subject, description, assignee, external_id, \
         requester, tags, custom_fields, search, folded, created_at, updated_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11::text::tsvector, true, $12, $12)";

    pub write fn insert_audit(
        id: &str,
        ticket_id: &str,
        events: &Json,
        author: &str,
        by_agent: bool,
        now: Timestamp,
    ) -> u64 =
        "INSERT INTO ticket_audits (id, ticket_id, public, events, author, by_agent, created_at) \
         VALUES ($1, $2, true, $3, $4, $5, $6)";

    /// Its place in the feed of changes.
    pub write fn insert_change(ticket_id: &str) -> u64 =
        "INSERT INTO ticket_changes (ticket_id) VALUES ($1)";

    pub write fn insert_clocks(
        ticket_id: &str,
        started_at: Timestamp,
        running_since: Option<Timestamp>,
        elapsed_micros: i64,
        first_response_target_minutes: Option<i64>,
        first_response_due_at: Option<Timestamp>,
        first_response_warn_at: Option<Timestamp>,
        resolution_target_minutes: Option<i64>,
        resolution_due_at: Option<Timestamp>,
        resolution_warn_at: Option<Timestamp>,
        check_at: Option<Timestamp>,
        due_at: Timestamp,
    ) -> u64 =
        "INSERT INTO ticket_clocks (ticket_id, started_at, running_since, elapsed_micros, \
         first_response_target_minutes, first_response_due_at, first_response_warn_at, \
         resolution_target_minutes, resolution_due_at, resolution_warn_at, check_at, due_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)";

    /// The words by which it is found, of the text of a `tsvector`.
    pub write fn insert_terms(ticket_id: &str, search: &str) -> u64 =
        "INSERT INTO ticket_terms (term, ticket_id) SELECT words.term, $1 \
         FROM unnest(tsvector_to_array($2::text::tsvector)) AS words (term)";
}
