//! The last station of the gate: an instance is really made, and the manifest's
//! self-test is answered, within the limits of any request.

use std::sync::Arc;

use super::steps::{Rejected, Steps};
use crate::plugin::call;
use crate::plugin::deployment::Deployment;
use crate::plugin::instance::{Caller, Context, Request};
use crate::plugin::long::Long;
use crate::plugin::manifest::SelfTest;

/// Asks on behalf of a customer that does not exist and owns nothing.
const CUSTOMER: &str = "cus_self-test";
const STEP: &str = "self-test";

/// Makes `warm_instances_min` instances, at least one, so that a start function
/// that loops or traps is found; then puts the self-test's request.
pub async fn probe(
    deployment: &Arc<Deployment>,
    long: &Long,
    steps: &mut Steps,
) -> Result<(), Rejected> {
    let rejected = |reason: String| Rejected::because(&deployment.plugin, STEP, reason);
    for _ in 0..deployment.manifest.instances.warm_instances_min.max(1) {
        call::warm(deployment, long)
            .await
            .map_err(|failure| rejected(format!("an instance does not start: {failure}")))?;
    }
    let Some(test) = &deployment.manifest.self_test else {
        steps.done(STEP, "an instance starts; the manifest has no self-test");
        return Ok(());
    };
    let customer = Some(Arc::from(CUSTOMER));
    let call = call::circumstances(deployment, Arc::from(STEP), customer);
    let answer = call::handle(deployment, long, call, request(deployment, test))
        .await
        .map_err(|failure| {
            rejected(format!(
                "the self-test {} {} failed: {failure}",
                test.method, test.path
            ))
        })?;
    if answer.status != test.status {
        return Err(rejected(format!(
            "the self-test {} {} was answered {} and wants {}",
            test.method, test.path, answer.status, test.status
        )));
    }
    let note = format!("{} {} {}", test.method, test.path, test.status);
    steps.done(STEP, note);
    Ok(())
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
