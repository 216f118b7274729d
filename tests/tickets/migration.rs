//! What tickets have that were made before there were words, feeds, unique external
//! ids, clocks and due times.

use crate::harness::postgres::Cluster;

const FIRST: &str = include_str!("../../plugins/tickets/migrations/0001_tickets.sql");
const SECOND: &str =
    include_str!("../../plugins/tickets/migrations/0002_finding_and_following.sql");
const THIRD: &str = include_str!("../../plugins/tickets/migrations/0003_sla.sql");
const FOURTH: &str = include_str!("../../plugins/tickets/migrations/0004_sla_alerts.sql");
const FIFTH: &str = include_str!("../../plugins/tickets/migrations/0005_clocks_by_due_time.sql");
const SIXTH: &str =
    include_str!("../../plugins/tickets/migrations/0006_folding_requesters_and_lists.sql");

#[tokio::test]
async fn older_tickets_are_found_followed_and_told_apart() {
    let cluster = Cluster::start().await;
    let client = cluster.connect(None).await;
    let rows = "INSERT INTO tickets (customer_id, id, subject, description, external_id) VALUES
        ('acme', 'tkt_1', 'Red printer', 'smokes', 'crm'),
        ('acme', 'tkt_2', 'Red printer again', 'red red', 'crm'),
        ('acme', 'tkt_3', 'Other', 'x', NULL), ('bolt', 'tkt_4', 'Other', 'x', 'crm')";
    for sql in ["CREATE SCHEMA p; SET search_path = p", FIRST, rows, SECOND] {
        client.batch_execute(sql).await.unwrap();
    }
    let texts = async |sql: &str| -> Vec<String> {
        let rows = client.query(sql, &[]).await.unwrap();
        rows.iter().map(|row| row.get(0)).collect()
    };
    let words = "SELECT ticket_id FROM ticket_terms WHERE term = 'red' ORDER BY 1";
    assert_eq!(texts(words).await, ["tkt_1", "tkt_2"]);
    let ids = "SELECT external_id FROM tickets WHERE external_id IS NOT NULL ORDER BY id";
    assert_eq!(texts(ids).await, ["crm", "crm#tkt_2", "crm"]);
    let changes = "SELECT ticket_id FROM ticket_changes WHERE position IS NULL ORDER BY 1";
    assert_eq!(texts(changes).await, ["tkt_1", "tkt_2", "tkt_3", "tkt_4"]);
}

#[tokio::test]
async fn clocks_of_older_tickets_run_since_they_were_made_and_know_the_first_answer() {
    let cluster = Cluster::start().await;
    let client = cluster.connect(None).await;
    let rows = "INSERT INTO tickets (customer_id, id, subject, description, status, created_at, solved_at)
        SELECT 'acme', 'tkt_' || status, 's', 'd', status, '2026-01-01Z',
            CASE WHEN status IN ('solved', 'closed') THEN timestamptz '2026-01-02Z' END
        FROM unnest(ARRAY['new', 'open', 'pending', 'hold', 'solved', 'closed']) AS status;
        INSERT INTO ticket_comments (customer_id, id, ticket_id, public, body, author, by_agent, created_at)
        VALUES ('acme', 'c1', 'tkt_open', true, 'b', 'k', false, '2026-01-03Z'),
            ('acme', 'c2', 'tkt_open', false, 'b', 'k', true, '2026-01-04Z'),
            ('acme', 'c3', 'tkt_open', true, 'b', 'k', true, '2026-01-06Z'),
            ('acme', 'c4', 'tkt_open', true, 'b', 'k', true, '2026-01-05Z'),
            ('bolt', 'c5', 'tkt_bolt', true, 'b', 'k', true, '2026-01-05Z')";
    let other = "INSERT INTO tickets (customer_id, id, subject, description)
        VALUES ('bolt', 'tkt_bolt', 's', 'd')";
    let schema = "CREATE SCHEMA p; SET search_path = p; SET timezone = 'UTC'";
    for sql in [schema, FIRST, SECOND, other, rows, THIRD, FOURTH] {
        client.batch_execute(sql).await.unwrap();
    }
    let silent = "SELECT count(*) FROM ticket_clocks WHERE first_response_warned_at IS NOT NULL
        AND first_response_breached_at IS NOT NULL AND resolution_warned_at IS NOT NULL
        AND resolution_breached_at IS NOT NULL AND check_at IS NULL";
    let silent: i64 = client.query_one(silent, &[]).await.unwrap().get(0);
    assert_eq!(silent, 7, "what was due before is told to nobody");
    let told = "SELECT ticket_id || ' ' || coalesce(to_char(running_since, 'DD'), '-')
            || ' ' || coalesce(to_char(first_response_met_at, 'DD'), '-')
            || ' ' || coalesce(to_char(resolution_met_at, 'DD'), '-')
        FROM ticket_clocks WHERE customer_id = 'acme' ORDER BY ticket_id";
    let rows = client.query(told, &[]).await.unwrap();
    let rows: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    let expected = [
        "tkt_closed - - 02",
        "tkt_hold - - -",
        "tkt_new 01 - -",
        "tkt_open 01 05 -",
        "tkt_pending - - -",
        "tkt_solved - - 02",
    ];
    assert_eq!(rows, expected);
    // The first answer to the one that is open was given, and nothing is promised of others.
    let due = "UPDATE ticket_clocks SET first_response_due_at = '2026-01-07Z',
        resolution_due_at = '2026-01-08Z' WHERE ticket_id IN ('tkt_new', 'tkt_open')";
    for sql in [due, FIFTH, SIXTH] {
        client.batch_execute(sql).await.unwrap();
    }
    let due = "SELECT ticket_id || ' ' || to_char(due_at, 'YYYY-MM-DD') FROM ticket_clocks
        WHERE customer_id = 'acme' ORDER BY due_at, ticket_id LIMIT 3";
    let rows = client.query(due, &[]).await.unwrap();
    let rows: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    let expected = [
        "tkt_new 2026-01-07",
        "tkt_open 2026-01-08",
        "tkt_closed 9999-12-31",
    ];
    assert_eq!(rows, expected);
}
