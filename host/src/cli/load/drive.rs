//! Sends the requests of a plan and counts what comes back.

mod connection;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use http::HeaderName;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use tokio::sync::mpsc;
use tokio::time::timeout;

use self::connection::{Connection, NotSent, Sent};
use super::plan::Plan;
use super::progress::Progress;
use super::tally::{Answer, Failure, Kind, LoadCounts};

const HEARTH_PLUGIN: HeaderName = HeaderName::from_static("hearth-plugin");

/// Outcomes that wait to be counted; a worker waits where there are more.
const OUTCOMES_MAX: usize = 1_024;

/// How often progress is shown while no outcome comes.
const PROGRESS: Duration = Duration::from_millis(500);

type RequestResult = Result<Answer, Failure>;

/// Sends every request of the plan once and returns when each has its outcome.
pub async fn drive(plan: Plan, progress: &mut Progress) -> anyhow::Result<LoadCounts> {
    let mut tally = LoadCounts::new(plan.expect)?;
    let started = Instant::now();
    let mut outcomes = start(Arc::new(plan));
    let mut batch = Vec::with_capacity(OUTCOMES_MAX);
    loop {
        let received = timeout(PROGRESS, outcomes.recv_many(&mut batch, OUTCOMES_MAX)).await;
        if received == Ok(0) {
            break;
        }
        tally.elapsed = started.elapsed();
        batch.drain(..).for_each(|outcome| tally.count(outcome));
        progress.show(&tally);
    }
    Ok(tally)
}

/// Starts the workers. What they return ends when the last of them has ended.
fn start(plan: Arc<Plan>) -> mpsc::Receiver<RequestResult> {
    let (sender, outcomes) = mpsc::channel(OUTCOMES_MAX);
    let left = Arc::new(AtomicU64::new(plan.requests));
    for _ in 0..plan.workers {
        let worker = Worker {
            plan: plan.clone(),
            connection: None,
        };
        tokio::spawn(worker.run(left.clone(), sender.clone()));
    }
    outcomes
}

/// One client, with one connection that it keeps.
struct Worker {
    plan: Arc<Plan>,
    connection: Option<Connection>,
}

impl Worker {
    /// Sends requests for as long as some are left.
    async fn run(mut self, left: Arc<AtomicU64>, outcomes: mpsc::Sender<RequestResult>) {
        let take = || left.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(1));
        while take().is_ok() {
            let outcome = self.request().await;
            if outcomes.send(outcome).await.is_err() {
                return;
            }
        }
    }

    /// One request. A connection that is not idle after it is dropped, and with
    /// it whatever is still under way.
    async fn request(&mut self) -> RequestResult {
        let limit = self.plan.timeout;
        let exchanged = timeout(limit, self.exchange()).await;
        exchanged.unwrap_or(Err(Failure {
            kind: Kind::Timeout,
            detail: None,
        }))
    }

    async fn exchange(&mut self) -> RequestResult {
        let (connection, sent) = self.send().await?;
        let status = sent.response.status();
        let deployment = sent.response.headers().get(HEARTH_PLUGIN).cloned();
        read_to_end(sent.response.into_body()).await?;
        let latency = sent.at.elapsed();
        self.connection = Some(connection);
        Ok(Answer {
            status,
            latency,
            deployment,
        })
    }

    /// Sends on the connection that was kept. Where the host closed it meanwhile,
    /// which HTTP allows at any time, and nothing of this request was written, a
    /// new one is opened; where something was written the request has failed,
    /// for nobody can tell what the host did with it.
    async fn send(&mut self) -> Result<(Connection, Sent), Failure> {
        if let Some(mut kept) = self.connection.take() {
            match kept.send(&self.plan).await {
                Ok(sent) => return Ok((kept, sent)),
                Err(NotSent::Failed(failure)) => return Err(failure),
                Err(NotSent::Closed(_)) => {}
            }
        }
        let mut fresh = Connection::open(&self.plan.target).await?;
        let sent = fresh
            .send(&self.plan)
            .await
            .map_err(NotSent::into_failure)?;
        Ok((fresh, sent))
    }
}

/// Nothing of the body is kept: its end is what is waited for.
async fn read_to_end(mut body: Incoming) -> Result<(), Failure> {
    while let Some(frame) = body.frame().await {
        frame.map_err(|error| connection::failure(&error))?;
    }
    Ok(())
}
