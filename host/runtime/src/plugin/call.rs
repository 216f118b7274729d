//! One call of a plugin, from its permit to its outcome.
//!
//! Everything that the call does hangs on one deadline. When it passes, the
//! client goes away or the guest traps, the future that runs the guest is
//! dropped, and with it the store and whatever its capabilities held open.

use std::sync::Arc;

use metrics::Gauge;
use tokio::time::Instant;

use super::admission::{Permit, Shed};
use super::background_runtime::BackgroundRuntime;
use super::deployment::Deployment;
use super::instance::{Batch, Disposition, Instance, Request, Response};
use super::memory::{MemoryExhausted, TableExhausted};
use super::meter::{CpuExhausted, Meter};
use crate::capability::Call;
use hearth_base::telemetry::{Span, SpanKind};

/// Why a call has no answer, and so who is to blame.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The host had no room: come again.
    #[error("overloaded: {0}")]
    Shed(#[from] Shed),
    /// The guest computed for longer than it may.
    #[error("the guest exceeded its CPU time")]
    Cpu,
    /// The wall clock's deadline passed.
    #[error("the deadline passed")]
    Deadline,
    /// The guest wanted more memory than it may have.
    #[error("the guest ran out of memory: {0}")]
    Memory(String),
    /// The guest trapped.
    #[error("the guest trapped: {0}")]
    Trapped(String),
    /// The pool of instances has no room although a permit was given.
    #[error("no instance could be created: {0}")]
    Exhausted(String),
}

/// The circumstances of a call for its deployment.
pub fn circumstances(
    deployment: &Deployment,
    request_id: Arc<str>,
    customer: Option<Arc<str>>,
) -> Call {
    Call::new(
        deployment.plugin.clone(),
        deployment.number,
        request_id,
        customer,
        Instant::now() + deployment.wall_max(),
        deployment.limits.host_calls_max,
    )
}

/// Answers one request by the deployment, within all its limits.
pub async fn handle(
    deployment: &Arc<Deployment>,
    background: &BackgroundRuntime,
    call: Call,
    request: Request,
) -> Result<Response, Failure> {
    let came = Instant::now();
    let permit = deployment.gate.enter(call.customer.clone()).await;
    call.spent.add_turn(came.elapsed());
    let permit = permit?;
    let answered = within_limits(deployment, background, permit, call, request).await;
    note(deployment, &answered, |response| response.status >= 500);
    answered
}

/// Consumes one batch by the deployment, within all its limits. The permit was
/// taken before the messages were received.
pub async fn consume(
    deployment: &Arc<Deployment>,
    background: &BackgroundRuntime,
    permit: Permit,
    call: Call,
    batch: Batch,
) -> Result<Vec<Disposition>, Failure> {
    let answered = within_limits(deployment, background, permit, call, batch).await;
    note(deployment, &answered, |_| false);
    answered
}

/// That there was no room for a call says nothing of the guest.
fn note<A>(
    deployment: &Deployment,
    answered: &Result<A, Failure>,
    says_failed: impl FnOnce(&A) -> bool,
) {
    match answered {
        Err(Failure::Shed(_) | Failure::Exhausted(_)) => {}
        Err(_) => deployment.note_call(true),
        Ok(answer) => deployment.note_call(says_failed(answer)),
    }
}

/// What a guest is called with, and how.
trait Input: Send + Sync + 'static {
    type Answer: Send + 'static;

    /// What traces call it.
    const NAME: &str;

    fn put(&self, to: &mut Instance)
    -> impl Future<Output = wasmtime::Result<Self::Answer>> + Send;
}

impl Input for Request {
    type Answer = Response;

    const NAME: &str = "handle";

    async fn put(&self, to: &mut Instance) -> wasmtime::Result<Response> {
        to.handle(self).await
    }
}

impl Input for Batch {
    type Answer = Vec<Disposition>;

    const NAME: &str = "consume";

    async fn put(&self, to: &mut Instance) -> wasmtime::Result<Vec<Disposition>> {
        to.consume(self).await
    }
}

async fn within_limits<I: Input>(
    deployment: &Arc<Deployment>,
    background: &BackgroundRuntime,
    _permit: Permit,
    mut call: Call,
    input: I,
) -> Result<I::Answer, Failure> {
    let metrics = &deployment.metrics;
    let _in_flight = InFlight::enter(&metrics.instances_in_flight);
    let mut span = begin_span::<I>(&mut call);
    let meter = Arc::new(Meter::new(deployment.cpu_max()));
    let (deadline, spent) = (call.deadline, call.spent.clone());
    let run = run(deployment.clone(), call, meter.clone(), input);
    let outcome = tokio::time::timeout_at(deadline, background.run(meter.clone(), run)).await;
    let cpu = meter.spent();
    metrics.guest_cpu_seconds.record(cpu.as_secs_f64());
    spent.add_cpu(cpu);
    span.number("hearth.cpu_us", cpu.as_micros());
    let answer = match outcome {
        Err(_) => Err(Failure::Deadline),
        Ok(None) => Err(Failure::Trapped("the call's task ended".into())),
        Ok(Some(answer)) => answer,
    };
    if let Err(failure) = &answer {
        span.fail(failure.kind());
    }
    answer
}

