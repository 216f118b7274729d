//! What may not consume, and what may although it has no routes.

use reqwest::Method;
use serde_json::json;

use super::fixture::{Worker, admin, api, change, jobs, packed, repacked};
use crate::harness::host::Setup;

#[tokio::test]
async fn queue_is_consumed_by_one_plugin_alone() {
    let worker = Worker::start("", "").await;
    let thief = repacked(|manifest| {
        let manifest = manifest.replace("name = \"worker\"", "name = \"thief\"");
        manifest.replace("mount = \"/worker\"", "mount = \"/thief\"")
    });
    let path = "/deployments?approve=sql,log,queue:jobs,consume:jobs";
    let refused = change(admin(&worker.host, Method::POST, path).body(thief)).await;
    assert_eq!(
        (&refused["result"], &refused["step"]),
        (&json!("refused"), &json!("link"))
    );
    let reason = refused["reasons"].to_string();
    assert!(
        reason.contains("which plugin `worker` already consumes"),
        "{reason}"
    );
}

#[tokio::test]
async fn consuming_and_scheduled_sending_want_an_approval_each() {
    let host = Setup::new().start();
    let schedule =
        "[[schedule]]\nname = \"x\"\ncron = \"@daily\"\nqueue = \"reports\"\nfor = \"none\"";
    let plugin = packed("0.1.0", "", schedule);
    let path = "/deployments?approve=sql,log,queue:jobs";
    let refused = change(admin(&host, Method::POST, path).body(plugin.clone())).await;
    assert_eq!(
        refused["asks"],
        json!(["queue:reports", "consume:jobs"]),
        "{refused}"
    );
    let path = "/deployments?approve=sql,log,queue:jobs,queue:reports,consume:jobs";
    let served = change(admin(&host, Method::POST, path).body(plugin)).await;
    assert_eq!(served["result"], "serving", "{served}");
    let status = api(&host, Method::GET, "/plugins").await;
    let plugin = &status["plugins"][0];
    assert!(
        plugin["consumes"][0]
            .as_str()
            .unwrap()
            .starts_with("jobs: batches of 10")
    );
    assert!(
        plugin["schedules"][0]
            .as_str()
            .unwrap()
            .starts_with("x: @daily UTC to reports")
    );
}

/// The same component as two plugins: one only sends, the other only consumes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn worker_has_no_routes_and_consumes_what_others_send() {
    let sender = repacked(|manifest| {
        let plugin = manifest.replace("\"full\"", "\"plugin\"");
        let plugin = plugin.split("[[queues]]").next().unwrap();
        plugin.replace("name = \"worker\"", "name = \"sender\"")
    });
    let consumer = repacked(|manifest| {
        let worker = manifest.replace("\"full\"", "\"worker\"");
        worker.replace("mount = \"/worker\"\n", "")
    });
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("sender.wasm");
    std::fs::write(&file, sender).unwrap();
    let grants = ["sql", "log", "queue:jobs"];
    let with = |setup: Setup| setup.plugin("sender", &file, &grants, "");
    let worker = Worker::start_with(&consumer, "", with).await;
    let key = worker.key("acme");
    worker.send(&key, "", &jobs(0..10, json!({}))).await;
    worker.until_recorded(10).await;
    // Where the sender is mounted, and nowhere else.
    let found = worker.host.get("/worker", &key).send().await.unwrap();
    assert_eq!(found.headers()["hearth-plugin"], "sender@1");
    let none = worker.host.get("/", &key).send().await.unwrap();
    assert!(!none.headers().contains_key("hearth-plugin"));
    let status = api(&worker.host, Method::GET, "/plugins").await;
    assert_eq!(status["plugins"][1]["mount"], "");
}
