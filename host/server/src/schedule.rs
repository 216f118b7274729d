//! Messages that are sent by the clock: what the manifests' `[[schedule]]` ask for.
//!
//! Every host looks what is due; for each occurrence there is one row, and whoever
//! inserts it sends. What was due while no host ran is sent once, for the latest
//! time. A host that dies half-way leaves its row to another, which goes on with
//! the customer that it had got to. So a message is sent at least once, and twice
//! only where a host died and nobody was there for five minutes: the attributes
//! `schedule` and `due-at` tell a consumer which occurrence it is.

mod occurrences;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use jiff::Timestamp;
use serde::Deserialize;

use self::occurrences::{ClaimedOccurrence, Error, Occurrences};
use hearth_backend::postgres::Server;
use hearth_backend::queue::{Outgoing, QueueError};
use hearth_backend::queues::Queues;
use hearth_base::bounds;
use hearth_base::clock::Clock;
use hearth_base::section::{Mistakes, Section};
use hearth_base::telemetry::HostMetrics;
use hearth_runtime::plugin::manifest::{Schedule, ScheduleAudience};
use hearth_runtime::router::Router;

/// The `[schedule]` table of hearth.toml.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Milliseconds between two looks at the clock.
    pub look_ms: u64,
    /// Customers whose messages are sent together.
    pub customers_max: usize,
    /// Milliseconds after which an occurrence goes to another host, where nothing
    /// was heard of the one that sends. At most five minutes, within which a second
    /// message of one occurrence is known to be one.
    pub held_ms: u64,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            look_ms: 1_000,
            customers_max: 100,
            held_ms: 30_000,
        }
    }
}

impl Section for Config {
    fn validate(&self, mistakes: &mut Mistakes) {
        bounds! { self, mistakes =>
            look_ms in 10..=60_000,
            customers_max in 1..=1_000,
            held_ms in 1_000..=300_000,
        }
    }
}

/// The schedules of all plugins that serve.
pub struct Schedules {
    router: Arc<Router>,
    queues: Queues,
    clock: Clock,
    config: Config,
    occurrences: Occurrences,
    metrics: HostMetrics,
    /// By plugin and name.
    known: HashMap<(Arc<str>, String), SeenSchedule>,
}

/// A schedule that this host has seen.
struct SeenSchedule {
    times: String,
    /// When it is due again. `None` is never.
    next: Option<SystemTime>,
}

/// A schedule of a plugin that serves.
struct PluginSchedule {
    plugin: Arc<str>,
    schedule: Schedule,
}

impl Schedules {
    pub fn new(
        router: Arc<Router>,
        queues: Queues,
        server: Server,
        clock: Clock,
        config: Config,
        metrics: HostMetrics,
    ) -> Schedules {
        Schedules {
            occurrences: Occurrences::new(server, config.held_ms),
            router,
            queues,
            clock,
            config,
            metrics,
            known: HashMap::new(),
        }
    }

    /// Looks again and again, until the future is dropped.
    pub async fn run(mut self) {
        let pause = Duration::from_millis(self.config.look_ms);
        loop {
            tokio::time::sleep(pause).await;
            self.look().await;
        }
    }

    async fn look(&mut self) {
        let all = self.serving();
        let serves = |(plugin, name): &(Arc<str>, String)| {
            let same = |own: &PluginSchedule| own.plugin == *plugin && own.schedule.name == *name;
            all.iter().any(same)
        };
        self.known.retain(|key, _| serves(key));
        for own in &all {
            if let Err(error) = self.keep(own).await {
                let (plugin, schedule) = (&own.plugin, &own.schedule.name);
                tracing::warn!(%plugin, %schedule, %error, "the occurrences of a schedule could not be stored");
            }
        }
        if let Err(error) = self.resume(&all).await {
            tracing::warn!(%error, "messages of schedules that are due could not be sent");
        }
    }

    fn serving(&self) -> Vec<PluginSchedule> {
        let deployments = self.router.deployments();
        let all = deployments.iter().flat_map(|deployment| {
            let schedules = deployment.manifest.schedules.iter();
            schedules.map(|schedule| PluginSchedule {
                plugin: deployment.plugin.clone(),
                schedule: schedule.clone(),
            })
        });
        all.collect()
    }

    /// Sends what is due, where no other host does.
    async fn keep(&mut self, own: &PluginSchedule) -> Result<(), Unsent> {
        self.meet(own).await?;
        let now = self.clock.now();
        let next = self.known.get(&own.key()).and_then(|known| known.next);
        if next.is_none_or(|next| now < next) {
            return Ok(());
        }
        // The latest alone, where several were missed.
        let Some(due) = own.schedule.times.last(now) else {
            return Ok(());
        };
        let (plugin, name) = (&own.plugin, &own.schedule.name);
        let begun = self.occurrences.begin(plugin, name, due).await?;
        if let Some(known) = self.known.get_mut(&own.key()) {
            known.next = own.schedule.times.next(due);
        }
        match begun {
            Some(held) => self.send(own, held).await,
            None => Ok(()),
        }
    }

