//! Hosts with the notifications plugin, and the customers who use them.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::dynamodb::{Fate, Private, Proxy, Read, Request};
use crate::harness::fleet::Fleet;
use crate::harness::host::{Host, Setup, plugin};
use crate::harness::setup::{NOTIFICATIONS_GRANTS, TELLER_GRANTS};
use crate::push::events::{Events, client};

/// A customer at a host.
pub struct Customer<'h> {
    pub host: &'h Host,
    pub key: &'h str,
}

/// A host with its first customer, and the clock that can be put forward.
pub struct Inbox {
    pub host: Host,
    pub key: String,
    clock: TempDir,
}

/// The plugin, and a guest that tells it of events as other plugins do.
pub fn setup(setup: Setup) -> Setup {
    setup.notifications().guest("teller", &TELLER_GRANTS, "")
}

impl Inbox {
    pub fn start() -> Inbox {
        Inbox::start_on(setup(Setup::new()))
    }

    /// With a plugin that notes where something lies once it has passed over a few in
    /// vain.
    pub fn start_thrifty() -> Inbox {
        let file = plugin("notifications");
        let more = "[plugins.notifications.config]\npassed_min = \"4\"";
        let setup = Setup::new().plugin("notifications", &file, &NOTIFICATIONS_GRANTS, more);
        Inbox::start_on(setup.guest("teller", &TELLER_GRANTS, ""))
    }

    pub fn start_on(setup: Setup) -> Inbox {
        let clock = tempfile::tempdir().unwrap();
        let file = clock.path().join("clock");
        let host = setup
            .env("HEARTH_CLOCK_FILE", file.to_str().unwrap())
            .start();
        let key = host.key("acme", &[]);
        Inbox { host, key, clock }
    }

    pub fn customer(&self) -> Customer<'_> {
        Customer::at(&self.host, &self.key)
    }

    /// Puts the host's clock forward to so long after the machine's. What waits finds
    /// out by itself.
    pub fn forward_to(&self, offset: Duration) {
        put_forward(&self.clock, offset);
    }
}

/// Writes the file of a clock, never in part.
pub fn put_forward(folder: &TempDir, offset: Duration) {
    let (file, new) = (folder.path().join("clock"), folder.path().join("new"));
    std::fs::write(&new, offset.as_millis().to_string()).unwrap();
    std::fs::rename(new, file).unwrap();
}

