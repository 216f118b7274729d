//! A host with the webhooks plugin, whose deliveries may go to this machine.

use std::time::Duration;

use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::host::{Host, Setup, plugin};
use crate::harness::postgres::until;
use crate::harness::setup::TELLER_GRANTS;

pub const GRANTS: [&str; 12] = [
    "sql",
    "log",
    "metrics",
    "config",
    "consume:webhook-deliveries",
    "consume:webhook-events",
    "consume:webhook-sweeps",
    "queue:webhook-deliveries",
    "queue:webhook-sweeps",
    "queue:notification-events",
    "outbound:https://*:*",
    "outbound:http://*:*",
];

/// The host, a customer's key, and the clock that both can be put forward by.
pub struct Webhooks {
    pub host: Host,
    pub key: String,
    clock: TempDir,
}

/// What a host is started with, to reach receivers on this machine.
pub fn setup(setup: Setup) -> Setup {
    setup_with(setup, &GRANTS)
}

/// The same with these grants.
pub fn setup_with(setup: Setup, grants: &[&str]) -> Setup {
    setup
        .config("[outbound]\nallow_addresses = [\"127.0.0.0/8\"]")
        .plugin(
            "webhooks",
            &plugin("webhooks"),
            grants,
            "[plugins.webhooks.config]\nevents = \"notification-events\"",
        )
        .guest("teller", &TELLER_GRANTS, "")
}

/// Tells the webhooks plugin of an event as another plugin of the host does, with the
/// key of the customer whose event it is.
pub async fn tell(host: &Host, key: &str, event: &Value) {
    let request = host.post("/teller/webhook-events", key).json(event);
    let answer = request.send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::ACCEPTED);
}

/// How many dead letters of a queue the host keeps.
pub async fn dead(host: &Host, queue: &str) -> usize {
    let page = admin(host, Method::GET, &format!("/queues/{queue}/dead-letters"));
    let page: Value = page.send().await.unwrap().json().await.unwrap();
    page["dead_letters"].as_array().map_or(0, Vec::len)
}

/// A request to the admin API.
pub fn admin(host: &Host, method: Method, path: &str) -> RequestBuilder {
    let token = std::fs::read_to_string(host.data_dir().join("admin-token")).unwrap();
    let request = host.client.request(method, format!("{}{path}", host.admin));
    request.bearer_auth(token.trim())
}

impl Webhooks {
    pub fn start() -> Webhooks {
        Webhooks::start_with(&GRANTS)
    }

    pub fn start_with(grants: &[&str]) -> Webhooks {
        let clock = tempfile::tempdir().unwrap();
        let file = clock.path().join("clock");
        let setup = setup_with(Setup::new(), grants);
        let host = setup
            .env("HEARTH_CLOCK_FILE", file.to_str().unwrap())
            .start();
        let key = host.key("acme", &[]);
        Webhooks { host, key, clock }
    }

    /// Puts the host's clock forward to so long after its start. What waits finds out
    /// by itself.
    pub fn forward_to(&self, offset: Duration) {
        let (file, new) = (
            self.clock.path().join("clock"),
            self.clock.path().join("new"),
        );
        std::fs::write(&new, offset.as_millis().to_string()).unwrap();
        std::fs::rename(new, file).unwrap();
    }

    pub async fn ask(&self, method: Method, path: &str, body: Value) -> (StatusCode, Value) {
        let request = self
            .host
            .request(method, &format!("/webhooks{path}"), &self.key);
        let answer = match body {
            Value::Null => request,
            body => request.json(&body),
        };
        let answer = answer.send().await.unwrap();
        let status = answer.status();
        (status, answer.json().await.unwrap_or(Value::Null))
    }

    pub async fn get(&self, path: &str) -> Value {
        let (status, body) = self.ask(Method::GET, path, Value::Null).await;
        assert_eq!(status, StatusCode::OK, "{path}: {body}");
        body
    }

    pub async fn post(&self, path: &str, body: Value) -> Value {
        let (status, told) = self.ask(Method::POST, path, body).await;
        assert!(status.is_success(), "{path}: {status} {told}");
        told
    }

    /// An endpoint at that URL, with what else it shall have. Answers its id.
    pub async fn endpoint(&self, url: &str, more: Value) -> String {
        let made = self.created(url, more).await;
        made["id"].as_str().unwrap().to_string()
    }

    /// The same with all that the answer says.
    pub async fn created(&self, url: &str, more: Value) -> Value {
        let mut body = json!({"url": url});
        for (name, value) in more.as_object().into_iter().flatten() {
            body[name] = value.clone();
        }
        let (status, made) = self.ask(Method::POST, "/endpoints", body).await;
        assert_eq!(status, StatusCode::CREATED, "{made}");
        made
    }

    /// An event of that type. Answers its id.
    pub async fn event(&self, kind: &str) -> String {
        let body = json!({"type": kind, "payload": {"n": 1}});
        let (status, told) = self.ask(Method::POST, "/events", body).await;
        assert_eq!(status, StatusCode::ACCEPTED, "{told}");
        assert_eq!(told["status"], "queued");
        told["id"].as_str().unwrap().to_string()
    }

    /// The delivery of an event to an endpoint.
    pub async fn delivery(&self, event: &str, endpoint: &str) -> Value {
        let shown = self.get(&format!("/events/{event}")).await;
        let deliveries = shown["deliveries"].as_array().unwrap();
        let own = deliveries.iter().find(|one| one["endpoint_id"] == endpoint);
        own.cloned().unwrap_or(Value::Null)
    }

    /// Until a delivery has that status.
    pub async fn until_status(&self, event: &str, endpoint: &str, status: &str) {
        until(async || self.delivery(event, endpoint).await["status"] == status).await;
    }

    /// Until so many attempts of a delivery were made and written down.
    pub async fn until_attempts(&self, event: &str, endpoint: &str, count: u64) {
        until(async || {
            let delivery = self.delivery(event, endpoint).await;
            delivery["attempts"].as_u64().unwrap_or(0) >= count
        })
        .await;
    }

    /// The attempts of an event, the oldest first.
    pub async fn attempts(&self, event: &str) -> Vec<Value> {
        let page = self
            .get(&format!("/events/{event}/attempts?limit=100"))
            .await;
        let mut attempts = page["attempts"].as_array().unwrap().clone();
        attempts.reverse();
        attempts
    }
}

/// How many messages of a queue wait, are delayed, or are leased.
pub async fn waiting(host: &Host, queue: &str) -> u64 {
    let told: Value = admin(host, Method::GET, "/queues")
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    let queues = told["queues"].as_array().unwrap().iter();
    let own = queues.filter(|one| one["queue"] == queue || one["name"] == queue);
    let count =
        |one: &Value| ["waiting", "delayed", "leased"].map(|name| one[name].as_u64().unwrap_or(0));
    own.flat_map(count).sum()
}
