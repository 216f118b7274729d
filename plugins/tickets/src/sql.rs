//! The statements of the plugin. None names customer_id: the host's policy adds
//! it to each, and its default fills it in.
//!
//! None depends on statistics, which come too late for a table that grows. Rows for a
//! list of keys are read by a LATERAL with LIMIT 1, which looks each of them up, as `=
//! ANY ($1)` and joins may read all rows of the customer instead. And nothing that is
//! known is read back: what belongs to a ticket is written with it, or while it is locked.

pub mod candidates;
pub mod creation;
pub mod erasure;
pub mod feed;
pub mod lists;
pub mod notes;
pub mod sla;
pub mod terms;

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
         requester, tags, custom_fields, satisfaction, satisfaction_comment, merged_into, \
         created_at, updated_at, solved_at FROM tickets WHERE id = $1";

    /// The ticket, locked against other changes until the transaction ends.
    pub write fn lock_ticket(id: &str) -> Option<Ticket> =
        "SELECT id, version, status, priority, type, subject, description, assignee, external_id, \
         requester, tags, custom_fields, satisfaction, satisfaction_comment, merged_into, \
         created_at, updated_at, solved_at FROM tickets WHERE id = $1 FOR UPDATE";

    /// Those of the tickets that there are, locked in the order of the list, which is
    /// that of their ids (`lock_order`): so two that lock the same tickets never wait
    /// for each other in a circle.
    pub write fn lock_tickets(ids: &[String]) -> Vec<Summary> =
        "SELECT locked.id, version, status, priority, type, subject, assignee, external_id, \
         requester, tags, custom_fields, satisfaction, satisfaction_comment, merged_into, created_at, updated_at, \
         solved_at FROM unnest($1::text[]) AS wanted (id) CROSS JOIN LATERAL ( \
         SELECT id, version, status, priority, type, subject, assignee, external_id, requester, \
         tags, custom_fields, satisfaction, satisfaction_comment, merged_into, created_at, updated_at, \
         solved_at FROM tickets WHERE tickets.id = wanted.id FOR UPDATE) AS locked";

    pub read fn id_by_external_id(external_id: &str) -> Option<Id> =
        "SELECT id FROM tickets WHERE external_id = $1";

    /// Which of the external ids are taken.
    pub read fn taken_external_ids(external_ids: &[String]) -> Vec<Taken> =
        "SELECT found.external_id FROM unnest($1::text[]) AS wanted (external_id) \
         CROSS JOIN LATERAL (SELECT external_id FROM tickets \
         WHERE tickets.external_id = wanted.external_id LIMIT 1) AS found";

    /// Changes locked tickets, at a time after they were locked. As an insert that finds
    /// each by its key, for an update that joins may read all tickets of the customer.
    pub write fn update_tickets(tickets: &Json, now: Timestamp) -> Vec<Stamp> =
        "INSERT INTO tickets (id, status, priority, type, subject, description, assignee, \
         external_id, requester, tags, custom_fields, satisfaction, satisfaction_comment, \
         merged_into) SELECT wanted.id, status, priority, type, subject, there.description, \
         assignee, external_id, requester, tags, custom_fields, satisfaction, satisfaction_comment, merged_into \
         FROM jsonb_to_recordset($1) AS wanted (id text, status text, priority text, type text, \
         subject text, assignee text, external_id text, requester jsonb, tags text[], \
         custom_fields jsonb, satisfaction text, satisfaction_comment text, merged_into text) \
         CROSS JOIN LATERAL (SELECT description FROM tickets WHERE tickets.id = wanted.id LIMIT 1) \
         AS there ON CONFLICT (customer_id, id) DO UPDATE SET version = tickets.version + 1, \
         status = excluded.status, priority = excluded.priority, type = excluded.type, \
         subject = excluded.subject, assignee = excluded.assignee, \
         external_id = excluded.external_id, requester = excluded.requester, \
         tags = excluded.tags, \
         custom_fields = excluded.custom_fields, satisfaction = excluded.satisfaction, \
         satisfaction_comment = excluded.satisfaction_comment, \
         merged_into = excluded.merged_into, updated_at = greatest($2, tickets.updated_at), \
         solved_at = CASE WHEN excluded.status NOT IN ('solved', 'closed') THEN NULL \
         ELSE coalesce(tickets.solved_at, $2) END \
         RETURNING id, version, created_at, updated_at, solved_at, \
         CASE WHEN octet_length(description) <= 20000 THEN description END AS short_description";

    /// Marks a locked ticket as changed.
    pub write fn touch_ticket(id: &str, now: Timestamp) -> Stamp =
        "UPDATE tickets SET version = version + 1, updated_at = greatest($2, updated_at) \
         WHERE id = $1 RETURNING id, version, created_at, updated_at, solved_at, \
         CASE WHEN octet_length(description) <= 20000 THEN description END AS short_description";

    /// The descriptions that are short enough for an event.
    pub read fn short_descriptions(ids: &[String]) -> Vec<Described> =
        "SELECT found.id, found.description FROM unnest($1::text[]) AS wanted (id) \
         CROSS JOIN LATERAL (SELECT id, description FROM tickets WHERE tickets.id = wanted.id \
         LIMIT 1) AS found WHERE octet_length(found.description) <= 20000";

    /// The descriptions of tickets in their order, as long as those before them have
    /// 200,000 bytes at most: there is the page of tickets beside them.
    pub read fn descriptions(ids: &[String]) -> Vec<Described> =
        "SELECT id, description FROM (SELECT wanted_id AS id, description, place, \
         sum(octet_length(description)) OVER (ORDER BY place) - octet_length(description) \
         AS bytes_before FROM unnest($1::text[]) WITH ORDINALITY AS wanted (wanted_id, place) \
         CROSS JOIN LATERAL (SELECT description FROM tickets WHERE tickets.id = wanted_id \
         LIMIT 1) AS found) AS measured WHERE bytes_before <= 200000 ORDER BY place";

    /// Writes the tags of locked tickets that they have not yet.
    pub write fn insert_tags(tickets: &Json) -> u64 =
        "INSERT INTO ticket_tags (ticket_id, tag) SELECT wanted.id, given.tag \
         FROM jsonb_to_recordset($1) AS wanted (id text, tags text[]) \
         CROSS JOIN LATERAL unnest(wanted.tags) AS given (tag) ON CONFLICT DO NOTHING";

    pub write fn remove_other_tags(ticket_id: &str, tags: &[String]) -> u64 =
        "DELETE FROM ticket_tags WHERE ticket_id = $1 AND tag <> ALL ($2)";

    /// Writes audits of locked tickets.
    pub write fn insert_audits(audits: &Json, author: &str, by_agent: bool, now: Timestamp)
        -> u64 =
        "INSERT INTO ticket_audits (id, ticket_id, public, events, author, by_agent, created_at) \
         SELECT given.id, given.ticket_id, given.public, given.events, $2, $3, $4 \
         FROM jsonb_to_recordset($1) AS given (id text, ticket_id text, public boolean, \
         events jsonb)";
}

/// The ids in the order in which tickets are locked, each once.
pub fn lock_order(ids: impl IntoIterator<Item = String>) -> Vec<String> {
    let mut ids: Vec<String> = ids.into_iter().collect();
    ids.sort_unstable();
    ids.dedup();
    ids
}
