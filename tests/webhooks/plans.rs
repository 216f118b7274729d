//! How Postgres finds a delivery: by its event and its endpoint, also where its statistics
//! know other customers only.

use hearth::plugin::package::Package;

use super::fixture::Webhooks;
use crate::harness::host::plugin;
use crate::harness::planner::{as_request, plan, superuser};

/// Fifty thousand deliveries of other customers: few endpoints, and nothing that waits, is
/// under way or failed. So each index that has less in it than the primary key looks cheap.
const OTHERS: &str = "
    SET search_path = plugin_webhooks; SET session_replication_role = replica;
    CREATE TEMPORARY TABLE made AS
    SELECT 'other' || n % 3 AS customer_id, 'evt_' || lpad(n::text, 36, '0') AS event_id,
        'ep_' || lpad((n % 12)::text, 36, '0') AS endpoint_id, now() AS at
    FROM generate_series(1, 50000) AS n;
    INSERT INTO endpoints (customer_id, id, url, event_types, ordered, metadata, signature,
        header_names, headers, enabled, created_at, updated_at)
    SELECT DISTINCT customer_id, endpoint_id, '', '{}'::text[], false, '{}'::jsonb, 'v1',
        '{}'::text[], ''::bytea, true, now(), now() FROM made;
    INSERT INTO endpoint_health (customer_id, endpoint_id)
    SELECT customer_id, id FROM endpoints WHERE customer_id LIKE 'other%';
    INSERT INTO events (customer_id, id, type, body, occurred_at, created_at)
    SELECT customer_id, event_id, 'a', '{}', at, at FROM made;
    INSERT INTO deliveries (customer_id, event_id, endpoint_id, status, due_at, created_at, ended_at)
    SELECT customer_id, event_id, endpoint_id, 'delivered', at, at, at FROM made;
    ANALYZE deliveries, events, endpoints, endpoint_health";

/// Statements of which one part goes through what the customer has: a page of the oldest
/// events, and what waits, counted to a bound.
const OF_ALL: [&str; 2] = ["forget_events", "sums"];

/// Whether a statement names one delivery, perhaps the first of a line.
fn is_of_one(text: &str) -> bool {
    let names = |column: &str| text.contains(&format!("{column} = $"));
    text.contains("deliveries")
        && names("endpoint_id")
        && (names("event_id") || text.contains("event_id = ("))
}

/// The scans of a plan that go by less than they should: by the customer alone, or, of one
/// delivery, by one of its two keys.
fn faults<'p>(plan: &'p str, name: &str, is_of_one: bool) -> Vec<&'p str> {
    let lines: Vec<&str> = plan.lines().collect();
    let scans = lines.windows(2).filter(|pair| {
        let on = |table: &str| pair[0].contains("Scan") && pair[0].contains(table);
        // Others have an alias, or are those that are under way.
        let is_the_one = (on(" on deliveries  (") || on(" on deliveries own "))
            && !pair[0].contains("deliveries_leased");
        let by_both = pair[1].contains("event_id = ") && pair[1].contains("endpoint_id = ");
        let by_customer = !pair[1].contains(" AND ") && !OF_ALL.contains(&name);
        let is_large = on(" on deliveries") || on(" on events");
        (is_large && by_customer) || (is_of_one && is_the_one && !by_both)
    });
    scans.map(|pair| pair[0].trim()).collect()
}

#[tokio::test]
async fn look_up_of_one_delivery_reads_no_other_for_a_customer_whom_no_statistics_know() {
    let webhooks = Webhooks::start();
    let client = superuser(&webhooks.host).await;
    let quiet = "ALTER SYSTEM SET autovacuum = off";
    client.batch_execute(quiet).await.unwrap();
    client
        .batch_execute("SELECT pg_reload_conf()")
        .await
        .unwrap();
    for statement in OTHERS.split(';') {
        client.batch_execute(statement).await.unwrap();
    }
    client
        .batch_execute("RESET session_replication_role")
        .await
        .unwrap();
    as_request(&client, "webhooks", "acme").await;
    let package = Package::read(std::fs::read(plugin("webhooks")).unwrap()).unwrap();
    let (mut found, mut of_one) = (Vec::new(), 0);
    for statement in &package.statements {
        let plan = plan(&client, &statement.text, statement.params.len()).await;
        let is_of_one = is_of_one(&statement.text);
        of_one += usize::from(is_of_one);
        let faults = faults(&plan, &statement.name, is_of_one);
        found.extend(
            faults
                .iter()
                .map(|fault| format!("{fault}\n{}\n{plan}", statement.text)),
        );
    }
    assert!(of_one >= 7, "{of_one}");
    assert!(found.is_empty(), "{}", found.join("\n"));
}
