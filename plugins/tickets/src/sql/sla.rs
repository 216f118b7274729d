//! The statements of SLA policies, calendars and the clocks of tickets.

use hearth_plugin::prelude::*;

use super::Id;

row! {
    /// The tier of the caller's customer.
    pub struct CustomerRow { tier: String }

    /// The policy and calendar of a tier, where the customer has some of its
    /// own, and the clocks of tickets as a list of objects.
    pub struct InForce {
        policy_id: Option<String>,
        targets: Option<Json>,
        warn_before: Option<Json>,
        calendar_id: Option<String>,
        time_zone: Option<String>,
        hours: Option<Json>,
        holidays: Option<Vec<String>>,
        clocks: Option<Json>,
    }

    /// A policy of the customer's own.
    pub struct PolicyRow {
        id: String,
        name: String,
        calendar_id: Option<String>,
        tiers: Vec<String>,
        targets: Json,
        warn_before: Json,
        updated_at: Timestamp,
    }

    /// A calendar.
    pub struct CalendarRow {
        id: String,
        name: String,
        time_zone: String,
        hours: Json,
        holidays: Vec<String>,
        updated_at: Timestamp,
    }

    /// A ticket whose clocks must be reviewed.
    pub struct Watched { ticket_id: String }

    /// The instant of an order to look at clocks.
    pub struct Look { at: Timestamp }

    /// When clocks are to be looked at.
    pub struct Check { check_at: Option<Timestamp> }

    /// What was written, and whether it was not there before.
    pub struct Put { updated_at: Timestamp, created: bool }
}

