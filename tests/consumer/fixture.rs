//! A fleet whose hosts serve the guest `worker`, which sends to itself.

use std::ops::Range;
use std::path::{Path, PathBuf};

use hearth::plugin::package::{PackageParts, pack};
use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio_postgres::Client;

use crate::harness::fleet::Fleet;
use crate::harness::host::{Host, Setup, guest};
use crate::harness::postgres::until;

pub const GRANTS: [&str; 4] = ["sql", "log", "queue:jobs", "consume:jobs"];

/// A fleet, its first host, and the database beside it.
pub struct Worker {
    pub fleet: Fleet,
    pub host: Host,
    database: Client,
    folder: TempDir,
}

/// Jobs of these numbers, each with what else it shall say.
pub fn jobs(numbers: Range<usize>, more: Value) -> Vec<Value> {
    let job = |number: usize| {
        let mut job = more.clone();
        job["number"] = json!(number);
        job
    };
    numbers.map(job).collect()
}

/// The guest with further lines for its queue, and at the end of its manifest.
pub fn packed(version: &str, queue: &str, more: &str) -> Vec<u8> {
    repacked(|manifest| {
        let manifest = manifest.replace("0.1.0", version);
        format!("{manifest}{queue}\n{more}\n")
    })
}

/// The guest with another manifest.
pub fn repacked(change: impl FnOnce(&str) -> String) -> Vec<u8> {
    let component = std::fs::read(guest("worker")).unwrap();
    pack(&component, &parts(change)).unwrap()
}

fn parts(change: impl FnOnce(&str) -> String) -> PackageParts {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("guests/worker.toml");
    let mut parts = PackageParts::read(&file).unwrap();
    parts.manifest = change(&parts.manifest);
    parts
}

/// The second version records itself under another name.
pub fn second(queue: &str) -> Vec<u8> {
    let (old, new) = (b"version-1", b"version-2");
    let mut component = std::fs::read(guest("worker")).unwrap();
    let windows = component.windows(old.len()).enumerate();
    let found: Vec<usize> = windows
        .filter(|(_, window)| *window == old)
        .map(|(at, _)| at)
        .collect();
    assert!(!found.is_empty(), "the guest has another version's name");
    for at in found {
        component[at..at + new.len()].copy_from_slice(new);
    }
    let parts = parts(|manifest| format!("{}{queue}\n", manifest.replace("0.1.0", "0.2.0")));
    pack(&component, &parts).unwrap()
}

impl Worker {
    /// `queue` are further lines for the guest's `[[queues]]`, `config` for the
    /// host's hearth.toml.
    pub async fn start(queue: &str, config: &str) -> Worker {
        Worker::start_with(&packed("0.1.0", queue, ""), config, |setup| setup).await
    }

    pub async fn start_with(
        plugin: &[u8],
        config: &str,
        with: impl FnOnce(Setup) -> Setup,
    ) -> Worker {
        let (fleet, folder) = (Fleet::start().await, tempfile::tempdir().unwrap());
        std::fs::write(folder.path().join("worker.wasm"), plugin).unwrap();
        let setup = setup(&fleet, &folder.path().join("worker.wasm"), config);
        let host = with(setup).start();
        let database = fleet.cluster.connect(None).await;
        Worker {
            fleet,
            host,
            database,
            folder,
        }
    }

    /// Another host of the fleet, with the same plugin.
    pub fn another(&self, config: &str, with: impl FnOnce(Setup) -> Setup) -> Host {
        with(setup(&self.fleet, &self.file(), config)).start()
    }

    pub fn file(&self) -> PathBuf {
        self.folder.path().join("worker.wasm")
    }

    pub fn key(&self, customer: &str) -> String {
        self.host.key(customer, &[])
    }

    /// Sends jobs through the guest, as many at once as the host takes; all of them
    /// are acknowledged.
    pub async fn send(&self, key: &str, query: &str, jobs: &[Value]) -> Vec<String> {
        let mut ids = Vec::new();
        for some in jobs.chunks(100) {
            let request = self.host.post(&format!("/worker/jobs{query}"), key);
            let answer = request.json(&some).send().await.unwrap();
            let status = answer.status();
            let text = answer.text().await.unwrap();
            assert_eq!(status, StatusCode::ACCEPTED, "{text}");
            ids.extend(serde_json::from_str::<Vec<String>>(&text).unwrap());
        }
        ids
    }

    /// The first column of a query, as text; `ROWS` are the recorded deliveries.
    pub async fn column(&self, query: &str) -> Vec<String> {
        let query = query.replace("ROWS", "plugin_worker.deliveries");
        let rows = self.database.query(&query, &[]).await.unwrap();
        rows.iter().map(|row| row.get(0)).collect()
    }

    pub async fn recorded(&self) -> usize {
        let count = self.column("SELECT count(*)::text FROM ROWS").await;
        count[0].parse().unwrap()
    }

    /// The numbers of the jobs that had their effect.
    pub async fn effects(&self) -> Vec<String> {
        self.column("SELECT number::text FROM plugin_worker.effects e ORDER BY e.number")
            .await
    }

    pub async fn until_recorded(&self, count: usize) {
        until(async || self.recorded().await >= count).await;
    }

    /// Until at least one more is recorded than now.
    pub async fn until_more(&self) {
        let before = self.recorded().await;
        until(async || self.recorded().await > before).await;
    }

    /// How many deliveries ended so, on the first host.
    pub async fn settled(&self, disposition: &str) -> f64 {
        let label = format!("disposition=\"{disposition}\"");
        let name = "hearth_consumer_messages_total";
        self.host.metric(name, &[&label]).await
    }

    pub async fn until_settled(&self, disposition: &str, count: usize) {
        until(async || self.settled(disposition).await >= count as f64).await;
    }

    /// Until no message waits, is delayed, or is leased.
    pub async fn until_empty(&self) {
        until(async || self.in_queue().await == 0).await;
    }

    async fn in_queue(&self) -> usize {
        let count = self
            .column("SELECT count(*)::text FROM hearth.outbox")
            .await;
        count[0].parse().unwrap()
    }

    /// The dead letters, the newest first.
    pub async fn dead(&self) -> Vec<Value> {
        let page = api(&self.host, Method::GET, "/queues/jobs/dead-letters").await;
        page["dead_letters"].as_array().unwrap().clone()
    }
}

fn setup(fleet: &Fleet, file: &Path, config: &str) -> Setup {
    // An embedded Postgres on a busy machine needs no hurry.
    let setup = fleet.setup().config(config);
    setup.plugin("worker", file, &GRANTS, "")
}

pub fn admin(host: &Host, method: Method, path: &str) -> RequestBuilder {
    let token = std::fs::read_to_string(host.data_dir().join("admin-token")).unwrap();
    let request = host.client.request(method, format!("{}{path}", host.admin));
    request.bearer_auth(token.trim())
}

/// What the admin API answers.
pub async fn api(host: &Host, method: Method, path: &str) -> Value {
    let answer = admin(host, method, path).send().await.unwrap();
    let status = answer.status();
    let text = answer.text().await.unwrap();
    assert_eq!(status, StatusCode::OK, "{path}: {text}");
    serde_json::from_str(&text).unwrap()
}

/// The last line of a deploy's or a rollback's report.
pub async fn change(request: RequestBuilder) -> Value {
    let text = request.send().await.unwrap().text().await.unwrap();
    serde_json::from_str(text.lines().last().unwrap()).unwrap()
}