impl<'h> Customer<'h> {
    pub fn at(host: &'h Host, key: &'h str) -> Customer<'h> {
        Customer { host, key }
    }

    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.host
            .request(method, &format!("/notifications{path}"), self.key)
    }

    /// Asks, with a body unless it is null.
    pub async fn ask(&self, method: Method, path: &str, body: Value) -> (StatusCode, Value) {
        let request = match body {
            Value::Null => self.request(method, path),
            body => self.request(method, path).json(&body),
        };
        let answer = request.send().await.unwrap();
        let status = answer.status();
        (status, answer.json().await.unwrap_or(Value::Null))
    }

    /// Asks for what must succeed.
    pub async fn done(&self, method: Method, path: &str, body: Value) -> Value {
        let (status, told) = self.ask(method, path, body).await;
        assert!(status.is_success(), "{path}: {status} {told}");
        told
    }

    pub async fn get(&self, path: &str) -> Value {
        self.done(Method::GET, path, Value::Null).await
    }

    /// Posts one notification; answers it as it was made.
    pub async fn post(&self, body: Value) -> Value {
        let (status, made) = self.ask(Method::POST, "", body).await;
        assert_eq!(status, StatusCode::CREATED, "{made}");
        made
    }

    /// Posts one with this title; answers its id.
    pub async fn titled(&self, title: &str) -> String {
        id(&self.post(json!({"title": title})).await)
    }

    /// Posts many at once; answers what became of each.
    pub async fn many(&self, all: &[Value]) -> Vec<Value> {
        let (status, told) = self
            .ask(Method::POST, "", json!({"notifications": all}))
            .await;
        assert_eq!(status, StatusCode::MULTI_STATUS, "{told}");
        told["results"].as_array().unwrap().clone()
    }

    /// Posts many of these titles at once; answers their ids, in order.
    pub async fn titled_all(&self, titles: impl IntoIterator<Item = String>) -> Vec<String> {
        let all: Vec<Value> = titles
            .into_iter()
            .map(|title| json!({"title": title}))
            .collect();
        let results = self.many(&all).await;
        assert!(
            results.iter().all(|one| one["status"] == 201),
            "{results:?}"
        );
        results.iter().map(id).collect()
    }

    /// All notifications of a list, page by page, the newest first.
    pub async fn list(&self, query: &str) -> Vec<Value> {
        let (mut all, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = self.get(&format!("?limit=100{query}{cursor}")).await;
            all.extend(page["notifications"].as_array().unwrap().iter().cloned());
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return all,
            }
        }
    }

    /// The titles of a list, the newest first.
    pub async fn titles(&self, query: &str) -> Vec<String> {
        let all = self.list(query).await;
        all.iter().map(|one| text(one, "title")).collect()
    }

    /// The ids of a list, the newest first.
    pub async fn ids(&self, query: &str) -> Vec<String> {
        self.list(query).await.iter().map(id).collect()
    }

    /// How many are unread, as `/count` says it, without `?` in front of the query.
    pub async fn unread(&self, query: &str) -> u64 {
        let told = self.get(&format!("/count?{query}")).await;
        told["unread"]["count"].as_u64().unwrap()
    }

    /// One of the customer's own.
    pub async fn find(&self, id: &str) -> Value {
        self.get(&format!("/{id}")).await
    }

    pub async fn patch(&self, id: &str, change: Value) -> Value {
        self.done(Method::PATCH, &format!("/{id}"), change).await
    }

    pub async fn prefer(&self, query: &str, preferences: Value) -> Value {
        let path = format!("/preferences{query}");
        self.done(Method::PUT, &path, preferences).await
    }

    /// Tells the plugin of an event as another plugin does.
    pub async fn tell(&self, event: &Value) {
        let request = self.host.post("/teller/notification-events", self.key);
        let answer = request.json(event).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::ACCEPTED);
    }

    pub fn listening(&self, query: &str) -> RequestBuilder {
        let url = format!("{}/notifications/stream{query}", self.host.url);
        client().get(url).header("x-api-key", self.key)
    }

    pub async fn listen(&self, query: &str) -> Events {
        Events::open(self.listening(query)).await
    }
}

/// An event of the contract between plugins.
pub fn event(number: u64, kind: &str, data: Value) -> Value {
    json!({
        "event_id": event_id(number),
        "type": kind,
        "occurred_at": "2026-11-23T07:30:00Z",
        "data": data,
    })
}

pub fn event_id(number: u64) -> String {
    format!("evt_0199f3a6-5c1e-7a31-9d0e-{number:012x}")
}

/// Preferences by which what is of the category `build` is gathered for an hour.
pub fn digest_of_an_hour() -> Value {
    json!({"categories": {"build": {"digest_seconds": 3600}}})
}

pub fn text(value: &Value, name: &str) -> String {
    let text = value[name].as_str();
    text.unwrap_or_else(|| panic!("no {name}: {value}"))
        .to_string()
}

pub fn id(value: &Value) -> String {
    text(value, "id")
}

/// The next notification of a stream.
pub async fn heard(stream: &mut Events) -> Value {
    let event = stream.event().await;
    assert_eq!(event.kind, "notification", "{event:?}");
    serde_json::from_str(&event.data).unwrap()
}

/// What was asked of DynamoDB.
#[derive(Clone, Default)]
pub struct Seen(Arc<Mutex<Vec<Arc<Request>>>>);

