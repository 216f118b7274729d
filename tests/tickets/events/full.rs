//! Where nobody listens: nothing is sent unless the operator says so, and a queue that
//! is full stops no ticket.

use reqwest::{Method, StatusCode};
use serde_json::json;

use super::super::{Support, id, ticket};
use super::QUEUES;
use crate::harness::fleet::Fleet;
use crate::harness::host::Setup;
use crate::harness::postgres::until;

const IN_QUEUES: &str = "SELECT count(*) FROM hearth.outbox WHERE queue = ANY ($1)";

async fn open(with: impl FnOnce(Setup) -> Setup) -> (Fleet, Support) {
    let fleet = Fleet::start().await;
    let host = with(fleet.setup()).start();
    let key = host.key("acme", &[]);
    let agent = host.key("acme", &["--scope", "customer", "--scope", "agent"]);
    (fleet, Support { host, key, agent })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_setting_nobody_is_told_and_nothing_piles_up() {
    let (fleet, support) = open(|setup| setup.tickets()).await;
    let made = support.create(ticket()).await;
    support.patch(id(&made), json!({"status": "solved"})).await;
    let database = fleet.cluster.connect(None).await;
    let count: i64 = database
        .query_one(IN_QUEUES, &[&&QUEUES[..]])
        .await
        .unwrap()
        .get(0);
    assert_eq!(count, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_the_queue_that_is_named_is_told() {
    let (fleet, support) = open(|setup| setup.tickets_telling("notification-events")).await;
    support.create(ticket()).await;
    let database = fleet.cluster.connect(None).await;
    let queues = "SELECT DISTINCT queue FROM hearth.outbox WHERE queue <> 'ticket-clocks'";
    let rows = database.query(queues, &[]).await.unwrap();
    let queues: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    assert_eq!(queues, ["notification-events"]);
}

/// Whether the plugin said that this queue had no room.
fn is_logged(support: &Support, queue: &str) -> bool {
    let log = support.host.log();
    let says = |line: &str| line.contains("the queue is full") && line.contains(queue);
    log.lines().any(says)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn full_queues_stop_no_change_of_a_ticket() {
    let small = "[queue]\ndepth_max = 4\ncustomer_depth_percent_max = 100\ncount_ms = 100";
    let telling = |setup: Setup| setup.config(small).tickets_telling(&QUEUES.join(","));
    let (fleet, support) = open(telling).await;
    // Nobody listens; the orders to look at clocks wait for hours, one of each customer,
    // and fill theirs.
    let queues = [QUEUES[0], QUEUES[1], "ticket-clocks"];
    let mut customers = 0;
    until(async || {
        customers += 1;
        let customer = format!("c{customers}");
        let key = support.host.key(&customer, &[]);
        let request = support.host.post("/support/tickets", &key).json(&ticket());
        let made = request.send().await.unwrap();
        assert_eq!(made.status(), StatusCode::CREATED);
        queues.iter().all(|queue| is_logged(&support, queue))
    })
    .await;
    let made = support.create(ticket()).await;
    let (status, answer) = support.patch(id(&made), json!({"status": "open"})).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    let create = json!({"create": [ticket(), ticket()]});
    let bulk = support.ask(Method::POST, "/support/tickets/bulk", true, create);
    assert_eq!(bulk.await.1["succeeded"], 2);
    let comments = format!("/support/tickets/{}/comments", id(&made));
    let said = support.ask(Method::POST, &comments, true, json!({"body": "b"}));
    assert_eq!(said.await.0, StatusCode::CREATED);
    let database = fleet.cluster.connect(None).await;
    let count: i64 = database
        .query_one(IN_QUEUES, &[&&QUEUES[..]])
        .await
        .unwrap()
        .get(0);
    assert!(count > 0, "what had room was sent");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn setting_that_names_another_queue_is_refused() {
    let output = Setup::new()
        .tickets_telling("webhook-events,webhooks")
        .refused();
    assert!(!output.status.success());
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(told.contains("self-test"), "{told}");
    assert!(
        told.contains("the setting events names an unknown queue"),
        "{told}"
    );
}
