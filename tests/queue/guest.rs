//! The capability `queue` as a component uses it, on a real host.

use std::time::Duration;

use hearth::backend::queue::{Config, Received};

use hearth::backend::queues::Queues;
use hearth::clock::Clock;
use hearth::secret::RootSecret;
use hearth::telemetry::{HostMetrics, Metrics};
use serde_json::Value;

use super::bench::{HOUR, MOMENT, PATIENCE};
use crate::harness::fleet::Fleet;
use crate::harness::host::Host;

/// A host with the guest that sends, on a database that the test sees too.
pub struct Stage {
    pub fleet: Fleet,
    pub host: Host,
    pub key: String,
    pub queues: Queues,
}

impl Stage {
    pub async fn start() -> Stage {
        Stage::with("").await
    }

    /// With further sections of configuration.
    pub async fn with(config: &str) -> Stage {
        let fleet = Fleet::start().await;
        let host = fleet.host(|setup| {
            let setup = setup.config(config);
            setup.guest("queued", &["sql", "queue:orders"], "")
        });
        let key = host.key("acme", &[]);
        let queues = consumer(&fleet).await;
        Stage {
            fleet,
            host,
            key,
            queues,
        }
    }

    pub async fn post(&self, path: &str, body: &str) -> String {
        let post = self.host.post(&format!("/queued{path}"), &self.key);
        let answer = post.body(body.to_owned()).send().await.unwrap();
        let status = answer.status();
        match answer.json::<Value>().await.unwrap() {
            Value::String(text) => text,
            other => format!("{status} {other}"),
        }
    }

    /// All that is in the queue, which then is empty.
    pub async fn all(&self) -> Vec<Received> {
        let mut all = Vec::new();
        loop {
            let received = self.queues.receive("orders", 10, MOMENT, HOUR);
            let received = received.await.unwrap();
            if received.is_empty() {
                return all;
            }
            all.extend(received);
        }
    }
}

/// The test as another host of the fleet, which only consumes.
pub async fn consumer(fleet: &Fleet) -> Queues {
    let folder = tempfile::tempdir().unwrap();
    let secret = RootSecret::open(&folder.path().join("secret")).unwrap();
    let server = fleet.cluster.server().await;
    let metrics = HostMetrics::new(&Metrics::new(&hearth::telemetry::Config::default()));
    let config = Config {
        poll_ms: 50,
        ..Config::default()
    };
    let opened = Queues::open(&config, server, &secret, Clock::system(), &metrics).await;
    opened.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn guest_sends_and_the_host_stamps_who_it_was() {
    let stage = Stage::start().await;
    let told = stage.post("/send/orders", "hello").await;
    let received = stage.queues.receive("orders", 10, PATIENCE, HOUR).await;
    let received = received.unwrap();
    assert_eq!(told, format!("Ok({:?})", received[0].id));
    assert_eq!(&received[0].body[..], b"hello");
    let customer = received[0].customer.as_deref().unwrap();
    let database = stage.fleet.cluster.connect(None).await;
    let named = "SELECT name FROM hearth.customers WHERE id = $1";
    let name: String = database
        .query_one(named, &[&customer])
        .await
        .unwrap()
        .get(0);
    assert_eq!((&*name, &*received[0].plugin), ("acme", "queued"));
    assert_eq!(received[0].attributes, [("kind".into(), "test".into())]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_message_of_a_guests_call_is_told_for_itself() {
    let stage = Stage::with("[queue]\ncall_messages_max = 100").await;
    let told = stage.post("/send-many/7", "x").await;
    assert_eq!(told.matches("Ok(").count(), 6, "{told}");
    assert_eq!(told.matches("Err(TooLarge)").count(), 1, "{told}");
    assert_eq!(stage.all().await.len(), 6);
    let told = stage.post("/send-many/101", "x").await;
    assert_eq!(told.matches("Err(Invalid").count(), 101, "{told}");
    assert!(stage.all().await.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn queue_without_a_grant_is_denied_everywhere() {
    let stage = Stage::start().await;
    let told = stage.post("/denied", "x").await;
    let denied = "Denied(\"no grant for queue secrets\")";
    assert_eq!(told.matches(denied).count(), 3, "{told}");
    let told = stage.post("/send/nowhere", "x").await;
    assert_eq!(told, "Err(Denied(\"no grant for queue nowhere\"))");
    let database = stage.fleet.cluster.connect(None).await;
    let count = "SELECT count(*) FROM hearth.outbox";
    let count: i64 = database.query_one(count, &[]).await.unwrap().get(0);
    assert_eq!(count, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn guest_is_told_that_a_queue_is_full() {
    let stage = Stage::with("[queue]\ndepth_max = 10\ncount_ms = 100").await;
    let mut sent = 0;
    while stage.post("/send/orders", "x").await.starts_with("Ok") {
        sent += 1;
        assert!(sent < 1_000, "it is never full");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let unavailable = stage.post("/send/orders", "x").await;
    assert_eq!(unavailable, "Err(Unavailable)");
    for way in ["/transaction/commit", "/batch/plain"] {
        let told = stage.post(way, "x").await;
        assert_eq!(told, "Err(QueueFull(\"orders\"))", "{way}");
    }
    assert_eq!(stage.all().await.len(), sent);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn guests_clock_goes_forward_with_the_hosts_and_the_log_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("clock");
    let fleet = Fleet::start().await;
    let host = fleet.host(|setup| {
        let setup = setup.env("HEARTH_CLOCK_FILE", &file.display().to_string());
        setup.guest("queued", &["sql", "queue:orders"], "")
    });
    let key = host.key("acme", &[]);
    let now = async || -> u64 {
        let answer = host.get("/queued/now", &key).send().await.unwrap();
        answer.json().await.unwrap()
    };
    let (before, days) = (now().await, 3 * 86_400);
    std::fs::write(&file, (days * 1_000).to_string()).unwrap();
    let after = now().await;
    assert!(after >= before + days, "{before} {after}");
    assert!(host.log().contains("HEARTH_CLOCK_FILE IS SET"));
}
