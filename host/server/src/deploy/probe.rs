//! The last check of a deploy: an instance is really made, and the manifest's
//! self-test is answered, within the limits of any request.

use std::sync::Arc;

use super::steps::{Rejected, Steps};
use hearth_runtime::capability::Faults;
use hearth_runtime::plugin::background_runtime::BackgroundRuntime;
use hearth_runtime::plugin::call;
use hearth_runtime::plugin::deployment::Deployment;
use hearth_runtime::plugin::instance::{Caller, Context, Request};
use hearth_runtime::plugin::manifest::SelfTest;

/// Asks on behalf of a customer that does not exist and owns nothing.
const CUSTOMER: &str = "cus_self-test";
const STEP: &str = "self-test";

/// A path that no plugin is likely to have: whatever it answers is right.
const NOWHERE: &str = "/hearth-self-test";

/// How much of a deployment is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Probe {
    /// Somebody deploys it: without a self-test it must answer at all, for the
    /// constructors of many components run with the first call only.
    Deployed,
    /// The configuration names it: its self-test, where it has one.
    Configured,
    /// It served before and the host starts: an instance, so that no passing
    /// trouble keeps a host from coming back.
    Returning,
}

/// Makes `warm_instances_min` instances, at least one, so that a start function
/// that loops or traps is found; then puts the self-test's request.
pub async fn probe(
    deployment: &Arc<Deployment>,
    background: &BackgroundRuntime,
    probe: Probe,
    steps: &mut Steps,
) -> Result<(), Rejected> {
    for _ in 0..deployment.manifest.instances.warm_instances_min.max(1) {
        call::warm(deployment, background)
            .await
            .map_err(|failure| {
                let reason = format!("an instance cannot be started: {failure}");
                Rejected::because(&deployment.plugin, STEP, reason)
            })?;
    }
    let manifest = &deployment.manifest;
    let note = match (&manifest.self_test, probe) {
        _ if !manifest.world.handles() => "an instance starts".to_string(),
        (_, Probe::Returning) | (None, Probe::Configured) => "an instance starts".to_string(),
        (Some(test), _) => ask(deployment, background, test, true).await?,
        (None, Probe::Deployed) => {
            let any = SelfTest {
                method: "GET".to_string(),
                path: format!("{}{NOWHERE}", manifest.mount),
                status: 0,
            };
            ask(deployment, background, &any, false).await?
        }
    };
    steps.done(STEP, note);
    Ok(())
}

/// Puts the request. `exactly` wants its status, else any will do.
async fn ask(
    deployment: &Arc<Deployment>,
    background: &BackgroundRuntime,
    test: &SelfTest,
    exactly: bool,
) -> Result<String, Rejected> {
    let title = format!("{} {}", test.method, test.path);
    let rejected = |reason: String| Rejected::because(&deployment.plugin, STEP, reason);
    let customer = Some(Arc::from(CUSTOMER));
    let mut call = call::circumstances(deployment, Arc::from(STEP), customer);
    let faults = Arc::new(Faults::default());
    call.faults = Some(faults.clone());
    let answer = call::handle(deployment, background, call, request(deployment, test)).await;
    let status = match answer {
        Ok(answer) => answer.status,
        Err(failure) => {
            let why = causes(&faults);
            return Err(rejected(format!(
                "{title} was not answered: {failure}{why}"
            )));
        }
    };
    match status == test.status || !exactly {
        true => Ok(format!("{title} {status}")),
        false => Err(rejected(format!(
            "{title} was answered {status}, expected {}{}",
            test.status,
            causes(&faults)
        ))),
    }
}

/// What the host could not do meanwhile. A plugin answers 503 and does not know why.
fn causes(faults: &Faults) -> String {
    match faults.texts() {
        none if none.is_empty() => String::new(),
        some => format!(" (what the host could not do for it: {})", some.join("; ")),
    }
}

fn request(deployment: &Deployment, test: &SelfTest) -> Request {
    // The manifest writes the path under its own mount; the operator may have
    // chosen another.
    let path = match test.path.strip_prefix(&deployment.manifest.mount) {
        Some(rest) => format!("{}{rest}", deployment.mount),
        None => test.path.clone(),
    };
    let (path, query) = match path.split_once('?') {
        Some((path, query)) => (path.to_string(), Some(query.to_string())),
        None => (path, None),
    };
    Request {
        method: test.method.clone(),
        path,
        query,
        headers: Vec::new(),
        body: Vec::new(),
        context: Context {
            request_id: STEP.to_string(),
            caller: Some(Caller {
                customer_id: CUSTOMER.to_string(),
                key_id: STEP.to_string(),
                scopes: Vec::new(),
            }),
            deadline_ms: deployment.limits.wall_ms_max,
            mount: deployment.mount.to_string(),
        },
    }
}
