//! The one place that knows how to reach a DynamoDB.
//!
//! A [`Dynamo`] is opened once per process: the official SDK's client with this
//! host's timeouts, and the names of the two tables. Both have strings as keys, the
//! TTL attribute [`TTL`] and are paid by the request:
//!
//! - `<prefix>-documents`: partition key [`PARTITION`], sort key [`SORT`];
//! - `<prefix>-cache`: partition key [`CACHE_KEY`].
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use hearth_backend::dynamodb::{Config, Dynamo};
//!
//! let config = Config { region: Some("eu-central-1".into()), ..Config::default() };
//! let dynamo = Dynamo::open(&config, None).await;
//! dynamo.prepare().await?;
//! # Ok(())
//! # }
//! ```

pub mod cache;
mod failure;
mod retry;
pub mod size;
mod tables;
pub mod writer;

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::timeout::TimeoutConfig;
use aws_sdk_dynamodb::config::{
    BehaviorVersion, Credentials, Region, SharedHttpClient, retry::RetryConfig,
};
use aws_smithy_http_client::Builder;
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use serde::Deserialize;

use super::aws::Watching;
use hearth_base::bounds;
use hearth_base::section::{DAY_MS, HOUR_MS, Mistakes, Section};
use hearth_base::telemetry::BackendWatch;

pub use failure::{DynamoError, failure};
pub use tables::PrepareError;

/// The partition key of the table of documents.
pub const PARTITION: &str = "pk";
/// The sort key of the table of documents.
pub const SORT: &str = "sk";
/// The key of the table of cached values.
pub const CACHE_KEY: &str = "key";
/// In both tables: the second since 1970 after which DynamoDB may remove an item.
/// It does so within days, so whoever reads compares for itself.
pub const TTL: &str = "ttl";

/// An emulator asks for a region and does not care which.
const REGION_OF_EMULATORS: &str = "us-east-1";
/// The SDK wants a URL, also where a request leaves this process by none. No name
/// below `invalid` exists (RFC 6761, 6.4).
const NOWHERE: &str = "http://dynamodb.invalid";

/// Section `[dynamodb]`. Times are milliseconds.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where DynamoDB's protocol is spoken, for example by an emulator. Without it
    /// the region's own endpoint.
    pub endpoint_url: Option<String>,
    /// For example `eu-central-1`. Without it and without `endpoint_url` the host
    /// starts a private DynamoDB.
    pub region: Option<String>,
    /// What the names of the tables begin with.
    pub table_prefix: String,
    /// Whether tables that are missing are made. They always are in a private
    /// DynamoDB.
    pub create_tables: bool,
    /// For one operation, the first included.
    pub attempts_max: u32,
    /// The longest wait before the second attempt; it doubles with each, up to
    /// `backoff_ms_max`, and is drawn anew between nothing and that.
    pub backoff_ms: u64,
    pub backoff_ms_max: u64,
    pub connect_ms_max: u64,
    pub attempt_ms_max: u64,
    /// For an operation with all its attempts.
    pub operation_ms_max: u64,
    /// For looking at the tables when the host starts.
    pub start_ms_max: u64,
    /// What a private DynamoDB does before it acknowledges a write.
    pub embedded_sync: EmbeddedSync,
    /// How often a private DynamoDB removes what has expired.
    pub embedded_sweep_ms: u64,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            endpoint_url: None,
            region: None,
            table_prefix: "hearth".to_owned(),
            create_tables: false,
            attempts_max: 3,
            backoff_ms: 100,
            backoff_ms_max: 5_000,
            connect_ms_max: 1_000,
            attempt_ms_max: 3_000,
            operation_ms_max: 10_000,
            start_ms_max: 10_000,
            embedded_sync: EmbeddedSync::Full,
            embedded_sweep_ms: 60_000,
        }
    }
}

impl Section for Config {
    fn validate(&self, mistakes: &mut Mistakes) {
        bounds! { self, mistakes =>
            attempts_max in 1..=20,
            backoff_ms in 1..=60_000,
            backoff_ms_max in 1..=60_000,
            connect_ms_max in 1..=60_000,
            attempt_ms_max in 1..=600_000,
            operation_ms_max in 1..=HOUR_MS,
            start_ms_max in 1..=HOUR_MS,
            embedded_sweep_ms in 100..=DAY_MS,
        }
        check_table_prefix(&self.table_prefix, mistakes);
        if let Some(url) = &self.endpoint_url
            && !is_endpoint(url)
        {
            let text = format!("expected a URL such as \"http://127.0.0.1:8000\", found {url:?}");
            mistakes.note("endpoint_url", text);
        }
        if let Some(region) = &self.region
            && !is_region(region)
        {
            let text = format!("expected a region such as \"eu-central-1\", found {region:?}");
            mistakes.note("region", text);
        }
    }
}

/// A table's name has at most 255 characters, and `-documents` is the longer end.
const PREFIX_CHARS_MAX: usize = 245;

fn check_table_prefix(prefix: &str, mistakes: &mut Mistakes) {
    let letters = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
    if prefix.is_empty() || prefix.len() > PREFIX_CHARS_MAX || !prefix.chars().all(letters) {
        let text = format!(
            "expected 1 to {PREFIX_CHARS_MAX} letters, digits, `_`, `.` and `-`, found {prefix:?}"
        );
        mistakes.note("table_prefix", text);
    }
}

fn is_endpoint(text: &str) -> bool {
    let parsed = text.parse::<http::Uri>();
    parsed.is_ok_and(|url| {
        url.authority().is_some() && matches!(url.scheme_str(), Some("http" | "https"))
    })
}

