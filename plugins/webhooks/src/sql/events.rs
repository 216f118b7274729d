//! The statements of events and their types.

use hearth_plugin::prelude::*;

row! {
    /// What an event of a type meets: the type's schema, and who wants it.
    pub struct Subscriptions { schema: Option<Json>, targets: Option<Json> }

    /// An event as it was accepted.
    pub struct Accepted {
        id: String,
        event_id: Option<String>,
        r#type: String,
        body: String,
        occurred_at: Timestamp,
        created_at: Timestamp,
    }

    /// An event in a list, without its payload.
    pub struct Listed {
        id: String,
        /// The sender's own.
        event_id: Option<String>,
        r#type: String,
        occurred_at: Timestamp,
        created_at: Timestamp,
    }

    /// An event type.
    #[derive(Clone)]
    pub struct EventType {
        name: String,
        description: Option<String>,
        schema: Option<Json>,
        example: Option<Json>,
        created_at: Timestamp,
        updated_at: Timestamp,
    }

    /// An event type in a list, without what may be long.
    pub struct ListedType {
        name: String,
        description: Option<String>,
        created_at: Timestamp,
        updated_at: Timestamp,
    }

    /// Whether a row was made or replaced.
    pub struct Put { created_at: Timestamp, created: bool }
}

sql! {
    /// The endpoints are those that have one of the patterns, or none at all. A customer
    /// has two hundred, and some more at most where several were made in one instant.
    pub read fn subscriptions(name: &str, patterns: &[String]) -> Subscriptions =
        "SELECT (SELECT schema FROM event_types WHERE name = $1) AS schema, \
         (SELECT jsonb_agg(jsonb_build_object('id', id, 'ordered', ordered) ORDER BY id) \
         FROM (SELECT id, ordered, enabled, event_types FROM endpoints \
         WHERE deleted_at IS NULL ORDER BY id LIMIT 1000) AS own \
         WHERE enabled AND (cardinality(event_types) = 0 OR event_types && $2)) AS targets";

    pub write fn insert_event(
        id: &str,
        sender_id: Option<&str>,
        name: &str,
        body: &str,
        only_endpoint: Option<&str>,
        occurred_at: Timestamp,
        created_at: Timestamp,
    ) -> u64 =
        "INSERT INTO events (id, sender_id, type, body, only_endpoint, occurred_at, created_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7)";

    /// Keeps the sender's own id of an event, which no other one has.
    pub write fn insert_sender_id(sender_id: &str, event_id: &str) -> u64 =
        "INSERT INTO sender_ids (sender_id, event_id) VALUES ($1, $2)";

    pub read fn event_by_id(id: &str) -> Option<Accepted> =
        "SELECT id, sender_id AS event_id, type, body, occurred_at, created_at \
         FROM events WHERE id = $1";

    pub read fn event_by_sender_id(sender_id: &str) -> Option<Accepted> =
        "SELECT events.id, events.sender_id AS event_id, events.type, events.body, \
         events.occurred_at, events.created_at FROM sender_ids CROSS JOIN LATERAL ( \
         SELECT id, sender_id, type, body, occurred_at, created_at FROM events \
         WHERE events.id = sender_ids.event_id LIMIT 1) AS events \
         WHERE sender_ids.sender_id = $1";

    pub read fn events_before(
        since: Timestamp,
        before: Timestamp,
        before_id: &str,
        limit: i64,
    ) -> Vec<Listed> =
        "SELECT id, sender_id AS event_id, type, occurred_at, created_at FROM events \
         WHERE created_at >= $1 AND (created_at, id) < ($2, $3) \
         ORDER BY created_at DESC, id DESC LIMIT $4";

    pub read fn events_of_type_before(
        name: &str,
        since: Timestamp,
        before: Timestamp,
        before_id: &str,
        limit: i64,
    ) -> Vec<Listed> =
        "SELECT id, sender_id AS event_id, type, occurred_at, created_at FROM events \
         WHERE type = $1 AND created_at >= $2 AND (created_at, id) < ($3, $4) \
         ORDER BY created_at DESC, id DESC LIMIT $5";

    /// A page of events that may be for an endpoint, the oldest first.
    pub read fn events_for(
        endpoint_id: &str,
        since: Timestamp,
        until: Timestamp,
        after: Timestamp,
        after_id: &str,
    ) -> Vec<Listed> =
        "SELECT id, sender_id AS event_id, type, occurred_at, created_at FROM events \
         WHERE created_at >= $2 AND created_at < $3 AND (created_at, id) > ($4, $5) \
         AND (only_endpoint IS NULL OR only_endpoint = $1) \
         ORDER BY created_at, id LIMIT 90";

    /// Forgets events, with their deliveries and attempts, a few at a time.
    pub write fn forget_events(before: Timestamp) -> u64 =
        "DELETE FROM events WHERE id IN (SELECT id FROM events WHERE created_at < $1 \
         ORDER BY created_at LIMIT 500)";

    /// Makes or replaces a type; no row where the customer has a thousand others.
    pub write fn put_event_type(
        name: &str,
        description: Option<&str>,
        schema: Option<Json>,
        example: Option<Json>,
        now: Timestamp,
    ) -> Option<Put> =
        "INSERT INTO event_types (name, description, schema, example, created_at, updated_at) \
         SELECT $1, $2, $3, $4, $5, $5 WHERE (SELECT count(*) FROM (SELECT 1 AS one \
         FROM event_types WHERE name <> $1 LIMIT 1000) AS others) < 1000 \
         ON CONFLICT (customer_id, name) DO UPDATE SET description = excluded.description, \
         schema = excluded.schema, example = excluded.example, updated_at = excluded.updated_at \
         RETURNING created_at, created_at = updated_at AS created";

    pub read fn event_type_by_name(name: &str) -> Option<EventType> =
        "SELECT name, description, schema, example, created_at, updated_at \
         FROM event_types WHERE name = $1";

    /// The type, locked against other changes until the transaction ends.
    pub write fn lock_event_type(name: &str) -> Option<EventType> =
        "SELECT name, description, schema, example, created_at, updated_at \
         FROM event_types WHERE name = $1 FOR UPDATE";

    pub read fn event_types_after(name: &str, limit: i64) -> Vec<ListedType> =
        "SELECT name, description, created_at, updated_at \
         FROM event_types WHERE name > $1 ORDER BY name LIMIT $2";

    pub write fn delete_event_type(name: &str) -> u64 =
        "DELETE FROM event_types WHERE name = $1";
}
