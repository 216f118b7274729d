//! Batches that DynamoDB does not write whole and at once: what is sent again, and
//! what each item's caller is told.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use hearth::capability::documents::{Config, GuestError, Range};
use tokio::sync::watch;
use tokio::time::Instant;

use super::super::fixture::{Bench, item};
use super::numbered;
use crate::harness::dynamodb::{Fate, Private, Proxy, Request};
use crate::harness::postgres::until;

/// A bench behind a proxy that decides so.
async fn facing<F>(
    decide: impl Fn(Arc<Request>) -> F + Send + Sync + 'static,
) -> (Bench, Proxy, Private)
where
    F: Future<Output = Fate> + Send + 'static,
{
    let private = Private::start().await;
    let proxy = Proxy::start(private.url(), decide).await;
    (
        Bench::at(&proxy.url, Config::default()).await,
        proxy,
        private,
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unprocessed_items_are_sent_again_and_counted() {
    let calls = Arc::new(Mutex::new(0));
    let (bench, _proxy, _private) = facing(move |request| {
        let calls = calls.clone();
        async move {
            let mut calls = calls.lock().unwrap();
            *calls += usize::from(request.is_batch());
            match request.is_batch() && *calls == 1 {
                true => Fate::Unprocessed(vec![0, 3, 4]),
                false => Fate::Pass,
            }
        }
    })
    .await;
    let outcomes = bench.call("acme").put_many(numbered(0..10)).await;
    assert_eq!(outcomes, vec![Ok(()); 10]);
    assert_eq!(bench.call("acme").count(Range::All, 100).await, Ok(10));
    assert_eq!(bench.metric("hearth_documents_unprocessed_total", ""), 3.0);
    assert_eq!(bench.metric("hearth_documents_retries_total", ""), 3.0);
    assert_eq!(
        bench.metric("hearth_documents_items_total", "written"),
        10.0
    );
    assert!(bench.metric("hearth_documents_calls_total", "") >= 2.0);
    assert_eq!(bench.metric("hearth_documents_call_items_sum", ""), 13.0);
    assert!(bench.metric("hearth_documents_flush_seconds_count", "") >= 2.0);
    assert_eq!(
        bench.metric("hearth_documents_item_seconds_count", ""),
        10.0
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_wrong_item_takes_no_other_of_its_batch_with_it() {
    let (bench, _proxy, _private) = facing(|request| async move {
        match request.keys().iter().any(|(_, sort)| sort == "00007") {
            true => Fate::Refuse,
            false => Fate::Pass,
        }
    })
    .await;
    let outcomes = bench.call("acme").put_many(numbered(0..30)).await;
    for (place, outcome) in outcomes.iter().enumerate() {
        match place {
            7 => assert!(
                matches!(outcome, Err(GuestError::Invalid(_))),
                "{outcome:?}"
            ),
            _ => assert_eq!(outcome, &Ok(()), "{place}"),
        }
    }
    assert_eq!(bench.call("acme").count(Range::All, 100).await, Ok(29));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_dynamodb_never_takes_is_given_up_at_the_deadline_and_never_written() {
    let throttles = Arc::new(watch::channel(true).0);
    let of_proxy = throttles.clone();
    let (bench, _proxy, _private) = facing(move |request| {
        let throttles = *of_proxy.borrow();
        async move {
            match request.is_batch() && throttles {
                true => Fate::Throttle,
                false => Fate::Pass,
            }
        }
    })
    .await;
    let mut call = bench.call("acme");
    call.call.deadline = Instant::now() + Duration::from_millis(400);
    let outcomes = call.put_many(numbered(0..3)).await;
    let given_up = |outcome: &Result<(), GuestError>| {
        matches!(
            outcome,
            Err(GuestError::Unavailable | GuestError::DeadlineExceeded)
        )
    };
    assert!(outcomes.iter().all(given_up), "{outcomes:?}");
    throttles.send_replace(false);
    assert_eq!(bench.call("acme").put(item("after", "{}")).await, Ok(()));
    assert_eq!(bench.call("acme").sorts(Range::All).await, ["after"]);
    until(async || bench.metric("hearth_documents_waiting", "") == 0.0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answer_that_is_lost_is_no_acknowledgement() {
    let (bench, _proxy, _private) = facing(|request| async move {
        match request.is_batch() {
            true => Fate::LoseAnswer,
            false => Fate::Pass,
        }
    })
    .await;
    let mut call = bench.call("acme");
    call.call.deadline = Instant::now() + Duration::from_millis(400);
    let outcome = call.put(item("s", "{}")).await;
    assert!(outcome.is_err(), "{outcome:?}");
    let retried = bench.metric("hearth_documents_calls_total", "");
    assert!(retried > 1.0, "{retried}");
}
