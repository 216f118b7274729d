//! A host that serves the guest `keeper`, and customers who tell it secrets.

use std::path::Path;

use hearth::edge::keys::Tier;
use hearth::edge::keys::register::Register;
use hearth::plugin::package::{PackageParts, pack};
use hearth::secret::RootSecret;
use reqwest::StatusCode;

use crate::harness::fleet::Fleet;
use crate::harness::host::{Host, guest};
use crate::harness::postgres::until;

/// A customer and what it tells. Nobody has no key and no id.
pub struct Customer {
    pub id: String,
    pub key: Option<String>,
    secret: String,
}

/// What a call found in its instance's memory.
#[derive(Debug, PartialEq, Eq)]
pub struct Found {
    customer: String,
    secret: String,
}

impl Found {
    pub fn is_of(&self, customer: &Customer) -> bool {
        (&self.customer, &self.secret) == (&customer.id, &customer.secret)
    }
}

pub struct Keeper {
    pub host: Host,
    pub customers: Vec<Customer>,
    /// Whoever asks without a key.
    pub nobody: Customer,
    _fleet: Fleet,
}

/// Time that others take from a busy machine counts as CPU time of a call, and makes it
/// wait for its connection.
const BUSY: &str = "wait_ms_max = 30_000\n[plugin_defaults]\ncpu_ms_max = 5_000\n\
    wait_ms_max = 30_000\nwall_ms_max = 60_000\n";

/// The guest with this reuse.
pub fn packed(reuse: &str, version: &str) -> Vec<u8> {
    repacked(|manifest| {
        let manifest = manifest.replace("\"serial\"", &format!("{reuse:?}"));
        manifest.replace("0.1.0", version)
    })
}

/// The guest with another manifest.
pub fn repacked(change: impl FnOnce(&str) -> String) -> Vec<u8> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("guests/keeper.toml");
    let mut parts = PackageParts::read(&file).unwrap();
    parts.manifest = change(&parts.manifest);
    pack(&std::fs::read(guest("keeper")).unwrap(), &parts).unwrap()
}

impl Keeper {
    pub async fn start(reuse: &str, config: &str, customers: usize) -> Keeper {
        let fleet = Fleet::start().await;
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("keeper.wasm");
        std::fs::write(&file, packed(reuse, "0.1.0")).unwrap();
        let mut grants = vec!["queue:secrets", "consume:secrets"];
        grants.extend((reuse == "shared").then_some("reuse:shared"));
        let config = format!("{BUSY}{config}");
        let host = fleet.host(|setup| setup.config(&config).plugin("keeper", &file, &grants, ""));
        let customers = made(&fleet, &host, customers).await;
        let nobody = Customer {
            id: String::new(),
            key: None,
            secret: "nobody's".into(),
        };
        Keeper {
            host,
            customers,
            nobody,
            _fleet: fleet,
        }
    }

    /// Tells the guest the customer's secret, and answers what it found.
    pub async fn ask(&self, customer: &Customer) -> Option<Found> {
        let answer = self.post("/keeper", customer).await;
        let status = answer.status();
        let text = answer.text().await.unwrap();
        assert_eq!(status, StatusCode::OK, "{text}");
        let found: Option<[String; 2]> = serde_json::from_str(&text).unwrap();
        found.map(|[customer, secret]| Found { customer, secret })
    }

    /// Sends as many messages with the customer's secret, each to be consumed. A queue
    /// that is slow on a busy machine is asked again, and may have some of them twice.
    pub async fn send(&self, customer: &Customer, count: usize) {
        let path = format!("/keeper/messages/{count}");
        until(async || {
            let status = self.post(&path, customer).await.status();
            let away = status == StatusCode::SERVICE_UNAVAILABLE;
            assert!(away || status == StatusCode::NO_CONTENT, "{status}");
            !away
        })
        .await;
    }

    async fn post(&self, path: &str, customer: &Customer) -> reqwest::Response {
        let url = format!("{}{path}", self.host.url);
        let request = self.host.client.post(url).body(customer.secret.clone());
        let request = match &customer.key {
            Some(key) => request.header("x-api-key", key),
            None => request,
        };
        request.send().await.unwrap()
    }

    /// How many messages ended so.
    pub async fn settled(&self, disposition: &str) -> usize {
        let label = format!("disposition=\"{disposition}\"");
        let name = "hearth_consumer_messages_total";
        self.host.metric(name, &[&label]).await as usize
    }
}

/// Customers with a key each, without a process for each of them.
pub async fn made(fleet: &Fleet, host: &Host, count: usize) -> Vec<Customer> {
    let server = fleet.cluster.server().await;
    let secret = RootSecret::open(&host.data_dir().join("secret")).unwrap();
    let register = Register::new(&server, &secret);
    let mut customers = Vec::new();
    for number in 0..count {
        let name = format!("customer-{number}");
        let ensured = register.ensure_customer(&name, Tier::Unlimited).await;
        let id = ensured.unwrap().customer().id.clone();
        let key = register.create_key(&id, &["customer".into()], None).await;
        customers.push(Customer {
            secret: format!("the secret of {id}"),
            key: Some(key.unwrap().text.to_string()),
            id,
        });
    }
    customers
}
