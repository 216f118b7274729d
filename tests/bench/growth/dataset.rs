//! A host whose customer has so many rows, and the ids of some of them.

use reqwest::Method;
use serde_json::{Value, json};

use super::super::fill::{self, Owner};
use super::super::hosts;
use crate::harness::fleet::Fleet;
use crate::harness::host::Host;
use crate::openapi::seed;

/// Customers beside the one.
const OTHERS: u64 = 999;
/// What all of them have together: a tenth of what the one has, but each at least one.
const PART_OF_OTHERS: u64 = 10;
/// How many notifications there are, of so many rows.
const PART_OF_NOTIFICATIONS: u64 = 10;

/// Postgres's own doing would analyse what shall not be.
const QUIET: [&str; 2] = [
    "ALTER SYSTEM SET autovacuum = off",
    "SELECT pg_reload_conf()",
];

pub struct Dataset {
    pub host: Host,
    pub agent: String,
    fleet: Fleet,
    /// What stands in a path, and what is put in its place.
    ids: Vec<(&'static str, String)>,
}

impl Dataset {
    pub async fn rows(rows: u64) -> Dataset {
        let fleet = Fleet::start().await;
        let database = fleet.cluster.connect(None).await;
        for statement in QUIET {
            database.batch_execute(statement).await.unwrap();
        }
        let host = hosts::reviewed(&fleet);
        let agent = hosts::agent(&host, "acme");
        let mut dataset = Dataset {
            host,
            agent,
            fleet,
            ids: Vec::new(),
        };
        dataset.fill(rows).await;
        dataset
    }

    async fn fill(&mut self, rows: u64) {
        let (host, agent) = (&self.host, &self.agent);
        seed::service_levels(host, agent).await;
        seed::costs(host, agent).await;
        let endpoint = settings(host, agent).await;
        let database = self.fleet.cluster.connect(None).await;
        let customer = fill::customer(&database, "acme").await;
        let one = Owner::One(&customer);
        // Numbers of their own, so that no id is another customer's.
        let others = rows..rows + OTHERS.max(rows / PART_OF_OTHERS);
        fill::tickets(&database, one, 0, rows).await;
        fill::tickets(&database, Owner::Many(OTHERS), others.start, others.end).await;
        fill::events(&database, one, &endpoint, 0, rows).await;
        let many = Owner::Many(OTHERS);
        fill::events(&database, many, &endpoint, others.start, others.end).await;
        let notifications = rows.div_ceil(PART_OF_NOTIFICATIONS);
        let notification = fill::notifications(host, agent, notifications).await;
        println!("filled: {rows} tickets, {rows} events, {notifications} notifications");
        self.ids = vec![
            ("/support/tickets/{id}", fill::id("tkt", rows / 2)),
            ("/support/calendars/{id}", "office".into()),
            ("/support/sla-policies/{id}", "kept".into()),
            ("/webhooks/endpoints/{id}", endpoint.clone()),
            ("/webhooks/events/{id}", fill::id("evt", rows / 2)),
            ("/webhooks/event-types/{name}", "type7".into()),
            ("/costs/budgets/{id}", "all".into()),
            ("/notifications/templates/{id}", "ticket.created".into()),
            ("/notifications/{id}", notification),
            ("{endpoint}", endpoint),
        ];
    }

    pub async fn analyse(&self) {
        let database = self.fleet.cluster.connect(None).await;
        database.batch_execute("ANALYZE").await.unwrap();
    }

    /// The path with real ids.
    pub fn fill_in(&self, path: &str) -> String {
        let mut filled = path.to_string();
        for (place, id) in &self.ids {
            let with_id = match place.rsplit_once('/') {
                Some((before, _)) => format!("{before}/{id}"),
                None => id.clone(),
            };
            filled = filled.replace(place, &with_id);
        }
        assert!(!filled.contains('{'), "no id is known for {path}");
        filled
    }
}

/// What the customer has set up, whatever it has. Answers the id of its endpoint.
async fn settings(host: &Host, agent: &str) -> String {
    let endpoint = json!({"url": "https://example.com/hooks", "event_types": ["nothing"]});
    let made = send(host, agent, Method::POST, "/webhooks/endpoints", endpoint).await;
    let kind = json!({"description": "A type"});
    send(
        host,
        agent,
        Method::PUT,
        "/webhooks/event-types/type7",
        kind,
    )
    .await;
    let budget = json!({"amount": "100000", "period": "annually"});
    send(host, agent, Method::PUT, "/costs/budgets/all", budget).await;
    made["id"].as_str().unwrap().to_string()
}

async fn send(host: &Host, agent: &str, method: Method, path: &str, body: Value) -> Value {
    let answer = host.request(method, path, agent).json(&body).send().await;
    let (status, told) = {
        let answer = answer.unwrap();
        (answer.status(), answer.json::<Value>().await.unwrap())
    };
    assert!(status.is_success(), "{path}: {status} {told}");
    told
}
