//! The SDK's client with this host's limits, and what is asked of a queue itself.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::{TimeoutConfig, TimeoutConfigBuilder};
use aws_config::{BehaviorVersion, Region};
use aws_sdk_sqs::Client;
use aws_sdk_sqs::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};
use aws_sdk_sqs::types::QueueAttributeName;
use aws_smithy_http_client::Builder;
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};

use super::{Config, QueueAddress};
use crate::aws::Watching;
use crate::queue::{Depth, QueueError};
use hearth_base::telemetry::BackendWatch;

/// One for everything that is answered at once, and one that waits for long polls.
pub(super) async fn clients(config: &Config, watch: &Arc<BackendWatch>) -> (Client, Client) {
    let https = Builder::new()
        .tls_provider(Provider::Rustls(CryptoMode::Ring))
        .build_https();
    let retries = RetryConfig::standard()
        .with_max_attempts(config.attempts_max)
        .with_initial_backoff(Duration::from_millis(config.backoff_ms))
        .with_max_backoff(Duration::from_millis(config.backoff_ms_max));
    let mut loader = aws_config::defaults(BehaviorVersion::latest())
        .http_client(https)
        .retry_config(retries)
        .timeout_config(timeouts(config, Duration::ZERO).build());
    if let Some(region) = &config.region {
        loader = loader.region(Region::new(region.clone()));
    }
    if let Some(url) = &config.endpoint_url {
        loader = loader.endpoint_url(url);
    }
    let loaded = loader.load().await;
    let long_poll = Duration::from_secs(config.long_poll_s_max);
    let patient = aws_sdk_sqs::config::Builder::from(&loaded)
        .timeout_config(timeouts(config, long_poll).build())
        .interceptor(Watching::patient(watch))
        .build();
    let prompt = aws_sdk_sqs::config::Builder::from(&loaded)
        .interceptor(Watching::new(watch))
        .build();
    (Client::from_conf(prompt), Client::from_conf(patient))
}

fn timeouts(config: &Config, wait: Duration) -> TimeoutConfigBuilder {
    let attempt = Duration::from_millis(config.attempt_ms_max) + wait;
    TimeoutConfig::builder()
        .connect_timeout(Duration::from_millis(config.connect_ms_max))
        .operation_attempt_timeout(attempt)
        .read_timeout(attempt)
        .operation_timeout(Duration::from_millis(config.operation_ms_max) + wait)
}

/// What an operation failed with. The texts are for the operator's log.
pub(super) fn failed<E, R>(error: SdkError<E, R>) -> QueueError
where
    E: std::error::Error + ProvideErrorMetadata + 'static,
    R: std::fmt::Debug,
{
    match error.code() {
        Some("ReceiptHandleIsInvalid" | "InvalidParameterValue.ReceiptHandle") => {
            QueueError::LeaseLost
        }
        Some(code) => {
            let message = error.message().unwrap_or_default();
            QueueError::Unavailable(format!("SQS: {code}: {message}"))
        }
        None => QueueError::Unavailable(format!("SQS: {}", DisplayErrorContext(&error))),
    }
}

/// What an entry of a call failed with.
pub(super) fn entry_failed(code: &str, sender_fault: bool, message: Option<&str>) -> QueueError {
    let text = format!("SQS: {code}: {}", message.unwrap_or_default());
    let of_receipt = code.contains("ReceiptHandle") || code.contains("MessageNotInflight");
    match sender_fault {
        _ if of_receipt => QueueError::LeaseLost,
        true => QueueError::Invalid(text),
        false => QueueError::Unavailable(text),
    }
}

/// A queue's URL: SQS is asked once.
pub(super) async fn url(client: &Client, place: &QueueAddress) -> Result<String, QueueError> {
    let found = place.url.get_or_try_init(async || {
        if place.given.contains("://") {
            return Ok(place.given.clone());
        }
        let asked = client.get_queue_url().queue_name(&place.given).send().await;
        let answer = asked.map_err(failed)?;
        answer.queue_url.ok_or_else(|| {
            QueueError::Unavailable(format!("SQS gave no URL for the queue {}", place.given))
        })
    });
    found.await.cloned()
}

/// Counts are SQS's own, and approximate.
pub(super) async fn depth(client: &Client, url: &str) -> Result<Depth, QueueError> {
    let names = [
        QueueAttributeName::ApproximateNumberOfMessages,
        QueueAttributeName::ApproximateNumberOfMessagesDelayed,
        QueueAttributeName::ApproximateNumberOfMessagesNotVisible,
    ];
    let asked = client
        .get_queue_attributes()
        .queue_url(url)
        .set_attribute_names(Some(names.to_vec()));
    let answer = asked.send().await.map_err(failed)?;
    let counts: HashMap<_, _> = answer.attributes.unwrap_or_default();
    let [waiting, delayed, leased] = names.map(|name| {
        let count = counts.get(&name).and_then(|count| count.parse().ok());
        count.unwrap_or(0)
    });
    Ok(Depth {
        waiting,
        delayed,
        leased,
        ..Depth::default()
    })
}
