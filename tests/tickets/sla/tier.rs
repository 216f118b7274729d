//! The tier of a customer, which each host remembers until it changes.

use super::super::{id, ticket};
use super::*;

use crate::harness::fleet::Fleet;
use crate::harness::host::{Host, Setup};
use crate::harness::postgres::until;

/// By whose policy a ticket goes, as this host sees it.
async fn policy_of(host: &Host, key: &str, id: &str) -> Value {
    let path = format!("/support/tickets/{id}/sla");
    let (status, sla) = read(host.get(&path, key).send().await.unwrap()).await;
    assert_eq!(status, StatusCode::OK, "{sla}");
    sla["policy_id"].clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tier_is_read_once_and_a_change_of_it_reaches_every_host() {
    let fleet = Fleet::start().await;
    let (one, two) = (fleet.host(Setup::tickets), fleet.host(Setup::tickets));
    let (key, other) = (one.key("acme", &[]), one.key("globex", &[]));
    let make = async |key: &str| {
        let request = one.post("/support/tickets", key).json(&ticket());
        let (_, made) = read(request.send().await.unwrap()).await;
        id(&made).to_string()
    };
    let (ticket, others) = (make(&key).await, make(&other).await);
    for host in [&one, &two] {
        // A host that begins to listen forgets what it had.
        let misses = async || {
            host.metric("hearth_cache_lookups_total", &["tickets", "miss"])
                .await
        };
        until(async || {
            let before = misses().await;
            for _ in 0..20 {
                assert_eq!(policy_of(host, &key, &ticket).await, "built-in-unlimited");
                assert_eq!(policy_of(host, &other, &others).await, "built-in-unlimited");
            }
            misses().await == before
        })
        .await;
    }
    for tier in ["free", "premium"] {
        let args = ["keys", "create", "--customer", "acme", "--tier", tier];
        assert!(one.cli(&args).status.success());
        for host in [&one, &two] {
            let policy = format!("built-in-{tier}");
            until(async || policy_of(host, &key, &ticket).await == policy.as_str()).await;
            assert_eq!(policy_of(host, &other, &others).await, "built-in-unlimited");
        }
    }
}
