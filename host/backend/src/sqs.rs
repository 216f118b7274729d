//! Queues in Amazon's SQS.
//!
//! What SQS cannot do the host does with Postgres: a message with a group, with a
//! deduplication id, or with a delay that SQS does not know goes through the outbox
//! and from there, when it is due, to SQS (see `relay`); dead letters are
//! there, and so is what SQS counts as a delivery and the host does not.
//!
//! A queue is a FIFO queue where its name ends in `.fifo`, as SQS wants it. Only
//! such a one takes messages with a group. Others may write into a queue: what does
//! not carry this fleet's own stamp ([`stamp`]) is no message of it, and goes to the
//! dead letters.

mod client;
mod ledger;
mod receive;
pub(super) mod relay;
mod send;
mod settle;
mod stamp;
mod text;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_sqs::Client;
use tokio::sync::OnceCell;

use super::merge::Merge;
use super::pgqueue::PgQueue;
use super::queue::{Depth, Outgoing, QueueError, SqsConfig as Config};
use hearth_base::clock::Clock;
use hearth_base::secret::RootSecret;
use hearth_base::telemetry::BackendWatch;
use send::Parcel;
use stamp::Stamps;

/// The longest that SQS delays a message. Source: SQS.
const DELAY_MAX: Duration = Duration::from_secs(15 * 60);
/// The longest that SQS hides one. Source: SQS.
const VISIBILITY_MAX: Duration = Duration::from_secs(12 * 3_600);
/// Entries of one call. Source: SQS.
const ENTRIES_MAX: usize = 10;

/// The queues of an account. Cloning shares them.
#[derive(Clone)]
pub struct Sqs {
    shared: Arc<SqsInner>,
}

struct SqsInner {
    client: Client,
    /// Waits longer for an answer: for long polls.
    patient: Client,
    queues: BTreeMap<String, Named>,
    stamps: Arc<Stamps>,
    postgres: PgQueue,
    config: Config,
}

/// A queue as the configuration names it.
struct Named {
    place: Arc<QueueAddress>,
    sends: Arc<Merge<Parcel, Result<(), QueueError>>>,
}

/// Where a queue is in SQS.
struct QueueAddress {
    /// The name or the URL of the configuration.
    given: String,
    url: OnceCell<String>,
}

impl QueueAddress {
    fn is_fifo(&self) -> bool {
        self.given.ends_with(".fifo")
    }
}

impl Sqs {
    pub(super) async fn open(
        config: &Config,
        secret: &RootSecret,
        postgres: PgQueue,
        watch: &Arc<BackendWatch>,
    ) -> Sqs {
        let (client, patient) = client::clients(config, watch).await;
        let named = config.queues.iter().map(|(name, given)| {
            let place = Arc::new(QueueAddress {
                given: given.clone(),
                url: OnceCell::new(),
            });
            let sends = send::merge(&client, &place, config);
            (name.clone(), Named { place, sends })
        });
        Sqs {
            shared: Arc::new(SqsInner {
                queues: named.collect(),
                stamps: Arc::new(Stamps::new(secret)),
                client,
                patient,
                postgres,
                config: config.clone(),
            }),
        }
    }

    /// The outbox and the dead letters.
    pub(super) fn postgres(&self) -> &PgQueue {
        &self.shared.postgres
    }

    /// What the relay takes from.
    pub(crate) fn outbox(&self) -> &PgQueue {
        &self.shared.postgres
    }

    pub(crate) fn clock(&self) -> &Clock {
        self.shared.postgres.clock()
    }

    pub(crate) fn config(&self) -> &Config {
        &self.shared.config
    }

    /// The names of the configured queues.
    pub(crate) fn names(&self) -> Vec<String> {
        self.shared.queues.keys().cloned().collect()
    }

    pub(super) fn check(&self, message: &Outgoing) -> Result<(), QueueError> {
        let named = self.named(&message.queue)?;
        if message.group.is_some() && !named.place.is_fifo() {
            let reason = "messages with a group need a FIFO queue: its name in SQS must end in \
                          .fifo";
            return Err(QueueError::Invalid(reason.into()));
        }
        Ok(())
    }

    fn named(&self, queue: &str) -> Result<&Named, QueueError> {
        self.shared.queues.get(queue).ok_or_else(|| {
            let name: String = queue.chars().take(80).collect();
            QueueError::Denied(format!(
                "the queue {name} is not configured in SQS (queue.sqs.queues)"
            ))
        })
    }

    async fn url(&self, named: &Named) -> Result<String, QueueError> {
        client::url(&self.shared.client, &named.place).await
    }

    /// What SQS says is in each configured queue, and what waits in the outbox.
    pub(super) async fn depths(&self) -> Result<Vec<Depth>, QueueError> {
        let mut depths = self.postgres().depths().await?;
        for (name, named) in &self.shared.queues {
            let url = self.url(named).await?;
            let in_sqs = client::depth(&self.shared.client, &url).await?;
            match depths.iter_mut().find(|depth| depth.queue == *name) {
                Some(depth) => {
                    depth.waiting += in_sqs.waiting;
                    depth.delayed += in_sqs.delayed;
                    depth.leased += in_sqs.leased;
                }
                None => depths.push(Depth {
                    queue: name.clone(),
                    ..in_sqs
                }),
            }
        }
        Ok(depths)
    }
}
