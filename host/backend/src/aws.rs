//! How DynamoDB and SQS do, noted at the one place through which the SDK takes every
//! attempt of every operation.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::Intercept;
use aws_smithy_runtime_api::client::interceptors::context::{
    BeforeTransmitInterceptorContextRef, FinalizerInterceptorContextRef,
};
use aws_smithy_runtime_api::client::orchestrator::Metadata;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::{ConfigBag, Storable, StoreReplace};

use hearth_base::telemetry::{BackendCall, BackendWatch};

/// Notes each attempt of a client.
pub struct Watching {
    watch: Arc<BackendWatch>,
    /// Of a client that waits for messages: that takes as long as it takes.
    is_patient: bool,
}

impl Watching {
    pub fn new(watch: &Arc<BackendWatch>) -> Watching {
        Watching {
            watch: watch.clone(),
            is_patient: false,
        }
    }

    /// For a client whose answers are not expected at once.
    pub fn patient(watch: &Arc<BackendWatch>) -> Watching {
        Watching {
            is_patient: true,
            ..Watching::new(watch)
        }
    }
}

impl fmt::Debug for Watching {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watching").finish_non_exhaustive()
    }
}

/// When an attempt began.
#[derive(Debug)]
struct AttemptStart(Instant);

impl Storable for AttemptStart {
    type Storer = StoreReplace<AttemptStart>;
}

impl Intercept for Watching {
    fn name(&self) -> &'static str {
        "hearth-watching"
    }

    fn read_before_attempt(
        &self,
        _: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        bag: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        bag.interceptor_state()
            .store_put(AttemptStart(Instant::now()));
        Ok(())
    }

    fn read_after_attempt(
        &self,
        context: &FinalizerInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        bag: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let took = bag.load::<AttemptStart>().map(|began| began.0.elapsed());
        let took = took.unwrap_or_default();
        let asked = BackendCall {
            plugin: None,
            statement: bag.load::<Metadata>().map(Metadata::name),
        };
        match away(context) {
            Some(reason) => self.watch.unavailable(asked, took, &reason),
            None if self.is_patient => self.watch.answered(asked, Duration::ZERO),
            None => self.watch.answered(asked, took),
        }
        Ok(())
    }
}

/// Why nobody is there, if so. What an error says may quote what was asked, so only its
/// kind is told.
fn away(context: &FinalizerInterceptorContextRef<'_>) -> Option<String> {
    let status = context.response().map(|answer| answer.status().as_u16());
    if let Some(status) = status.filter(|status| *status >= 500) {
        return Some(format!("it answered {status}"));
    }
    let error = context.output_or_error()?.err()?;
    if error.is_timeout_error() {
        return Some("it did not answer in time".to_owned());
    }
    let is_lost = error.is_connector_error() || error.is_response_error();
    is_lost.then(|| "there is no connection to it, or none that holds".to_owned())
}
