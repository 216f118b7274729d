//! The statements of the plugin. None names customer_id: the host's policy adds
//! it to each, and its default fills it in. What writes takes many rows at once,
//! as a JSON list of objects, so that a hundred tickets cost what one costs.

pub mod counts;
pub mod feed;
pub mod lists;
pub mod notes;
pub mod sla;

use hearth_plugin::prelude::*;

use crate::ticket::{Stamp, Summary, Ticket};

row! {
    /// The id of a ticket.
    pub struct Id { id: String }

    /// An external id that a ticket has.
    pub struct Taken { external_id: Option<String> }

    /// A ticket's description.
    pub struct Described { id: String, description: String }
}

sql! {
    pub read fn ticket_by_id(id: &str) -> Option<Ticket> =
        "SELECT id, version, status, priority, type, subject, description, assignee, external_id, \
         tags, custom_fields, satisfaction, satisfaction_comment, merged_into, created_at, \
         updated_at, solved_at FROM tickets WHERE id = $1";

    /// The ticket, locked against other changes until the transaction ends.
    pub write fn lock_ticket(id: &str) -> Option<Ticket> =
        "SELECT id, version, status, priority, type, subject, description, assignee, external_id, \
         tags, custom_fields, satisfaction, satisfaction_comment, merged_into, created_at, \
         updated_at, solved_at FROM tickets WHERE id = $1 FOR UPDATE";

    /// Those of the tickets that there are, locked in the order of their ids: so
    /// two that lock the same tickets never wait for each other in a circle.
    pub write fn lock_tickets(ids: &[String]) -> Vec<Summary> =
        "SELECT id, version, status, priority, type, subject, assignee, external_id, tags, \
         custom_fields, satisfaction, satisfaction_comment, merged_into, created_at, updated_at, \
         solved_at FROM tickets WHERE id = ANY ($1) ORDER BY id FOR UPDATE";

    pub read fn id_by_external_id(external_id: &str) -> Option<Id> =
        "SELECT id FROM tickets WHERE external_id = $1";

    /// Which of the external ids are taken.
    pub read fn taken_external_ids(external_ids: &[String]) -> Vec<Taken> =
        "SELECT external_id FROM tickets WHERE external_id = ANY ($1)";

    /// Makes tickets. The time is the one at which their clocks start.
    pub write fn insert_tickets(tickets: &Json, now: Timestamp) -> Vec<Stamp> =
        "INSERT INTO tickets (id, priority, type, subject, description, assignee, external_id, \
         tags, custom_fields, created_at, updated_at) \
         SELECT id, priority, type, subject, description, assignee, external_id, tags, \
         custom_fields, $2, $2 FROM jsonb_to_recordset($1) AS given (id text, priority text, type text, \
         subject text, description text, assignee text, external_id text, tags text[], \
         custom_fields jsonb) \
         RETURNING id, version, created_at, updated_at, solved_at, NULL::text AS short_description";

    /// Changes locked tickets, at a time after they were locked.
    pub write fn update_tickets(tickets: &Json, now: Timestamp) -> Vec<Stamp> =
        "UPDATE tickets SET version = tickets.version + 1, status = wanted.status, \
         priority = wanted.priority, type = wanted.type, subject = wanted.subject, \
         assignee = wanted.assignee, external_id = wanted.external_id, tags = wanted.tags, \
         custom_fields = wanted.custom_fields, satisfaction = wanted.satisfaction, \
         satisfaction_comment = wanted.satisfaction_comment, merged_into = wanted.merged_into, \
         updated_at = greatest($2, tickets.updated_at), \
         solved_at = CASE WHEN wanted.status NOT IN ('solved', 'closed') THEN NULL \
         ELSE coalesce(tickets.solved_at, $2) END \
         FROM jsonb_to_recordset($1) AS wanted (id text, status text, priority text, type text, \
         subject text, assignee text, external_id text, tags text[], custom_fields jsonb, \
         satisfaction text, satisfaction_comment text, merged_into text) \
         WHERE tickets.id = wanted.id \
         RETURNING tickets.id, tickets.version, tickets.created_at, tickets.updated_at, \
         tickets.solved_at, \
         CASE WHEN octet_length(tickets.description) <= 20000 THEN tickets.description END \
         AS short_description";

    /// Marks a locked ticket as changed.
    pub write fn touch_ticket(id: &str, now: Timestamp) -> Stamp =
        "UPDATE tickets SET version = version + 1, updated_at = greatest($2, updated_at) \
         WHERE id = $1 RETURNING id, version, created_at, updated_at, solved_at, \
         CASE WHEN octet_length(description) <= 20000 THEN description END AS short_description";

    /// The descriptions that are short enough for an event.
    pub read fn short_descriptions(ids: &[String]) -> Vec<Described> =
        "SELECT id, description FROM tickets \
         WHERE id = ANY ($1) AND octet_length(description) <= 20000";

    pub write fn insert_tags(tickets: &Json) -> u64 =
        "INSERT INTO ticket_tags (ticket_id, tag) SELECT tickets.id, tag \
         FROM jsonb_to_recordset($1) AS wanted (id text, tags text[]) \
         JOIN tickets ON tickets.id = wanted.id \
         CROSS JOIN LATERAL unnest(wanted.tags) AS given (tag) ON CONFLICT DO NOTHING";

    pub write fn remove_other_tags(tickets: &Json) -> u64 =
        "DELETE FROM ticket_tags USING jsonb_to_recordset($1) AS wanted (id text, tags text[]) \
         WHERE ticket_tags.ticket_id = wanted.id AND ticket_tags.tag <> ALL (wanted.tags)";

    /// The words by which tickets are found, as they are in the tickets now.
    pub write fn insert_terms(ids: &[String]) -> u64 =
        "INSERT INTO ticket_terms (term, ticket_id) SELECT early.lexeme, tickets.id \
         FROM tickets CROSS JOIN LATERAL ( \
         SELECT lexeme FROM unnest(tickets.search) AS words (lexeme, positions, weights) \
         WHERE octet_length(lexeme) <= 1024 ORDER BY positions[1], lexeme LIMIT 1000) AS early \
         WHERE tickets.id = ANY ($1) ON CONFLICT DO NOTHING";

    /// Takes away the words of tickets whose text is about to change.
    pub write fn remove_terms(ids: &[String]) -> u64 =
        "DELETE FROM ticket_terms USING tickets CROSS JOIN LATERAL \
         unnest(tickets.search) AS words (lexeme, positions, weights) \
         WHERE tickets.id = ANY ($1) AND ticket_terms.term = words.lexeme \
         AND ticket_terms.ticket_id = tickets.id";

    pub write fn insert_audits(audits: &Json, author: &str, by_agent: bool, now: Timestamp)
        -> u64 =
        "INSERT INTO ticket_audits (id, ticket_id, public, events, author, by_agent, created_at) \
         SELECT given.id, tickets.id, given.public, given.events, $2, $3, $4 \
         FROM jsonb_to_recordset($1) AS given (id text, ticket_id text, public boolean, \
         events jsonb) JOIN tickets ON tickets.id = given.ticket_id";
}
