//! Every statement of the plugin. None names customer_id: the host's policy adds
//! it to each, and its default fills it in.

pub mod lists;

use hearth_plugin::prelude::*;

use crate::audits::Audit;
use crate::comments::{Comment, Listed};
use crate::ticket::Ticket;

sql! {
    pub read fn ticket_by_id(id: &str) -> Option<Ticket> =
        "SELECT id, version, status, priority, type, subject, description, assignee, external_id, \
         tags, custom_fields, created_at, updated_at, solved_at \
         FROM tickets WHERE id = $1";

    /// The ticket, locked against other changes until the transaction ends.
    pub write fn lock_ticket(id: &str) -> Option<Ticket> =
        "SELECT id, version, status, priority, type, subject, description, assignee, external_id, \
         tags, custom_fields, created_at, updated_at, solved_at \
         FROM tickets WHERE id = $1 FOR UPDATE";

    pub write fn insert_ticket(
        id: &str,
        priority: &str,
        kind: Option<&str>,
        subject: &str,
        description: &str,
        assignee: Option<&str>,
        external_id: Option<&str>,
        tags: &[String],
        custom_fields: &Json,
    ) -> Ticket =
        "INSERT INTO tickets (id, priority, type, subject, description, assignee, external_id, \
         tags, custom_fields) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) \
         RETURNING id, version, status, priority, type, subject, description, assignee, \
         external_id, tags, custom_fields, created_at, updated_at, solved_at";

    /// Changes a locked ticket. The time is the statement's and not the
    /// transaction's, which began before it waited for the lock.
    pub write fn update_ticket(
        id: &str,
        status: &str,
        priority: &str,
        kind: Option<&str>,
        subject: &str,
        assignee: Option<&str>,
        external_id: Option<&str>,
        tags: &[String],
        custom_fields: &Json,
    ) -> Ticket =
        "UPDATE tickets SET version = version + 1, status = $2, priority = $3, type = $4, \
         subject = $5, assignee = $6, external_id = $7, tags = $8, custom_fields = $9, \
         updated_at = greatest(statement_timestamp(), updated_at), \
         solved_at = CASE WHEN $2 NOT IN ('solved', 'closed') THEN NULL \
         ELSE coalesce(solved_at, statement_timestamp()) END \
         WHERE id = $1 \
         RETURNING id, version, status, priority, type, subject, description, assignee, \
         external_id, tags, custom_fields, created_at, updated_at, solved_at";

    /// Marks a locked ticket as changed.
    pub write fn touch_ticket(id: &str) -> u64 =
        "UPDATE tickets SET version = version + 1, \
         updated_at = greatest(statement_timestamp(), updated_at) WHERE id = $1";

    pub write fn insert_tags(ticket_id: &str, tags: &[String]) -> u64 =
        "INSERT INTO ticket_tags (ticket_id, tag) \
         SELECT $1, tag FROM unnest($2::text[]) AS given (tag) ON CONFLICT DO NOTHING";

    pub write fn remove_other_tags(ticket_id: &str, tags: &[String]) -> u64 =
        "DELETE FROM ticket_tags WHERE ticket_id = $1 AND tag <> ALL ($2::text[])";

    pub write fn insert_audit(
        id: &str,
        ticket_id: &str,
        public: bool,
        events: &Json,
        author: &str,
        by_agent: bool,
    ) -> u64 =
        "INSERT INTO ticket_audits (id, ticket_id, public, events, author, by_agent) \
         VALUES ($1, $2, $3, $4, $5, $6)";

    pub read fn audits_of(
        ticket_id: &str,
        is_agent: bool,
        after: &str,
        limit: i64,
        offset: i64,
    ) -> Vec<Audit> =
        "SELECT id, ticket_id, public, events, author, by_agent, created_at \
         FROM ticket_audits WHERE ticket_id = $1 AND (public OR $2) AND id > $3 \
         ORDER BY id LIMIT $4 OFFSET $5";

    pub write fn insert_comment(
        id: &str,
        ticket_id: &str,
        public: bool,
        body: &str,
        author: &str,
        by_agent: bool,
    ) -> Comment =
        "INSERT INTO ticket_comments (id, ticket_id, public, body, author, by_agent) \
         VALUES ($1, $2, $3, $4, $5, $6) \
         RETURNING id, ticket_id, public, body, author, by_agent, created_at";

    /// A page of comments, cut where their bodies pass a megabyte: written as
    /// JSON each byte may become six, and a response holds eight megabytes.
    pub read fn comments_of(ticket_id: &str, is_agent: bool, after: &str, limit: i64)
        -> Vec<Listed> =
        "SELECT id, ticket_id, public, body, author, by_agent, created_at, fetched FROM ( \
         SELECT id, ticket_id, public, body, author, by_agent, created_at, \
         count(*) OVER () AS fetched, sum(octet_length(body)) OVER (ORDER BY id) AS bytes FROM ( \
         SELECT id, ticket_id, public, body, author, by_agent, created_at \
         FROM ticket_comments WHERE ticket_id = $1 AND (public OR $2) AND id > $3 \
         ORDER BY id LIMIT $4) AS page) AS measured \
         WHERE bytes <= 1000000 ORDER BY id";
}
