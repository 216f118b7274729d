//! The statements that look for all tickets that a filter may choose, up to a number.

use hearth_plugin::prelude::*;

use crate::sql::Id;

sql! {
    pub read fn of_terms(terms: &[String], limit: i64) -> Vec<Id> =
        "SELECT DISTINCT ticket_id AS id FROM unnest($1::text[]) AS begun (wanted_term) \
         CROSS JOIN LATERAL (SELECT ticket_id FROM ticket_terms \
         WHERE ticket_terms.term = wanted_term LIMIT $2) AS found LIMIT $2";

    pub read fn of_tag(tag: &str, limit: i64) -> Vec<Id> =
        "SELECT ticket_id AS id FROM ticket_tags WHERE tag = $1 LIMIT $2";

    pub read fn of_assignee(assignee: &str, limit: i64) -> Vec<Id> =
        "SELECT id FROM tickets WHERE assignee = $1 LIMIT $2";

    pub read fn of_type(kind: &str, limit: i64) -> Vec<Id> =
        "SELECT id FROM tickets WHERE type = $1 LIMIT $2";

    pub read fn unassigned(limit: i64) -> Vec<Id> =
        "SELECT id FROM tickets WHERE assignee IS NULL ORDER BY id LIMIT $1";

    pub read fn of_ranks(statuses: &[String], priorities: &[String], limit: i64) -> Vec<Id> =
        "SELECT id FROM unnest($1::text[]) AS chosen (wanted_status) \
         CROSS JOIN unnest($2::text[]) AS ranked (wanted_priority) \
         CROSS JOIN LATERAL (SELECT id FROM tickets WHERE status = wanted_status \
         AND priority = wanted_priority LIMIT $3) AS found LIMIT $3";

    pub read fn updated_since(since: Timestamp, limit: i64) -> Vec<Id> =
        "SELECT id FROM tickets WHERE updated_at >= $1 LIMIT $2";
}
