//! What the requests of webhooks cost, as counts: the same for a customer with a
//! hundred events and one with a hundred thousand, and whether its tables were ever
//! analysed or not. Each budget says what spends it.

use serde_json::json;

use super::fixture::GRANTS;
use crate::harness::fleet::Fleet;
use crate::harness::host::{Host, Setup, plugin};
use crate::harness::meter::{Measured, Meter, budget, clock_at};
use crate::harness::postgres::Cluster;

/// So many events of the customer who has one, each delivered to an endpoint, one in fifty in vain.
async fn fill(cluster: &Cluster, from: i64, to: i64) {
    let rows = format!(
        "SET search_path = plugin_webhooks; SET session_replication_role = replica;
        SET synchronous_commit = off;
        CREATE TEMPORARY TABLE made AS SELECT n, 'evt_0' || lpad(n::text, 35, '0') AS id,
            customer_id, now() - ({to} - n) * interval '1 second' AS at
        FROM generate_series({from}, {to}) AS n,
            (SELECT min(customer_id) AS customer_id FROM events) AS customer;
        INSERT INTO endpoints (customer_id, id, url, event_types, ordered, metadata, signature,
            header_names, headers, enabled, created_at, updated_at)
        SELECT min(customer_id), '{ENDPOINT}', 'https://example.com', '{{none}}', false, '{{}}',
            'v1', '{{}}', '', true, now(), now() FROM made ON CONFLICT DO NOTHING;
        INSERT INTO endpoint_health (customer_id, endpoint_id)
        SELECT min(customer_id), '{ENDPOINT}' FROM made ON CONFLICT DO NOTHING;
        INSERT INTO events (customer_id, id, type, body, occurred_at, created_at)
        SELECT customer_id, id, 'type' || n % 20, '{{}}', at, at FROM made;
        INSERT INTO deliveries (customer_id, event_id, endpoint_id, status, due_at, created_at,
            ended_at)
        SELECT customer_id, id, '{ENDPOINT}',
            CASE WHEN n % 50 = 0 THEN 'failed' ELSE 'delivered' END, at, at, at FROM made;
        INSERT INTO attempts (customer_id, id, event_id, endpoint_id, number, started_at,
            duration_ms, outcome, response)
        SELECT customer_id, 'att_0' || lpad(n::text, 35, '0'), id, '{ENDPOINT}', 1, at, 3,
            'delivered', '' FROM made"
    );
    let client = cluster.connect(None).await;
    client.batch_execute(&rows).await.unwrap();
}

const ENDPOINT: &str = "ep_017f22e2-79b0-7cc3-98c4-dc0c0c07398f";

/// Of a page one row more is read, to know whether there is another. Whoever reads a
/// page may tidy it, which is a few bytes of log.
fn requests<'r>(host: &'r Host, key: &'r str, event: &str) -> Vec<Measured<'r>> {
    let get = |name, path: &str, budget| {
        let path = format!("/webhooks{path}");
        Measured {
            name,
            budget,
            request: Box::new(move || host.get(&path, key)),
        }
    };
    let accept = move || {
        let event = json!({"type": "invoice.paid", "payload": {"amount": 1}});
        host.post("/webhooks/events", key).json(&event)
    };
    let endpoint = |rest: &str| format!("/endpoints/{ENDPOINT}{rest}");
    vec![
        // The type's schema and the endpoints are read; the event has three indexes.
        Measured {
            name: "accept",
            budget: budget(2, 2, 26, 1_100),
            request: Box::new(accept),
        },
        get("events", "/events?limit=20", budget(1, 21, 14, 100)),
        get(
            "events of a type",
            "/events?type=type7&limit=20",
            budget(1, 21, 30, 100),
        ),
        // The event and its deliveries.
        get("event", &format!("/events/{event}"), budget(2, 2, 10, 100)),
        // Of a table of a hundred rows it may read all, as long as there are no statistics.
        get(
            "attempts of an event",
            &format!("/events/{event}/attempts"),
            budget(2, 102, 16, 100),
        ),
        get(
            "attempts of an endpoint",
            &endpoint("/attempts?limit=20"),
            budget(2, 22, 14, 100),
        ),
        get("endpoints", "/endpoints?limit=20", budget(1, 2, 8, 100)),
        // What failed for good is counted, up to 10,000: one in fifty, here.
        get(
            "statistics",
            &endpoint("/stats"),
            budget(2, 2_010, 2_100, 100),
        ),
        // Each delivery that failed with its event.
        get("dead letters", "/dlq?limit=20", budget(1, 42, 130, 100)),
    ]
}

async fn accepted(host: &Host, key: &str) -> String {
    let event = json!({"type": "invoice.paid", "payload": {"amount": 1}});
    let answer = host.post("/webhooks/events", key).json(&event).send().await;
    let event: serde_json::Value = answer.unwrap().json().await.unwrap();
    event["id"].as_str().unwrap().to_string()
}

fn with_webhooks(setup: Setup) -> Setup {
    setup.plugin("webhooks", &plugin("webhooks"), &GRANTS, "")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_cost_the_same_at_a_hundred_and_at_a_hundred_thousand_events() {
    let (mut fleet, folder) = (Fleet::start().await, tempfile::tempdir().unwrap());
    Meter::prepare(&mut fleet.cluster).await;
    // What is forgotten is looked for every quarter of an hour.
    let clock = clock_at(35, folder.path());
    let host = fleet.host(|setup| with_webhooks(setup).env("HEARTH_CLOCK_FILE", &clock));
    let key = host.key("acme", &[]);
    let meter = Meter::of(&fleet.cluster, "webhooks").await;
    let event = accepted(&host, &key).await;
    let requests = requests(&host, &key, &event);
    fill(&fleet.cluster, 1, 100).await;
    let mut over = meter.excess(&requests, "a hundred events").await;
    fill(&fleet.cluster, 101, 100_000).await;
    let state = "a hundred thousand, never analysed";
    over.extend(meter.excess(&requests, state).await);
    let database = fleet.cluster.connect(None).await;
    database.batch_execute("ANALYZE").await.unwrap();
    over.extend(
        meter
            .excess(&requests, "a hundred thousand, analysed")
            .await,
    );
    assert!(over.is_empty(), "{}", over.join("\n"));
}
