//! The statements of comments and audits.

use hearth_plugin::prelude::*;

use crate::audits::Audit;
use crate::comments::{Comment, Listed};

row! {
    /// A comment of one of some tickets: how many were read of its ticket, and of all.
    pub struct Commented {
        id: String,
        ticket_id: String,
        public: bool,
        body: String,
        author: String,
        by_agent: bool,
        requester: Option<Json>,
        created_at: Timestamp,
        fetched: i64,
        total: i64,
    }
}

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
        requester: Option<&Json>,
    ) -> Comment =
        "INSERT INTO ticket_comments (id, ticket_id, public, body, author, by_agent, created_at, \
         requester) VALUES ($1, $2, $3, $4, $5, $6, $7, $8) \
         RETURNING id, ticket_id, public, body, author, by_agent, requester, created_at";

    /// A page of comments, cut where their bodies pass a megabyte: written as
    /// JSON each byte may become six, and a response holds eight megabytes.
    pub read fn comments_of(ticket_id: &str, is_agent: bool, after: &str, limit: i64)
        -> Vec<Listed> =
        "SELECT id, ticket_id, public, body, author, by_agent, requester, created_at, fetched \
         FROM (SELECT id, ticket_id, public, body, author, by_agent, requester, created_at, \
         count(*) OVER () AS fetched, sum(octet_length(body)) OVER (ORDER BY id) AS bytes FROM ( \
         SELECT id, ticket_id, public, body, author, by_agent, requester, created_at \
         FROM ticket_comments WHERE ticket_id = $1 AND (public OR $2) AND id > $3 \
         ORDER BY id LIMIT $4) AS page) AS measured \
         WHERE bytes <= 1000000 ORDER BY id";

    /// The first comments of each of some tickets, in the order of these, as long as those
    /// before them have 200,000 bytes at most: there is the page of tickets beside them.
    pub read fn comments_of_all(ids: &[String], is_agent: bool, limit: i64) -> Vec<Commented> =
        "SELECT id, ticket_id, public, body, author, by_agent, requester, created_at, fetched, \
         total FROM (SELECT id, ticket_id, public, body, author, by_agent, requester, created_at, \
         place, count(*) OVER (PARTITION BY place) AS fetched, count(*) OVER () AS total, \
         sum(octet_length(body)) OVER (ORDER BY place, id) - octet_length(body) AS bytes_before \
         FROM unnest($1::text[]) WITH ORDINALITY AS wanted (wanted_id, place) \
         CROSS JOIN LATERAL (SELECT id, ticket_id, public, body, author, by_agent, requester, \
         created_at FROM ticket_comments WHERE ticket_id = wanted_id AND (public OR $2) \
         ORDER BY id LIMIT $3) AS page) AS measured \
         WHERE bytes_before <= 200000 ORDER BY place, id";
}