fn is_region(text: &str) -> bool {
    let letters = |c: char| c.is_ascii_alphanumeric() || c == '-';
    !text.is_empty() && text.chars().all(letters)
}

impl Config {
    /// Whether the operator has a DynamoDB, so that none need be started.
    pub fn is_reachable(&self) -> bool {
        self.endpoint_url.is_some() || self.region.is_some()
    }
}

/// How far a write of a private DynamoDB gets before it is acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EmbeddedSync {
    /// Onto the disk: a power cut takes nothing back.
    Full,
    /// To the kernel: a killed process takes nothing back, a power cut perhaps the
    /// last writes.
    Normal,
}

/// A client and the tables that are the host's. Cloning shares it.
#[derive(Clone, Debug)]
pub struct Dynamo {
    shared: Arc<DynamoInner>,
}

#[derive(Debug)]
struct DynamoInner {
    client: Client,
    client_once: Client,
    create_tables: bool,
    attempts_max: u32,
    backoff_ms: u64,
    backoff_ms_max: u64,
    start_max: Duration,
    documents: String,
    cache: String,
}

impl Dynamo {
    /// Makes the client and asks nobody yet. `private` leads to a DynamoDB of this
    /// host's own, which then is the one, with credentials that it does not look at.
    /// Any other has the SDK's default chain of credentials: environment, profile,
    /// web identity, container, instance.
    pub async fn open(config: &Config, private: Option<SharedHttpClient>) -> Dynamo {
        let create_tables = config.create_tables || private.is_some();
        let client = match private {
            Some(way) => Client::from_conf(through(way, config)),
            None => {
                let loaded = remote(config).await;
                let mut own = aws_sdk_dynamodb::config::Builder::from(&loaded);
                own.set_endpoint_url(config.endpoint_url.clone());
                Client::from_conf(own.build())
            }
        };
        let once = client.config().to_builder();
        let once = once.retry_config(RetryConfig::disabled());
        Dynamo {
            shared: Arc::new(DynamoInner {
                client_once: Client::from_conf(once.build()),
                client,
                create_tables,
                attempts_max: config.attempts_max,
                backoff_ms: config.backoff_ms,
                backoff_ms_max: config.backoff_ms_max,
                start_max: Duration::from_millis(config.start_ms_max),
                documents: format!("{}-documents", config.table_prefix),
                cache: format!("{}-cache", config.table_prefix),
            }),
        }
    }

    /// The same, whose every attempt is noted.
    pub fn watched(&self, watch: &Arc<BackendWatch>) -> Dynamo {
        let of = &self.shared;
        let watched = |client: &Client| {
            let config = client.config().to_builder();
            Client::from_conf(config.interceptor(Watching::new(watch)).build())
        };
        Dynamo {
            shared: Arc::new(DynamoInner {
                client: watched(&of.client),
                client_once: watched(&of.client_once),
                documents: of.documents.clone(),
                cache: of.cache.clone(),
                ..**of
            }),
        }
    }

    /// Makes both tables where they are missing and may be made, and checks their
    /// keys and their TTL.
    ///
    /// # Errors
    /// With what is wrong and how to mend it; [`PrepareError::Away`] where DynamoDB
    /// did not answer within `start_ms_max`.
    pub async fn prepare(&self) -> Result<(), PrepareError> {
        tables::prepare(self).await
    }

    /// Retries by itself what can be retried, within `operation_ms_max`.
    pub fn client(&self) -> &Client {
        &self.shared.client
    }

    /// Tries everything once: for what may not be done twice, or has an order of its
    /// own.
    pub fn client_once(&self) -> &Client {
        &self.shared.client_once
    }

    pub fn documents_table(&self) -> &str {
        &self.shared.documents
    }

    pub fn cache_table(&self) -> &str {
        &self.shared.cache
    }
}

fn through(way: SharedHttpClient, config: &Config) -> aws_sdk_dynamodb::Config {
    let credentials = Credentials::new("hearth", "hearth", None, None, "private");
    let url = config.endpoint_url.as_deref().unwrap_or(NOWHERE);
    aws_sdk_dynamodb::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .http_client(way)
        .region(Region::from_static(REGION_OF_EMULATORS))
        .endpoint_url(url)
        .credentials_provider(credentials)
        .retry_config(retries(config))
        .timeout_config(timeouts(config))
        .build()
}

async fn remote(config: &Config) -> aws_config::SdkConfig {
    let region = config.region.clone();
    let region = region.unwrap_or_else(|| REGION_OF_EMULATORS.to_owned());
    aws_config::defaults(BehaviorVersion::latest())
        .http_client(https())
        .region(Region::new(region))
        .retry_config(retries(config))
        .timeout_config(timeouts(config))
        .load()
        .await
}

fn https() -> SharedHttpClient {
    Builder::new()
        .tls_provider(Provider::Rustls(CryptoMode::Ring))
        .build_https()
}

fn retries(config: &Config) -> RetryConfig {
    RetryConfig::standard()
        .with_max_attempts(config.attempts_max)
        .with_initial_backoff(Duration::from_millis(config.backoff_ms))
        .with_max_backoff(Duration::from_millis(config.backoff_ms_max))
}

fn timeouts(config: &Config) -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(Duration::from_millis(config.connect_ms_max))
        .operation_attempt_timeout(Duration::from_millis(config.attempt_ms_max))
        .operation_timeout(Duration::from_millis(config.operation_ms_max))
        .build()
}