sql! {
    /// All that the clocks of tickets are computed from, in one statement. A customer
    /// has a hundred policies and calendars at most.
    pub read fn in_force(ids: &[String], tier: &str) -> InForce =
        "SELECT sla_policies.id AS policy_id, \
         sla_policies.targets, sla_policies.warn_before, sla_calendars.id AS calendar_id, \
         sla_calendars.time_zone, sla_calendars.hours, sla_calendars.holidays, \
         (SELECT jsonb_agg(to_jsonb(followed)) FROM ( \
         SELECT tickets.id AS ticket_id, status, priority, created_at, started_at, running_since, \
         elapsed_micros, \
         first_response_target_minutes, first_response_due_at, first_response_warn_at, \
         first_response_met_at, \
         resolution_target_minutes, resolution_due_at, resolution_warn_at, resolution_met_at, \
         first_response_warned_at, first_response_breached_at, resolution_warned_at, \
         resolution_breached_at, check_at, due_at FROM unnest($1::text[]) AS wanted (id) \
         CROSS JOIN LATERAL (SELECT id, status, priority, created_at FROM tickets \
         WHERE tickets.id = wanted.id LIMIT 1) AS tickets \
         LEFT JOIN LATERAL (SELECT started_at, running_since, elapsed_micros, \
         first_response_target_minutes, first_response_due_at, first_response_warn_at, \
         first_response_met_at, \
         resolution_target_minutes, resolution_due_at, resolution_warn_at, resolution_met_at, \
         first_response_warned_at, first_response_breached_at, resolution_warned_at, \
         resolution_breached_at, check_at, due_at FROM ticket_clocks \
         WHERE ticket_clocks.ticket_id = wanted.id LIMIT 1) AS ticket_clocks ON true) \
         AS followed) AS clocks \
         FROM (SELECT 1 AS one) AS once \
         LEFT JOIN LATERAL (SELECT policy_id FROM sla_tiers WHERE tier = $2 LIMIT 1) \
         AS sla_tiers ON true \
         LEFT JOIN LATERAL (SELECT id, targets, warn_before, calendar_id FROM sla_policies \
         WHERE sla_policies.id = sla_tiers.policy_id LIMIT 1) AS sla_policies ON true \
         LEFT JOIN LATERAL (SELECT id, time_zone, hours, holidays FROM sla_calendars \
         WHERE sla_calendars.id = sla_policies.calendar_id LIMIT 1) AS sla_calendars ON true";

    /// No row for a caller without a customer.
    pub read fn customer() -> Option<CustomerRow> = "SELECT tier FROM hearth.customer";

    /// Writes the clocks of locked tickets.
    pub write fn write_clocks(clocks: &Json) -> u64 =
        "INSERT INTO ticket_clocks (ticket_id, started_at, running_since, elapsed_micros, \
         first_response_target_minutes, first_response_due_at, first_response_warn_at, \
         first_response_met_at, first_response_warned_at, first_response_breached_at, \
         resolution_target_minutes, resolution_due_at, resolution_warn_at, resolution_met_at, \
         resolution_warned_at, resolution_breached_at, check_at, due_at) \
         SELECT ticket_id, started_at, running_since, elapsed_micros, \
         first_response_target_minutes, first_response_due_at, first_response_warn_at, \
         first_response_met_at, first_response_warned_at, first_response_breached_at, \
         resolution_target_minutes, resolution_due_at, resolution_warn_at, resolution_met_at, \
         resolution_warned_at, resolution_breached_at, check_at, due_at \
         FROM jsonb_to_recordset($1) AS given (ticket_id text, started_at timestamptz, \
         running_since timestamptz, elapsed_micros bigint, \
         first_response_target_minutes bigint, first_response_due_at timestamptz, \
         first_response_warn_at timestamptz, first_response_met_at timestamptz, \
         first_response_warned_at timestamptz, first_response_breached_at timestamptz, \
         resolution_target_minutes bigint, resolution_due_at timestamptz, \
         resolution_warn_at timestamptz, resolution_met_at timestamptz, \
         resolution_warned_at timestamptz, resolution_breached_at timestamptz, \
         check_at timestamptz, due_at timestamptz) \
         ON CONFLICT (customer_id, ticket_id) DO UPDATE SET \
         running_since = excluded.running_since, \
         elapsed_micros = excluded.elapsed_micros, \
         first_response_target_minutes = excluded.first_response_target_minutes, \
         first_response_due_at = excluded.first_response_due_at, \
         first_response_warn_at = excluded.first_response_warn_at, \
         first_response_met_at = excluded.first_response_met_at, \
         first_response_warned_at = excluded.first_response_warned_at, \
         first_response_breached_at = excluded.first_response_breached_at, \
         resolution_target_minutes = excluded.resolution_target_minutes, \
         resolution_due_at = excluded.resolution_due_at, \
         resolution_warn_at = excluded.resolution_warn_at, \
         resolution_met_at = excluded.resolution_met_at, \
         resolution_warned_at = excluded.resolution_warned_at, \
         resolution_breached_at = excluded.resolution_breached_at, \
         check_at = excluded.check_at, due_at = excluded.due_at";

    /// The tickets whose clocks must be checked by then, the longest waiting first.
    pub read fn due_clocks(now: Timestamp, limit: i64) -> Vec<Watched> =
        "SELECT ticket_id FROM ticket_clocks WHERE check_at <= $1 ORDER BY check_at LIMIT $2";

    /// When clocks are to be looked at next.
    pub read fn next_check() -> Option<Check> =
        "SELECT check_at FROM ticket_clocks WHERE check_at IS NOT NULL \
         ORDER BY check_at LIMIT 1";

    /// The pending orders that can be relied on.
    pub read fn looks_after(now: Timestamp) -> Vec<Look> =
        "SELECT at FROM ticket_looks WHERE at > $1 ORDER BY at LIMIT 100";

    /// Says, in the transaction that sends it, that an order is under way; 0 where one
    /// for that instant is.
    pub write fn insert_look(at: Timestamp) -> u64 =
        "INSERT INTO ticket_looks (at) VALUES ($1) ON CONFLICT DO NOTHING";

    pub write fn remove_looks(until: Timestamp) -> u64 =
        "DELETE FROM ticket_looks WHERE at <= $1";

    /// The next tickets with clocks that run, or must be checked.
    pub read fn watched_after(ticket_id: &str, limit: i64) -> Vec<Watched> =
        "SELECT ticket_id FROM ticket_clocks \
         WHERE ticket_id > $1 AND (running_since IS NOT NULL OR check_at IS NOT NULL) \
         ORDER BY ticket_id LIMIT $2";

    /// Makes or replaces a policy; no row where the customer has a hundred others.
    pub write fn put_policy(
        id: &str,
        name: &str,
        calendar_id: Option<&str>,
        targets: &Json,
        warn_before: &Json,
    ) -> Option<Put> =
        "INSERT INTO sla_policies (id, name, calendar_id, targets, warn_before) \
         SELECT $1, $2, $3, $4, $5 WHERE (SELECT count(*) FROM (SELECT 1 AS one \
         FROM sla_policies WHERE id <> $1 LIMIT 100) AS others) < 100 \
         ON CONFLICT (customer_id, id) DO UPDATE SET name = excluded.name, \
         calendar_id = excluded.calendar_id, targets = excluded.targets, \
         warn_before = excluded.warn_before, updated_at = now() \
         RETURNING updated_at, created_at = updated_at AS created";

    pub write fn remove_tiers(policy_id: &str) -> u64 =
        "DELETE FROM sla_tiers WHERE policy_id = $1";

    pub write fn insert_tiers(policy_id: &str, tiers: &[String]) -> u64 =
        "INSERT INTO sla_tiers (tier, policy_id) \
         SELECT tier, $1 FROM unnest($2::text[]) AS given (tier) ORDER BY tier";

    pub read fn policy_by_id(id: &str) -> Option<PolicyRow> =
        "SELECT id, name, calendar_id, coalesce((SELECT array_agg(tier ORDER BY tier) \
         FROM sla_tiers WHERE policy_id = sla_policies.id), '{}') AS tiers, targets, \
         warn_before, updated_at FROM sla_policies WHERE id = $1";

    /// Locks a policy against other changes until the transaction ends.
    pub write fn lock_policy(id: &str) -> Option<Id> =
        "SELECT id FROM sla_policies WHERE id = $1 FOR UPDATE";

    pub read fn policies_after(id: &str, limit: i64) -> Vec<PolicyRow> =
        "SELECT id, name, calendar_id, coalesce((SELECT array_agg(tier ORDER BY tier) \
         FROM sla_tiers WHERE policy_id = sla_policies.id), '{}') AS tiers, targets, \
         warn_before, updated_at FROM sla_policies WHERE id > $1 ORDER BY id LIMIT $2";

    pub write fn delete_policy(id: &str) -> u64 = "DELETE FROM sla_policies WHERE id = $1";

    /// Makes or replaces a calendar; no row where the customer has a hundred others.
    pub write fn put_calendar(
        id: &str,
        name: &str,
        time_zone: &str,
        hours: &Json,
        holidays: &[String],
    ) -> Option<Put> =
        "INSERT INTO sla_calendars (id, name, time_zone, hours, holidays) \
         SELECT $1, $2, $3, $4, $5 WHERE (SELECT count(*) FROM (SELECT 1 AS one \
         FROM sla_calendars WHERE id <> $1 LIMIT 100) AS others) < 100 \
         ON CONFLICT (customer_id, id) DO UPDATE SET name = excluded.name, \
         time_zone = excluded.time_zone, hours = excluded.hours, \
         holidays = excluded.holidays, updated_at = now() \
         RETURNING updated_at, created_at = updated_at AS created";

    pub read fn calendar_by_id(id: &str) -> Option<CalendarRow> =
        "SELECT id, name, time_zone, hours, holidays, updated_at \
         FROM sla_calendars WHERE id = $1";

    /// The calendar, locked against other changes until the transaction ends.
    pub write fn lock_calendar(id: &str) -> Option<CalendarRow> =
        "SELECT id, name, time_zone, hours, holidays, updated_at \
         FROM sla_calendars WHERE id = $1 FOR UPDATE";

    pub read fn calendars_after(id: &str, limit: i64) -> Vec<CalendarRow> =
        "SELECT id, name, time_zone, hours, holidays, updated_at \
         FROM sla_calendars WHERE id > $1 ORDER BY id LIMIT $2";

    pub write fn delete_calendar(id: &str) -> u64 = "DELETE FROM sla_calendars WHERE id = $1";
}