/// What the guest asks of the host belongs below it.
fn begin_span<I: Input>(call: &mut Call) -> Span {
    let name = format_args!("{} {}", call.plugin, I::NAME);
    let mut span = call.trace.span(name, SpanKind::Internal);
    span.number("hearth.deployment", call.deployment);
    call.trace = span.scope();
    span
}

async fn run<I: Input>(
    deployment: Arc<Deployment>,
    call: Call,
    meter: Arc<Meter>,
    input: I,
) -> Result<I::Answer, Failure> {
    let mut instance = instance(&deployment, call, meter).await?;
    let answer = input.put(&mut instance).await;
    record_peak(&deployment, &instance);
    let answer = answer.map_err(|error| blame(&error))?;
    instance.end_call();
    deployment.idle.give(instance);
    Ok(answer)
}

/// Exact up to 2^53 bytes, which no guest has.
fn record_peak(deployment: &Deployment, instance: &Instance) {
    let bytes = instance.peak_memory_bytes() as f64;
    deployment.metrics.guest_memory_peak_bytes.record(bytes);
}

/// Counts a call among those that run, until it is dropped.
struct InFlight<'a>(&'a Gauge);

impl InFlight<'_> {
    fn enter(gauge: &Gauge) -> InFlight<'_> {
        gauge.increment(1.0);
        InFlight(gauge)
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.decrement(1.0);
    }
}

async fn instance(
    deployment: &Deployment,
    call: Call,
    meter: Arc<Meter>,
) -> Result<Instance, Failure> {
    if let Some(mut instance) = deployment.idle.take(&call.customer) {
        instance.begin_call(call, meter);
        return Ok(instance);
    }
    let fresh = deployment
        .pre
        .instantiate(call, deployment.lents.clone(), meter);
    fresh.await.map_err(|error| blame(&error))
}

/// Instantiates ahead of any request, as the start of a deployment does for
/// `warm_instances_min`. The guest's start function is under the same limits.
/// Answers whether there was room to keep it.
pub async fn warm(
    deployment: &Arc<Deployment>,
    background: &BackgroundRuntime,
) -> Result<bool, Failure> {
    let meter = Arc::new(Meter::new(deployment.cpu_max()));
    let call = circumstances(deployment, Arc::from("warm"), None);
    let deadline = call.deadline;
    let warmed = deployment.clone();
    let account = meter.clone();
    let run = async move {
        let fresh = warmed
            .pre
            .instantiate(call, warmed.lents.clone(), account)
            .await;
        Ok(warmed.idle.give(fresh.map_err(|error| blame(&error))?))
    };
    match tokio::time::timeout_at(deadline, background.run(meter, run)).await {
        Err(_) => Err(Failure::Deadline),
        Ok(None) => Err(Failure::Trapped("the call's task ended".into())),
        Ok(Some(done)) => done,
    }
}

/// Makes up for instances that calls have taken, beside the calls and one after
/// the other, until as many wait as the plugin wants ready.
pub fn top_up(deployment: &Arc<Deployment>, background: &Arc<BackgroundRuntime>) {
    if !deployment.idle.begin_warming() {
        return;
    }
    let (deployment, background) = (deployment.clone(), background.clone());
    tokio::spawn(async move {
        while deployment.idle.lacks() {
            match warm(&deployment, &background).await {
                Ok(true) => {}
                Ok(false) => break,
                Err(failure) => {
                    tracing::warn!(plugin = %deployment.plugin, deployment = deployment.number, "an instance could not be prepared: {failure}");
                    break;
                }
            }
        }
        deployment.idle.end_warming();
    });
}

fn blame(error: &wasmtime::Error) -> Failure {
    if error.is::<CpuExhausted>() {
        return Failure::Cpu;
    }
    if let Some(exhausted) = error.downcast_ref::<MemoryExhausted>() {
        return Failure::Memory(exhausted.to_string());
    }
    if let Some(exhausted) = error.downcast_ref::<TableExhausted>() {
        return Failure::Memory(exhausted.to_string());
    }
    if error.is::<wasmtime::PoolConcurrencyLimitError>() {
        return Failure::Exhausted(error.to_string());
    }
    Failure::Trapped(trap(error))
}

/// A trap's reason without the backtrace, which belongs into the log alone.
fn trap(error: &wasmtime::Error) -> String {
    tracing::debug!(backtrace = ?error, "a guest trapped");
    match error.downcast_ref::<wasmtime::Trap>() {
        Some(trap) => trap.to_string(),
        None => error.root_cause().to_string(),
    }
}

impl Failure {
    /// The label of metrics.
    pub fn kind(&self) -> &'static str {
        match self {
            Failure::Shed(Shed::QueueFull) => "queue_full",
            Failure::Shed(Shed::ShareFull) => "share_full",
            Failure::Shed(Shed::WaitedTooLong) => "waited_too_long",
            Failure::Cpu => "cpu",
            Failure::Deadline => "deadline",
            Failure::Memory(_) => "memory",
            Failure::Trapped(_) => "trap",
            Failure::Exhausted(_) => "exhausted",
        }
    }
}
