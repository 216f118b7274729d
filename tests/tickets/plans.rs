//! Every statement of the plugin has an index that fits, under row-level security,
//! with the one plan for all parameters that Postgres falls back to, and whether it has
//! statistics or not.

use hearth::backend::postgres::connection::PLANNING;
use hearth::embedded::postgres::Reached;
use hearth::plugin::package::Package;
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

use super::Support;
use crate::harness::host::{Host, plugin};

/// A superuser's session on the host's own Postgres.
pub async fn superuser(host: &Host) -> Client {
    let reached = Reached::reach(None, &host.data_dir().join("postgres")).await;
    let config: tokio_postgres::Config = reached.unwrap().url.parse().unwrap();
    let (client, connection) = config.connect(NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

/// Twenty thousand tickets of each of two customers, and what belongs to them.
const ROWS: &str = "
    SET search_path = plugin_tickets;
    CREATE TEMPORARY TABLE made AS
    SELECT customer_id, n, 'tkt_' || lpad(n::text, 36, '0') AS id
    FROM unnest(ARRAY['acme', 'bolt']) AS customer_id, generate_series(1, 20000) AS n;
    INSERT INTO tickets (customer_id, id, status, priority, type, subject, description, assignee,
        external_id, tags, updated_at, search, folded)
    SELECT customer_id, id, (ARRAY['new', 'open', 'pending', 'hold', 'solved'])[1 + n % 5],
        (ARRAY['low', 'normal', 'high', 'urgent'])[1 + n % 4], 'type' || n % 20,
        'subject ' || n, 'word' || n % 100 || ' and a text',
        CASE WHEN n % 10 > 0 THEN 'agent' || n % 50 END, 'x' || n,
        ARRAY['tag' || n % 30], now() - n * interval '1 minute',
        to_tsvector('simple', 'subject ' || n || ' word' || n % 100 || ' and a text'), n % 100 > 0
    FROM made;
    INSERT INTO ticket_tags (customer_id, tag, ticket_id)
    SELECT customer_id, 'tag' || n % 30, id FROM made;
    INSERT INTO ticket_terms (customer_id, term, ticket_id)
    SELECT customer_id, lexeme, id FROM tickets, unnest(search) AS words (lexeme, p, w);
    INSERT INTO ticket_changes (customer_id, ticket_id, position)
    SELECT customer_id, id, nullif(n, 7) FROM made;
    INSERT INTO ticket_feeds (customer_id, position) SELECT 'c' || n, n FROM generate_series(1, 2000) AS n;
    INSERT INTO ticket_comments (customer_id, id, ticket_id, public, body, author, by_agent)
    SELECT customer_id, 'cmt_' || n, id, true, 'body', 'key', false FROM made;
    INSERT INTO ticket_audits (customer_id, id, ticket_id, public, events, author, by_agent)
    SELECT customer_id, 'aud_' || n, id, true, '[]', 'key', false FROM made;
    INSERT INTO ticket_clocks (customer_id, ticket_id, started_at, running_since, elapsed_micros,
        check_at, due_at)
    SELECT customer_id, id, now(), CASE WHEN n % 3 = 0 THEN now() END, 0,
        now() + n * interval '1 second', now() + n * interval '1 minute' FROM made;
    INSERT INTO sla_calendars (customer_id, id, name, time_zone, hours, holidays)
    SELECT 'c' || n / 100, 'id' || n, 'n', 'UTC', '{}', '{}' FROM generate_series(1, 20000) AS n;
    INSERT INTO sla_policies (customer_id, id, name, calendar_id, targets, warn_before)
    SELECT customer_id, id, name, id, '{}', '{}' FROM sla_calendars;
    INSERT INTO sla_tiers (customer_id, tier, policy_id)
    SELECT customer_id, 'tier' || id, id FROM sla_policies;
    INSERT INTO ticket_looks (customer_id, at)
    SELECT customer_id, now() + n * interval '1 minute' FROM made";

const ANALYSE: &str = "RESET ROLE;
    ANALYZE ticket_clocks, ticket_looks, sla_calendars, sla_policies, sla_tiers, tickets,
        ticket_tags, ticket_terms, ticket_changes, ticket_feeds, ticket_comments, ticket_audits";

/// Makes the session what a request's session is.
async fn as_request(client: &Client) {
    let roles = "SELECT rolname FROM pg_catalog.pg_roles WHERE rolname LIKE 'hearth%tickets' AND rolcanlogin";
    let role: String = client.query_one(roles, &[]).await.unwrap().get(0);
    let session = format!(
        "SET ROLE {role}; SET search_path = plugin_tickets, pg_temp; \
         SET hearth.customer_id = 'acme'; SET plan_cache_mode = force_generic_plan"
    );
    client.batch_execute(&session).await.unwrap();
    for setting in PLANNING.split("-c ").filter(|setting| !setting.is_empty()) {
        let set = format!("SET {setting}");
        client.batch_execute(&set).await.unwrap();
    }
}

/// How Postgres would run a statement, whatever its parameters.
async fn plan(client: &Client, text: &str, parameters: usize) -> String {
    client
        .batch_execute(&format!("PREPARE asked AS {text}"))
        .await
        .unwrap();
    let nulls = vec!["NULL"; parameters].join(", ");
    let arguments = if parameters == 0 {
        String::new()
    } else {
        format!("({nulls})")
    };
    let rows = client
        .simple_query(&format!("EXPLAIN EXECUTE asked{arguments}"))
        .await
        .unwrap();
    client.batch_execute("DEALLOCATE asked").await.unwrap();
    let lines = rows.iter().filter_map(|row| match row {
        SimpleQueryMessage::Row(row) => row.get(0),
        _ => None,
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// Parts of a statement, and the index that answers it in its order: of what is found
/// there no more than a page is read, and nothing is sorted but pages.
const FITTING: &[(&str, &str, &str)] = &[
    (
        "due_at FROM tickets WHERE id",
        "ORDER BY id",
        "tickets_pkey",
    ),
    (
        "due_at FROM tickets WHERE updated_at",
        "ORDER BY updated_at",
        "tickets_updated",
    ),
    (
        "FROM tickets WHERE status = wanted_status AND priority",
        "ORDER BY id",
        "tickets_status_priority",
    ),
    (
        "FROM tickets WHERE status = wanted_status AND updated_at",
        "ORDER BY updated_at",
        "tickets_status_updated",
    ),
    (
        "FROM tickets WHERE assignee = $3",
        "ORDER BY id",
        "tickets_assignee",
    ),
    (
        "FROM tickets WHERE assignee IS NULL",
        "ORDER BY id",
        "tickets_unassigned",
    ),
    (
        "FROM tickets WHERE type = $15",
        "ORDER BY id",
        "tickets_type",
    ),
    (
        "FROM ticket_clocks CROSS",
        "ORDER BY due_at",
        "ticket_clocks_next",
    ),
    ("WHERE tag = $4", "ORDER BY ticket_id", "ticket_tags_pkey"),
    (
        "WHERE ticket_terms.term = wanted_term",
        "ORDER BY ticket_terms.ticket_id",
        "ticket_terms_pkey",
    ),
    ("WHERE NOT folded", "ORDER BY id", "tickets_unfolded"),
    (
        "FROM ticket_changes",
        "ORDER BY position",
        "ticket_changes_position",
    ),
    (
        "FROM ticket_changes",
        "position IS NULL LIMIT 1",
        "ticket_changes_pending",
    ),
    (
        "FROM ticket_comments",
        "ORDER BY id",
        "ticket_comments_ticket",
    ),
    ("FROM ticket_audits", "ORDER BY id", "ticket_audits_pkey"),
    ("WHERE external_id = $1", "", "tickets_external_id"),
    (
        "FROM ticket_clocks",
        "ORDER BY ticket_id",
        "ticket_clocks_watched",
    ),
    (
        "FROM ticket_clocks",
        "ORDER BY check_at",
        "ticket_clocks_due",
    ),
    ("FROM ticket_looks", "ORDER BY at", "ticket_looks_pkey"),
    ("FROM sla_policies", "ORDER BY id", "sla_policies_pkey"),
    ("FROM sla_calendars", "ORDER BY id", "sla_calendars_pkey"),
];

/// Indexes along which a statement may go with no condition but the customer: they
/// hold few rows of it (a feed, a hundred policies and calendars, changes without a
/// position), or no more is read than a LIMIT or a `max` wants.
const SHORT: [&str; 10] = [
    "tickets_unassigned",
    "tickets_unfolded",
    "ticket_changes_pending",
    "ticket_changes_position",
    "ticket_clocks_due",
    "ticket_feeds_pkey",
    "sla_calendars_pkey",
    "sla_policies_calendar_id",
    "sla_policies_pkey",
    "sla_tiers_p",
];

/// Whether a plan reads all rows of the customer.
fn reads_all(plan: &str) -> bool {
    let lines: Vec<&str> = plan.lines().collect();
    lines.windows(2).any(|pair| {
        let is_short = SHORT.iter().any(|index| pair[0].contains(index));
        let condition = pair[1].trim();
        let only_customer =
            condition.starts_with("Index Cond: (customer_id = ") && !condition.contains(" AND ");
        only_customer && !is_short
    })
}

/// Whether a page is read along an index: nothing sorts between it and what ends there.
fn is_in_order(plan: &str, index: &str) -> bool {
    let lines: Vec<&str> = plan.lines().collect();
    let Some(place) = lines.iter().position(|line| line.contains(index)) else {
        return false;
    };
    let above = lines[..place].iter().rev();
    let mut page = above.take_while(|line| !line.contains("Limit"));
    !page.any(|line| line.contains("Sort"))
}

/// What is wrong with the plan of a statement, if anything is.
fn fault(text: &str, plan: &str) -> Option<String> {
    let expected = FITTING
        .iter()
        .find(|(from, order, _)| text.contains(from) && text.contains(order));
    let fits = expected.is_none_or(|(_, _, index)| is_in_order(plan, index));
    match fits && !plan.contains("Seq Scan on") && !reads_all(plan) {
        true => None,
        false => Some(format!("{text}\n{plan}\n")),
    }
}

#[tokio::test]
async fn every_statement_has_an_index_that_fits_with_statistics_and_without() {
    let support = Support::open();
    let client = superuser(&support.host).await;
    let quiet = "ALTER SYSTEM SET autovacuum = off";
    client.batch_execute(quiet).await.unwrap();
    client
        .batch_execute("SELECT pg_reload_conf()")
        .await
        .unwrap();
    client.batch_execute(ROWS).await.unwrap();
    let package = Package::read(std::fs::read(plugin("tickets")).unwrap()).unwrap();
    let mut faults = Vec::new();
    for prelude in ["", ANALYSE] {
        client.batch_execute(prelude).await.unwrap();
        as_request(&client).await;
        for statement in &package.statements {
            let plan = plan(&client, &statement.text, statement.params.len()).await;
            faults.extend(fault(&statement.text, &plan));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    for (from, order, _) in FITTING {
        let is_there = |text: &str| text.contains(from) && text.contains(order);
        let there = package.statements.iter().any(|one| is_there(&one.text));
        assert!(there, "no statement has {from} and {order}");
    }
    let unfit = "SELECT id FROM tickets WHERE coalesce(type, '') = '' ORDER BY id, subject LIMIT 1";
    let plan = plan(&client, unfit, 0).await;
    assert!(fault(unfit, &plan).is_some(), "{plan}");
}
