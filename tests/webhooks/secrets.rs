//! Secrets at rest: nothing of them can be read in the database, and a new version of
//! the host's root secret takes over.

use std::collections::BTreeSet;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::fixture;
use crate::harness::fleet::Fleet;
use crate::harness::host::Host;
use crate::harness::postgres::until;

async fn created(host: &Host, key: &str, more: serde_json::Value) -> serde_json::Value {
    let request = host.post("/webhooks/endpoints", key).json(&more);
    request.send().await.unwrap().json().await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_of_a_secret_or_header_is_in_the_database() {
    let fleet = Fleet::start().await;
    let host = fleet.host(fixture::setup);
    let key = host.key("acme", &[]);
    let text = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let body = json!({"url": "https://example.com/", "secret": text,
        "headers": {"authorization": "Bearer hunter2"}});
    let made = created(&host, &key, body).await;
    assert_eq!(made["secret"], text);
    assert_eq!(made["header_names"], json!(["authorization"]));
    let database = fleet.cluster.connect(None).await;
    let plain = STANDARD.decode(&text["whsec_".len()..]).unwrap();
    for table in ["endpoints", "endpoint_secrets"] {
        let query = format!("SELECT t::text FROM plugin_webhooks.{table} AS t");
        let rows = database.query(&query, &[]).await.unwrap();
        assert_eq!(rows.len(), 1);
        let row: String = rows[0].get(0);
        for hidden in [
            "hunter2",
            &text[6..],
            &hex::encode(&plain),
            &hex::encode("hunter2"),
        ] {
            assert!(!row.contains(hidden), "{table}: {row}");
        }
    }
    assert!(!host.log().contains("hunter2") && !host.log().contains(&text[6..]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sealed_row_opens_for_no_other_endpoint() {
    let fleet = Fleet::start().await;
    let host = fleet.host(fixture::setup);
    let key = host.key("acme", &[]);
    let one = created(&host, &key, json!({"url": "https://example.com/1"})).await;
    let two = created(&host, &key, json!({"url": "https://example.com/2"})).await;
    let database = fleet.cluster.connect(None).await;
    let moved = "UPDATE plugin_webhooks.endpoint_secrets AS own SET sealed = other.sealed \
                 FROM plugin_webhooks.endpoint_secrets AS other \
                 WHERE own.endpoint_id = $1 AND other.endpoint_id = $2";
    let (one, two) = (one["id"].as_str().unwrap(), two["id"].as_str().unwrap());
    assert_eq!(database.execute(moved, &[&one, &two]).await.unwrap(), 1);
    let read = async |id: &str| {
        let path = format!("/webhooks/endpoints/{id}/secret");
        host.get(&path, &key)
            .send()
            .await
            .unwrap()
            .status()
            .as_u16()
    };
    assert_eq!((read(one).await, read(two).await), (500, 200));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sweep_seals_anew_what_an_older_root_secret_sealed() {
    let fleet = Fleet::start().await;
    let (old, new) = (hex::encode([1; 32]), hex::encode([2; 32]));
    let clock = tempfile::tempdir().unwrap();
    let file = clock.path().join("clock");
    let start = |secret: &str| {
        let setup = fixture::setup(fleet.setup().secret(secret));
        setup
            .env("HEARTH_CLOCK_FILE", file.to_str().unwrap())
            .start()
    };
    let mut host = start(&format!("1 {old}\n"));
    let key = host.key("acme", &[]);
    let body = json!({"url": "https://example.com/", "headers": {"x-a": "hunter2"}});
    let made = created(&host, &key, body.clone()).await;
    // More than a page of what is sealed.
    for _ in 0..100 {
        created(&host, &key, body.clone()).await;
    }
    assert!(host.stop().success());
    let path = format!(
        "/webhooks/endpoints/{}/secret",
        made["id"].as_str().unwrap()
    );
    let database = fleet.cluster.connect(None).await;
    let sealed = async || -> BTreeSet<Vec<u8>> {
        let query = "SELECT headers FROM plugin_webhooks.endpoints \
                     UNION ALL SELECT sealed FROM plugin_webhooks.endpoint_secrets";
        let rows = database.query(query, &[]).await.unwrap();
        rows.iter().map(|row| row.get(0)).collect()
    };
    let before = sealed().await;
    assert_eq!(before.len(), 2 * 101);
    let mut host = start(&format!("2 {new}\n1 {old}\n"));
    // Quarter by quarter of an hour, until the host has met its schedule and one is due.
    let mut quarters = 0;
    until(async || {
        quarters += 1;
        std::fs::write(&file, (quarters * 15 * 60_000).to_string()).unwrap();
        tokio::time::sleep(Duration::from_secs(1)).await;
        sealed().await.is_disjoint(&before)
    })
    .await;
    assert!(host.stop().success());
    // The key of a customer was hashed with the old root secret; a new one is made.
    let host = start(&format!("2 {new}\n"));
    let key = host.key("acme", &[]);
    let answer = host.get(&path, &key).send().await.unwrap();
    let shown: serde_json::Value = answer.json().await.unwrap();
    assert_eq!(shown["secret"], made["secret"]);
}
