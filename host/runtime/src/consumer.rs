//! Delivers messages of queues to guests, as `[[queues]]` of their manifests ask.
//!
//! Each queue of a deployment that serves has an [`Intake`]. It takes a permit before
//! it receives, so that messages stay in the queue until the host has room for them,
//! and passes what it receives to calls, each with the messages of one customer. A swap
//! ends the intakes of the old deployment: running calls end on it, messages that are
//! not in a call yet are returned to the queue, and then the intakes of the new
//! deployment begin.

mod call;
mod intake;
mod leases;
mod outcome;
mod part;
mod settle;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use parking_lot::Mutex;
use serde::Deserialize;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::intake::Intake;
use crate::plugin::background_runtime::BackgroundRuntime;
use crate::plugin::deployment::Deployment;
use hearth_backend::queues::Queues;
use hearth_base::bounds;
use hearth_base::clock::Clock;
use hearth_base::pacer::Pacer;
use hearth_base::section::{KIB, MIB, Mistakes, Section};
use hearth_base::telemetry::{HostMetrics, Traces};

/// The `[consumer]` table of hearth.toml. Settings of one queue are in the manifest of
/// the plugin that consumes it.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Milliseconds that one receive waits for a message.
    pub receive_ms_max: u64,
    /// Milliseconds between two attempts to reach a queue that is unavailable.
    pub retry_ms: u64,
    /// Tries to settle what a call has consumed. After the last it comes again.
    pub settle_tries_max: u32,
    /// Bytes of the reason that a dead letter keeps.
    pub reason_bytes_max: usize,
    /// Bytes of the messages of one call, but for one message that is larger.
    pub call_bytes_max: usize,
    /// Calls that begin in a second, for each processor, while requests come.
    pub busy_calls_per_second_max: u32,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            receive_ms_max: 20_000,
            retry_ms: 1_000,
            settle_tries_max: 5,
            reason_bytes_max: 1_024,
            call_bytes_max: 1024 * 1024,
            busy_calls_per_second_max: 200,
        }
    }
}

impl Section for Config {
    fn validate(&self, mistakes: &mut Mistakes) {
        bounds! { self, mistakes =>
            // SQS waits for 20 seconds at most.
            receive_ms_max in 1..=20_000,
            retry_ms in 1..=60_000,
            settle_tries_max in 1..=100,
            reason_bytes_max in 1..=64 * KIB,
            call_bytes_max in KIB..=64 * MIB,
            busy_calls_per_second_max in 1..=1_000_000,
        }
    }
}

/// What a call may take past the end of a drain: its messages are given back.
const GRACE: Duration = Duration::from_secs(5);

/// What every intake works with.
struct IntakeContext {
    queues: Queues,
    background: Arc<BackgroundRuntime>,
    pacer: Arc<Pacer>,
    clock: Clock,
    config: Config,
    metrics: HostMetrics,
    traces: Traces,
}

/// All plugins of this host that consume.
pub struct Consumers {
    shared: Arc<IntakeContext>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Not before the host serves, and not once it drains.
    open: bool,
    active: HashMap<Arc<str>, Active>,
}

/// The intakes of one deployment, and the calls that they began.
struct Active {
    stop: CancellationToken,
    /// The deployment's own: ends calls that do not end by themselves.
    cut: CancellationToken,
    tasks: TaskTracker,
}

impl Active {
    async fn end(self) {
        self.stop.cancel();
        self.tasks.wait().await;
    }
}

impl Consumers {
    pub fn new(
        queues: Queues,
        background: Arc<BackgroundRuntime>,
        pacer: Arc<Pacer>,
        clock: Clock,
        config: Config,
        metrics: HostMetrics,
        traces: Traces,
    ) -> Consumers {
        let shared = IntakeContext {
            queues,
            background,
            pacer,
            clock,
            config,
            metrics,
            traces,
        };
        Consumers {
            shared: Arc::new(shared),
            state: Mutex::default(),
        }
    }

    /// The pacer, which is told of requests so that they go first.
    pub fn pacer(&self) -> Arc<Pacer> {
        self.shared.pacer.clone()
    }

    /// What requests are traced with, too.
    pub fn traces(&self) -> Traces {
        self.shared.traces.clone()
    }

    /// Begins, with what serves once the host has started.
    pub fn begin(&self, deployments: &[Arc<Deployment>]) {
        let mut state = self.state.lock();
        state.open = true;
        for deployment in deployments {
            self.start(&mut state, deployment);
        }
    }

    /// Ends the intakes of the deployment that served the plugin before, waits for
    /// their calls, and lets this one consume.
    pub async fn replace(&self, deployment: &Arc<Deployment>) {
        self.end(&deployment.plugin).await;
        let mut state = self.state.lock();
        if state.open {
            self.start(&mut state, deployment);
        }
    }

    /// Nothing is received for the plugin any more; its calls have ended.
    pub async fn end(&self, plugin: &str) {
        let active = self.state.lock().active.remove(plugin);
        if let Some(active) = active {
            active.end().await;
        }
    }

    /// Ends everything, for good. Calls that go on for longer than `bound` are cut
    /// and their messages given back.
    pub async fn drain(&self, bound: Duration) {
        let all: Vec<Active> = {
            let mut state = self.state.lock();
            state.open = false;
            state.active.drain().map(|(_, active)| active).collect()
        };
        let cuts: Vec<CancellationToken> = all.iter().map(|active| active.cut.clone()).collect();
        let mut ending = std::pin::pin!(async {
            join_all(all.into_iter().map(Active::end)).await;
            self.shared.queues.given_back().await;
        });
        if timeout(bound, &mut ending).await.is_ok() {
            return;
        }
        tracing::warn!(
            "consumers were still running when the drain ended: their messages are returned to the \
             queue"
        );
        cuts.iter().for_each(CancellationToken::cancel);
        if timeout(GRACE, ending).await.is_err() {
            tracing::warn!(
                "messages could not be returned to the queue in time; they are delivered again \
                 when their leases expire"
            );
        }
    }

    fn start(&self, state: &mut State, deployment: &Arc<Deployment>) {
        let queues = &deployment.manifest.queues;
        if queues.is_empty() {
            return;
        }
        let active = Active {
            stop: CancellationToken::new(),
            cut: deployment.stop.clone(),
            tasks: TaskTracker::new(),
        };
        // Open or closed makes no difference to what may be spawned, only to `wait`.
        active.tasks.close();
        for consumed in queues {
            let (stop, tasks) = (active.stop.clone(), active.tasks.clone());
            let (shared, deployment) = (self.shared.clone(), deployment.clone());
            let intake = Intake::open(shared, deployment, consumed.clone(), stop, tasks);
            active.tasks.spawn(Arc::new(intake).run());
        }
        state.active.insert(deployment.plugin.clone(), active);
    }
}
