//! The statements of comments and audits.

use hearth_plugin::prelude::*;

use crate::audits::Audit;
use crate::comments::{Comment, Listed};

sql! {
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
        now: Timestamp,
    ) -> Comment =
        "INSERT INTO ticket_comments (id, ticket_id, public, body, author, by_agent, created_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7) \
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
