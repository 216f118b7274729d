//! schemathesis, with all of its checks, against everything that the document
//! says: a real host, real data, an agent's key and a customer's.

use super::seed;
use crate::harness::host::{Host, Setup, runs};
use crate::harness::schemathesis::{Attack, schemathesis};

async fn attack(host: &Host, key: &str, ids: &[String]) {
    let attack = Attack {
        key,
        hooks: "openapi",
        told: &[("HEARTH_TICKETS", ids.join(","))],
        args: &[],
        examples_max: runs(6, 200),
    };
    schemathesis(host, attack).await;
}

async fn attacked(scopes: &[&str]) {
    let host = Setup::new().tickets().start();
    let key = host.key("acme", scopes);
    let agent = host.key("acme", &["--scope", "customer", "--scope", "agent"]);
    let ids = seed::tickets(&host, &agent, runs(40, 400)).await;
    seed::service_levels(&host, &agent).await;
    attack(&host, &key, &ids).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn schemathesis_finds_nothing_in_costs() {
    let host = Setup::new().forecasting().start();
    let key = host.key("acme", &[]);
    seed::costs(&host, &key).await;
    attack(&host, &key, &[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn schemathesis_finds_nothing_with_an_agent_s_key() {
    attacked(&["--scope", "customer", "--scope", "agent"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn schemathesis_finds_nothing_with_a_customer_s_key() {
    attacked(&[]).await;
}
