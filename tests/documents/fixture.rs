//! Views without Wasm, on a private DynamoDB in this process.

use std::time::Duration;

use hearth::backend::dynamodb::Config as DynamoConfig;
use hearth::capability::Call;
use hearth::capability::documents::{
    Change, Client, Condition, Config, GuestError, Host, Item, Key, Lent, Page, Range, View,
};
use hearth::clock::Clock;
use hearth::telemetry::{HostMetrics, Metrics};
use tempfile::TempDir;
use tokio::task::JoinHandle;

use crate::harness::dynamodb::{Private, dynamo_at};

/// The documents of one host. Dropped, its writer writes no more.
pub struct Bench {
    pub client: Client,
    pub metrics: Metrics,
    writer: JoinHandle<()>,
    clock: TempDir,
    /// What lies behind, where it is this bench's own.
    _private: Option<Private>,
}

impl Drop for Bench {
    fn drop(&mut self) {
        self.writer.abort();
    }
}

impl Bench {
    pub async fn new() -> Bench {
        Bench::with(Config::default()).await
    }

    pub async fn with(config: Config) -> Bench {
        let private = Private::start().await;
        let mut bench = Bench::at(private.url(), config).await;
        bench._private = Some(private);
        bench
    }

    /// On a DynamoDB of somebody else's.
    pub async fn at(url: &str, config: Config) -> Bench {
        Bench::reaching(url, &DynamoConfig::default(), config).await
    }

    pub async fn reaching(url: &str, dynamo: &DynamoConfig, config: Config) -> Bench {
        let dynamo = dynamo_at(url, dynamo).await;
        dynamo.prepare().await.unwrap();
        let metrics = Metrics::new(&hearth::telemetry::Config::default());
        let folder = tempfile::tempdir().unwrap();
        let clock = Clock::of_file(&folder.path().join("clock"));
        let client = Client::open(Some(&dynamo), &config, &clock, &HostMetrics::new(&metrics));
        let writer = tokio::spawn(client.clone().run_writer());
        Bench {
            client,
            metrics,
            writer,
            clock: folder,
            _private: None,
        }
    }

    /// Puts the wall clock forward.
    pub fn later(&self, by: Duration) {
        let file = self.clock.path().join("clock");
        std::fs::write(file, by.as_millis().to_string()).unwrap();
    }

    /// A call of the plugin `notes` for a customer.
    pub fn call(&self, customer: &str) -> Borrowed {
        self.call_of("notes", Some(customer))
    }

    pub fn call_of(&self, plugin: &str, customer: Option<&str>) -> Borrowed {
        Borrowed {
            call: Call::of(plugin, customer),
            lent: self.client.lend(),
        }
    }

    /// The value of a series, zero where there is none.
    pub fn metric(&self, name: &str, label: &str) -> f64 {
        let page = self.metrics.render();
        let named = |line: &&str| line.split(['{', ' ']).next() == Some(name);
        let series = page.lines().filter(named);
        series
            .filter(|line| line.contains(label))
            .map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap())
            .sum()
    }
}

/// What one call borrows.
pub struct Borrowed {
    pub call: Call,
    pub lent: Lent,
}

impl Borrowed {
    pub fn view(&mut self) -> View<'_> {
        View {
            call: &self.call,
            lent: &self.lent,
        }
    }

    pub async fn put(&mut self, item: Item) -> Result<(), GuestError> {
        self.view().put(item).await.unwrap()
    }

    pub async fn put_many(&mut self, items: Vec<Item>) -> Vec<Result<(), GuestError>> {
        self.view().put_many(items).await.unwrap()
    }

    pub async fn get(&mut self, key: Key) -> Option<Item> {
        self.view().get(key).await.unwrap().unwrap()
    }

    pub async fn get_many(&mut self, keys: Vec<Key>) -> Result<Vec<Option<Item>>, GuestError> {
        self.view().get_many(keys).await.unwrap()
    }

    pub async fn delete(&mut self, key: Key) -> Result<(), GuestError> {
        self.view().delete(key).await.unwrap()
    }

    pub async fn delete_many(&mut self, keys: Vec<Key>) -> Vec<Result<(), GuestError>> {
        self.view().delete_many(keys).await.unwrap()
    }

    pub async fn update(
        &mut self,
        key: Key,
        changes: Vec<Change>,
        condition: Condition,
    ) -> Result<Item, GuestError> {
        self.view().update(key, changes, condition).await.unwrap()
    }

    pub async fn page(
        &mut self,
        range: Range,
        limit: u32,
        cursor: Option<&str>,
        descending: bool,
    ) -> Result<Page, GuestError> {
        let cursor = cursor.map(str::to_owned);
        let mut view = self.view();
        let page = view.query("p".into(), range, limit, cursor, descending);
        page.await.unwrap()
    }

    /// The same with these attributes alone.
    pub async fn attributes(
        &mut self,
        range: Range,
        limit: u32,
        names: &[&str],
    ) -> Result<Page, GuestError> {
        let names = names.iter().map(|name| (*name).to_owned()).collect();
        let mut view = self.view();
        let page = view.query_attributes("p".into(), range, limit, None, false, names);
        page.await.unwrap()
    }

    pub async fn count(&mut self, range: Range, limit: u32) -> Result<u32, GuestError> {
        self.view().count("p".into(), range, limit).await.unwrap()
    }

    /// All sort keys of the partition `p` in a range, in order.
    pub async fn sorts(&mut self, range: Range) -> Vec<String> {
        let page = self.page(range, 1_000, None, false).await.unwrap();
        assert_eq!(page.cursor, None);
        page.items.into_iter().map(|item| item.sort).collect()
    }
}

/// Of the partition `p`.
pub fn item(sort: &str, attributes: &str) -> Item {
    Item {
        partition: "p".into(),
        sort: sort.into(),
        attributes: attributes.into(),
        expires_at_ms: None,
    }
}

pub fn key(sort: &str) -> Key {
    Key {
        partition: "p".into(),
        sort: sort.into(),
    }
}

pub fn now_ms() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.unwrap().as_millis() as u64
}