    /// Learns when a schedule that is new to this host was last due.
    async fn meet(&mut self, own: &PluginSchedule) -> Result<(), Error> {
        let (key, times) = (own.key(), own.times());
        if self
            .known
            .get(&key)
            .is_some_and(|known| known.times == times)
        {
            return Ok(());
        }
        let now = self.clock.now();
        let (plugin, name) = (&own.plugin, &own.schedule.name);
        let last = self.occurrences.meet(plugin, name, &times, now).await?;
        let next = own.schedule.times.next(last);
        self.known.insert(key, SeenSchedule { times, next });
        Ok(())
    }

    /// Goes on with what another host, or this one, has left.
    async fn resume(&self, all: &[PluginSchedule]) -> Result<(), Unsent> {
        let plugins: Vec<&str> = all.iter().map(|own| &*own.plugin).collect();
        while !plugins.is_empty()
            && let Some(held) = self.occurrences.take_over(&plugins).await?
        {
            let same = |own: &&PluginSchedule| {
                *own.plugin == *held.plugin && own.schedule.name == held.name
            };
            match all.iter().find(same) {
                Some(own) => self.send(own, held).await?,
                // Its plugin no longer has it.
                None => self.occurrences.end(&held).await?,
            }
        }
        Ok(())
    }

    /// Sends an occurrence to all who have not got it yet. Where that fails its row
    /// stays, and whoever finds it later goes on.
    async fn send(&self, own: &PluginSchedule, mut held: ClaimedOccurrence) -> Result<(), Unsent> {
        match own.schedule.whose {
            ScheduleAudience::Nobody => self.send_to(own, held.due, vec![None]).await?,
            ScheduleAudience::EachCustomer => {
                while let Some(last) = self.send_page(own, &held).await? {
                    if !self.occurrences.advance(&held, &last).await? {
                        return Err(Unsent::TakenOver);
                    }
                    held.last_customer = Some(last);
                }
            }
        }
        self.occurrences.end(&held).await?;
        let (plugin, schedule, due) = (&own.plugin, &own.schedule.name, timestamp(held.due));
        tracing::info!(%plugin, %schedule, %due, "the messages of a schedule were sent");
        Ok(())
    }

    /// Answers the last customer whose message was sent, if any was left.
    async fn send_page(
        &self,
        own: &PluginSchedule,
        held: &ClaimedOccurrence,
    ) -> Result<Option<String>, Unsent> {
        let after = held.last_customer.as_deref();
        let customers_max = self.config.customers_max;
        let customers = self.occurrences.customers(after, customers_max).await?;
        let last = customers.last().cloned();
        let customers = customers.iter().map(|id| Some(Arc::from(id.as_str())));
        self.send_to(own, held.due, customers.collect()).await?;
        Ok(last)
    }

    async fn send_to(
        &self,
        own: &PluginSchedule,
        due: SystemTime,
        customers: Vec<Option<Arc<str>>>,
    ) -> Result<(), Unsent> {
        let messages = customers
            .into_iter()
            .map(|customer| own.message(due, customer));
        let sent = self.queues.send(messages.collect()).await;
        let (plugin, schedule) = (&own.plugin, &own.schedule.name);
        let counter = self.metrics.scheduled(plugin, schedule);
        for sent in sent {
            match sent {
                Ok(_) => counter.increment(1),
                Err(error @ (QueueError::Unavailable(_) | QueueError::Full)) => {
                    return Err(Unsent::Queue(error));
                }
                // No later try would help; or the customer has too much in the queue, which
                // keeps no other customer's waiting.
                Err(error) => {
                    tracing::error!(%plugin, %schedule, %error, "a message of a schedule was rejected")
                }
            }
        }
        Ok(())
    }
}

/// Why an occurrence is not sent yet.
#[derive(Debug, thiserror::Error)]
enum Unsent {
    #[error(transparent)]
    Rows(#[from] Error),
    #[error(transparent)]
    Queue(QueueError),
    #[error("another host continues with it")]
    TakenOver,
}

impl PluginSchedule {
    fn key(&self) -> (Arc<str>, String) {
        (self.plugin.clone(), self.schedule.name.clone())
    }

    fn times(&self) -> String {
        let times = &self.schedule.times;
        format!("{} {}", times.cron, times.time_zone)
    }

    fn message(&self, due: SystemTime, customer: Option<Arc<str>>) -> Outgoing {
        let (name, due) = (&self.schedule.name, timestamp(due));
        Outgoing {
            queue: Arc::from(self.schedule.queue.as_str()),
            plugin: self.plugin.clone(),
            customer,
            body: Bytes::from(self.schedule.message.clone()),
            attributes: vec![
                ("schedule".to_owned(), name.clone()),
                ("due-at".to_owned(), due.to_string()),
            ],
            traceparent: None,
            delay: Duration::ZERO,
            group: None,
            deduplication_id: Some(format!("schedule-{name}-{}", due.as_second())),
        }
    }
}

/// What is due came from such a time.
fn timestamp(at: SystemTime) -> Timestamp {
    Timestamp::try_from(at).unwrap_or_default()
}
