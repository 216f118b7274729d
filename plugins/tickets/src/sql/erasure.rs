//! The statements that take away for good what tickets say.

use hearth_plugin::prelude::*;

use crate::ticket::Stamp;

sql! {
    /// Writes a locked ticket in which a text was made unreadable.
    pub write fn redact_ticket(
        id: &str,
        subject: &str,
        description: &str,
        requester: Option<&Json>,
        custom_fields: &Json,
        satisfaction_comment: Option<&str>,
        now: Timestamp,
    ) -> Stamp =
        "UPDATE tickets SET version = version + 1, subject = $2, description = $3, \
         requester = $4, custom_fields = $5, satisfaction_comment = $6, \
         updated_at = greatest($7, updated_at) WHERE id = $1 \
         RETURNING id, version, created_at, updated_at, solved_at, \
         CASE WHEN octet_length(description) <= 20000 THEN description END AS short_description";

    /// Makes a text unreadable in the comments of a ticket.
    pub write fn redact_comments(ticket_id: &str, text: &str, block: &str) -> u64 =
        "UPDATE ticket_comments SET body = replace(body, $2, $3), \
         requester = CASE WHEN requester IS NOT NULL THEN jsonb_strip_nulls(jsonb_build_object( \
         'name', replace(requester ->> 'name', $2, $3), \
         'email', replace(requester ->> 'email', $2, $3))) END \
         WHERE ticket_id = $1 AND (position($2 in body) > 0 \
         OR position($2 in coalesce(requester ->> 'name', '')) > 0 \
         OR position($2 in coalesce(requester ->> 'email', '')) > 0)";

    /// Takes what fields said out of the audits of a ticket: of the changes that say a
    /// text, which is given as it stands in JSON, or of all.
    pub write fn redact_audits(ticket_id: &str, text: Option<&str>) -> u64 =
        "UPDATE ticket_audits SET events = (SELECT jsonb_agg( \
         CASE WHEN event ->> 'type' = 'change' AND ($2::text IS NULL OR position($2 in \
         jsonb_build_array(event -> 'from', event -> 'to')::text) > 0) \
         THEN (event - 'from' - 'to') || '{\"redacted\": true}' ELSE event END ORDER BY place) \
         FROM jsonb_array_elements(events) WITH ORDINALITY AS each (event, place)) \
         WHERE ticket_id = $1 AND EXISTS (SELECT 1 AS one FROM jsonb_array_elements(events) \
         AS each (event) WHERE event ->> 'type' = 'change' AND ($2::text IS NULL \
         OR position($2 in jsonb_build_array(event -> 'from', event -> 'to')::text) > 0))";

    /// Deletes a locked ticket with its comments. What lies under its id in other tables
    /// is to be deleted before.
    pub write fn delete_ticket(id: &str) -> u64 = "DELETE FROM tickets WHERE id = $1";

    pub write fn delete_clocks(ticket_id: &str) -> u64 =
        "DELETE FROM ticket_clocks WHERE ticket_id = $1";

    pub write fn delete_tags(ticket_id: &str) -> u64 =
        "DELETE FROM ticket_tags WHERE ticket_id = $1";
}