impl Seen {
    pub fn note(&self, request: &Arc<Request>) {
        self.0.lock().unwrap().push(request.clone());
    }

    pub fn clear(&self) {
        self.0.lock().unwrap().clear();
    }

    /// How many writes each BatchWriteItem had.
    pub fn batches(&self) -> Vec<usize> {
        let seen = self.0.lock().unwrap();
        let batches = seen.iter().filter(|request| request.is_batch());
        batches.map(|request| request.writes()).collect()
    }

    /// The names of all operations, in order.
    pub fn operations(&self) -> Vec<String> {
        let seen = self.0.lock().unwrap();
        seen.iter()
            .map(|request| request.operation.clone())
            .collect()
    }

    /// The sort keys of all that was written, one by one or in batches.
    pub fn written(&self) -> Vec<String> {
        let seen = self.0.lock().unwrap();
        let keys = seen.iter().flat_map(|request| {
            let one = ["Key", "Item"].map(|name| request.body[name]["sk"]["S"].as_str());
            let own = one.into_iter().flatten().map(str::to_string);
            let own: Vec<String> = match request.operation.as_str() {
                "PutItem" | "UpdateItem" | "DeleteItem" => own.collect(),
                _ => Vec::new(),
            };
            let batched = request.keys().into_iter().map(|(_, sort)| sort);
            own.into_iter().chain(batched).collect::<Vec<_>>()
        });
        keys.collect()
    }

    /// How many requests there were, and what they read together.
    pub fn read(&self) -> (usize, Read) {
        let seen = self.0.lock().unwrap();
        let each = seen.iter().filter_map(|request| request.read.get());
        let sum = each.fold(Read::default(), |sum, one| Read {
            items: sum.items + one.items,
            bytes: sum.bytes + one.bytes,
        });
        (seen.len(), sum)
    }

    pub fn count(&self, operation: &str) -> usize {
        let all = self.operations();
        all.iter().filter(|seen| *seen == operation).count()
    }
}

/// A host on a DynamoDB of the test's, behind a proxy that notes what it sees.
pub struct Behind {
    pub inbox: Inbox,
    pub seen: Seen,
    _parts: (Proxy, Private),
}

/// Every request waits for what `decide` says, after it was noted.
pub async fn behind<F>(decide: impl Fn(Arc<Request>) -> F + Send + Sync + 'static) -> Behind
where
    F: Future<Output = Fate> + Send + 'static,
{
    let (private, seen) = (Private::start().await, Seen::default());
    let of_proxy = seen.clone();
    let proxy = Proxy::start(private.url(), move |request| {
        of_proxy.note(&request);
        decide(request)
    })
    .await;
    let setup = on_dynamodb(setup(Setup::new()), &proxy.url);
    let started = tokio::task::spawn_blocking(move || Inbox::start_on(setup));
    Behind {
        inbox: started.await.unwrap(),
        seen,
        _parts: (proxy, private),
    }
}

/// With the DynamoDB at this URL.
pub fn on_dynamodb(setup: Setup, url: &str) -> Setup {
    setup
        .config(&format!(
            "[dynamodb]\nendpoint_url = {url:?}\ncreate_tables = true"
        ))
        .env("AWS_ACCESS_KEY_ID", "test")
        .env("AWS_SECRET_ACCESS_KEY", "test")
}

/// Two hosts on one Postgres and one DynamoDB.
pub struct Two {
    pub hosts: [Host; 2],
    _fleet: Fleet,
    _private: Private,
}

impl Two {
    pub async fn start() -> Two {
        let (fleet, private) = (Fleet::start().await, Private::start().await);
        let start = || fleet.host(|with| on_dynamodb(setup(with), private.url()));
        let hosts = tokio::task::block_in_place(|| [start(), start()]);
        Two {
            hosts,
            _fleet: fleet,
            _private: private,
        }
    }
}
