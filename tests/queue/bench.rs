//! Queues on one backend, as hosts of one fleet have them.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use hearth::backend::postgres::Server;
use hearth::backend::queue::{Backend, Config, Outgoing, QueueError, Received, Settlement};
use hearth::backend::queues::Queues;
use hearth::clock::Clock;
use hearth::secret::RootSecret;
use hearth::telemetry::{HostMetrics, Metrics, Traces};
use tempfile::TempDir;
use tokio::task::JoinSet;

use crate::harness::postgres::Cluster;
use crate::harness::sqs::{ENVIRONMENT, Make, Sqs};

/// Where the queues are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum On {
    Postgres,
    Sqs(Make),
}

/// Long enough for a test to be over.
pub const HOUR: Duration = Duration::from_secs(3_600);
/// What a receive waits for something that is to come. It ends with the message.
pub const PATIENCE: Duration = Duration::from_secs(20);
/// What it waits to see that nothing comes.
pub const MOMENT: Duration = Duration::from_millis(1_100);

/// A fleet's queues: a database, perhaps an SQS, and a first host.
pub struct Bench {
    pub queues: Queues,
    pub config: Config,
    pub cluster: Cluster,
    pub sqs: Option<Sqs>,
    folder: TempDir,
    keeping: JoinSet<()>,
    pub metrics: Metrics,
}

impl Bench {
    pub async fn start(on: On) -> Bench {
        Bench::with(on, |_| {}).await
    }

    pub async fn with(on: On, change: impl FnOnce(&mut Config)) -> Bench {
        Bench::open(Cluster::start().await, on, change).await
    }

    /// Queues in a cluster that has something in it already.
    pub async fn on(cluster: Cluster) -> Bench {
        Bench::open(cluster, On::Postgres, |_| {}).await
    }

    async fn open(cluster: Cluster, on: On, change: impl FnOnce(&mut Config)) -> Bench {
        let sqs = match on {
            On::Postgres => None,
            On::Sqs(make) => Some(Sqs::start(make).await),
        };
        let mut config = Config {
            count_ms: 100,
            sweep_ms: 100,
            poll_ms: 50,
            ..Config::default()
        };
        if let Some(sqs) = &sqs {
            config.backend = Backend::Sqs;
            // An emulator on a busy machine is slower than the service.
            config.sqs.attempt_ms_max = 30_000;
            config.sqs.operation_ms_max = 30_000;
            config.sqs.endpoint_url = Some(sqs.url.clone());
            config.sqs.queues = [("plain", "plain"), ("ordered", "ordered.fifo")]
                .map(|(name, given)| (name.to_owned(), given.to_owned()))
                .into();
        }
        change(&mut config);
        let folder = tempfile::tempdir().unwrap();
        let server = cluster.server().await;
        let mut keeping = JoinSet::new();
        let (queues, metrics) = host(&config, server, &folder, &mut keeping).await;
        Bench {
            queues,
            config,
            cluster,
            sqs,
            folder,
            keeping,
            metrics,
        }
    }

    /// The queues of another host of the fleet.
    pub async fn another(&mut self) -> Queues {
        let server = self.cluster.server().await;
        host(&self.config, server, &self.folder, &mut self.keeping)
            .await
            .0
    }

    /// Puts the fleet's clock forward.
    pub fn forward(&self, by: Duration) {
        std::fs::write(clock_file(&self.folder), by.as_millis().to_string()).unwrap();
    }

    pub async fn send(&self, message: Outgoing) -> String {
        let sent = self.queues.send(vec![message]).await;
        sent.into_iter().next().unwrap().unwrap()
    }

    pub async fn receive(&self, queue: &str, max: usize) -> Vec<Received> {
        let received = self.queues.receive(queue, max, PATIENCE, HOUR).await;
        received.unwrap()
    }

    /// The one message that there is to come.
    pub async fn one(&self, queue: &str) -> Received {
        let mut received = self.receive(queue, 10).await;
        assert_eq!(received.len(), 1, "{received:?}");
        received.remove(0)
    }

    /// Nothing can be received now.
    pub async fn nothing(&self, queue: &str) {
        let received = self.queues.receive(queue, 10, MOMENT, HOUR).await.unwrap();
        assert!(received.is_empty(), "{received:?}");
    }

    pub async fn settle(&self, message: Received, settlement: Settlement) {
        let queue = message.queue.clone();
        let settled = self
            .queues
            .settle(&queue, vec![(message, settlement)])
            .await;
        assert_eq!(settled, [Ok(())]);
    }

    pub async fn done(&self, message: Received) {
        self.settle(message, Settlement::Done).await;
    }

    pub fn metric(&self, name: &str, labels: &str) -> f64 {
        let page = self.metrics.render();
        let series = page
            .lines()
            .filter(|line| line.starts_with(name) && line.contains(labels));
        series
            .map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap())
            .sum()
    }
}

async fn host(
    config: &Config,
    server: Server,
    folder: &TempDir,
    keeping: &mut JoinSet<()>,
) -> (Queues, Metrics) {
    for (name, value) in ENVIRONMENT {
        // SAFETY: every test sets the same, and nothing reads the environment meanwhile
        // but what wants these.
        unsafe { std::env::set_var(name, value) };
    }
    let secret = RootSecret::open(&folder.path().join("secret")).unwrap();
    let clock = Clock::of_file(&clock_file(folder));
    let metrics = Metrics::new(&hearth::telemetry::Config::default());
    let host_metrics = HostMetrics::new(&metrics);
    let queues = Queues::open(config, server, &secret, clock, &host_metrics).await;
    let queues = queues.unwrap();
    keeping.spawn(queues.clone().keep(Traces::default()));
    (queues, metrics)
}

fn clock_file(folder: &TempDir) -> PathBuf {
    folder.path().join("clock")
}

/// A message of acme's, from tickets.
pub fn message(queue: &str, body: &str) -> Outgoing {
    Outgoing {
        queue: Arc::from(queue),
        plugin: Arc::from("tickets"),
        customer: Some(Arc::from("acme")),
        body: body.as_bytes().to_vec().into(),
        attributes: Vec::new(),
        traceparent: None,
        delay: Duration::ZERO,
        group: None,
        deduplication_id: None,
    }
}

pub fn of_group(group: &str, body: &str) -> Outgoing {
    Outgoing {
        group: Some(group.into()),
        ..message("ordered", body)
    }
}

pub fn of_customer(customer: &str, message: Outgoing) -> Outgoing {
    Outgoing {
        customer: Some(Arc::from(customer)),
        ..message
    }
}

pub fn after(delay: Duration, message: Outgoing) -> Outgoing {
    Outgoing { delay, ..message }
}

pub fn once(id: &str, message: Outgoing) -> Outgoing {
    Outgoing {
        deduplication_id: Some(id.into()),
        ..message
    }
}

pub fn body(message: &Received) -> &str {
    std::str::from_utf8(&message.body).unwrap()
}

pub fn failed(reason: &str) -> Settlement {
    Settlement::Failed {
        reason: reason.into(),
        delay: Duration::ZERO,
    }
}

/// Whether an error says that trying again may help.
pub fn is_unavailable(error: &QueueError) -> bool {
    matches!(error, QueueError::Unavailable(_))
}
