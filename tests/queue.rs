//! Queues: what holds on every backend, each backend's own, and what a guest sees.

mod bench;
mod cost;
mod guest;
mod horizon;
mod interleaving;
mod migrated;
mod ordering;
mod postgres;
mod relay;
mod shares;
mod sharing;
mod sqs;
mod transaction;
mod waiting;

use std::sync::Arc;
use std::time::Duration;

use hearth::backend::queue::{Outgoing, Settlement, Which};

use bench::{Bench, HOUR, body, failed, message, of_group};

/// Each of the tests on each backend: Postgres, and SQS by two implementations.
macro_rules! on_each_backend {
    ($($name:ident),* $(,)?) => {
        mod on_postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name(crate::queue::bench::On::Postgres).await;
            })*
        }
        mod on_sqs_of_moto {
            use crate::harness::sqs::Make;
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name(crate::queue::bench::On::Sqs(Make::Moto)).await;
            })*
        }
        mod on_sqs_of_rustack {
            use crate::harness::sqs::Make;
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name(crate::queue::bench::On::Sqs(Make::Rustack)).await;
            })*
        }
    };
}
use on_each_backend;

on_each_backend!(
    message_arrives_as_it_was_sent,
    trace_travels_beside_the_attributes,
    message_that_is_done_never_comes_again,
    failure_counts_as_an_attempt,
    what_was_given_back_comes_at_once_and_was_no_attempt,
    retry_after_burns_no_attempt,
    dead_letter_keeps_everything_and_can_be_redriven,
    dead_letters_are_listed_newest_first_and_dropped,
);

async fn message_arrives_as_it_was_sent(on: bench::On) {
    let bench = Bench::start(on).await;
    let bodies: [&[u8]; 5] = [
        b"",
        b"{\"a\":1}",
        b"\0\xff",
        "é \u{ffff}".as_bytes(),
        &[b'x'; 100_000],
    ];
    for sent in bodies {
        let outgoing = Outgoing {
            body: sent.to_vec().into(),
            attributes: vec![
                ("kind".into(), "a \"b\" é".into()),
                ("none".into(), String::new()),
            ],
            ..message("plain", "")
        };
        let id = bench.send(outgoing.clone()).await;
        let received = bench.one("plain").await;
        assert_eq!(received.id, id);
        assert_eq!(&received.body[..], sent);
        assert_eq!(received.attributes, outgoing.attributes);
        assert_eq!(received.customer.as_deref(), Some("acme"));
        assert_eq!((&*received.plugin, &*received.queue), ("tickets", "plain"));
        assert_eq!((received.attempt, received.group.as_deref()), (1, None));
        bench.done(received).await;
    }
    let nobodys = Outgoing {
        customer: None,
        ..message("plain", "")
    };
    bench.send(nobodys).await;
    assert_eq!(bench.one("plain").await.customer, None);
}

/// Whichever way it goes: the second one through the outbox, where the queue is in SQS.
async fn trace_travels_beside_the_attributes(on: bench::On) {
    let bench = Bench::start(on).await;
    let traceparent = Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".to_owned());
    for (queue, sent) in [
        ("plain", message("plain", "a")),
        ("ordered", of_group("g", "b")),
    ] {
        let outgoing = Outgoing {
            attributes: vec![("kind".into(), "test".into())],
            traceparent: traceparent.clone(),
            ..sent
        };
        bench.send(outgoing.clone()).await;
        let received = bench.one(queue).await;
        assert_eq!(received.attributes, outgoing.attributes);
        assert_eq!(received.traceparent, traceparent);
        let dead = Settlement::DeadLetter("told to".into());
        bench.settle(received, dead).await;
        let kept = bench.queues.dead_letters(queue, None, 10).await.unwrap();
        assert_eq!(kept[0].attributes, outgoing.attributes);
    }
}

async fn message_that_is_done_never_comes_again(on: bench::On) {
    let bench = Bench::start(on).await;
    bench.send(message("plain", "a")).await;
    let second = Duration::from_secs(1);
    let received = bench.queues.receive("plain", 10, bench::PATIENCE, second);
    let received = received.await.unwrap().remove(0);
    bench.done(received).await;
    // Its lease would be over by now.
    tokio::time::sleep(2 * second).await;
    bench.nothing("plain").await;
}

async fn failure_counts_as_an_attempt(on: bench::On) {
    let bench = Bench::start(on).await;
    let id = bench.send(message("plain", "a")).await;
    for attempt in 1..=4 {
        let received = bench.one("plain").await;
        assert_eq!((&received.id, received.attempt), (&id, attempt));
        bench.settle(received, failed("it broke")).await;
    }
}

async fn what_was_given_back_comes_at_once_and_was_no_attempt(on: bench::On) {
    let bench = Bench::start(on).await;
    let id = bench.send(message("plain", "a")).await;
    for _ in 0..3 {
        let received = bench.one("plain").await;
        assert_eq!((&received.id, received.attempt), (&id, 1));
        bench.settle(received, Settlement::GiveBack).await;
    }
    let received = bench.one("plain").await;
    bench.settle(received, failed("it broke")).await;
    assert_eq!(bench.one("plain").await.attempt, 2);
}

async fn retry_after_burns_no_attempt(on: bench::On) {
    let bench = Bench::start(on).await;
    let id = bench.send(message("plain", "a")).await;
    let received = bench.one("plain").await;
    let sent_at = received.sent_at;
    bench.settle(received, failed("it broke")).await;
    let second = Duration::from_secs(1);
    for _ in 0..3 {
        let received = bench.one("plain").await;
        assert_eq!((&received.id, received.attempt), (&id, 2));
        let waits = std::time::Instant::now();
        bench.settle(received, Settlement::RetryAfter(second)).await;
        let again = bench.one("plain").await;
        assert!(waits.elapsed() >= second, "it came before its time");
        assert_eq!((&again.id, again.attempt, body(&again)), (&id, 2, "a"));
        let off = again.sent_at.duration_since(sent_at).unwrap_or_default();
        assert!(off < second, "it was sent when it was sent first");
        bench
            .settle(again, Settlement::RetryAfter(Duration::ZERO))
            .await;
    }
}

async fn dead_letter_keeps_everything_and_can_be_redriven(on: bench::On) {
    let bench = Bench::start(on).await;
    let outgoing = Outgoing {
        attributes: vec![("kind".into(), "k".into())],
        ..message("plain", "poison")
    };
    let id = bench.send(outgoing.clone()).await;
    let received = bench.one("plain").await;
    bench.settle(received, failed("it broke")).await;
    let received = bench.one("plain").await;
    let reason = "it broke again, with a NUL \0 in it";
    bench
        .settle(received, Settlement::DeadLetter(reason.into()))
        .await;
    bench.nothing("plain").await;

    let dead = bench
        .queues
        .dead_letter("plain", &id)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(&dead.body[..], b"poison");
    assert_eq!(dead.attributes, outgoing.attributes);
    assert_eq!(
        (dead.customer.as_deref(), &*dead.plugin),
        (Some("acme"), "tickets")
    );
    assert_eq!(
        (dead.attempts, &*dead.reason),
        (2, "it broke again, with a NUL  in it")
    );
    assert!(dead.died_at >= dead.sent_at);

    let unknown = Which::Ids(vec![id.clone(), "msg_1".into()]);
    assert_eq!(bench.queues.redrive("ordered", &unknown).await, Ok(0));
    assert_eq!(bench.queues.redrive("plain", &unknown).await, Ok(1));
    let again = bench.one("plain").await;
    assert_eq!((&again.id, again.attempt, body(&again)), (&id, 1, "poison"));
    assert_eq!(again.attributes, outgoing.attributes);
    assert!(
        bench
            .queues
            .dead_letter("plain", &id)
            .await
            .unwrap()
            .is_none()
    );
}

async fn dead_letters_are_listed_newest_first_and_dropped(on: bench::On) {
    let bench = Bench::start(on).await;
    let mut ids = Vec::new();
    for number in 0..5 {
        ids.push(bench.send(message("plain", &number.to_string())).await);
        let received = bench.one("plain").await;
        bench
            .settle(received, Settlement::DeadLetter("no".into()))
            .await;
    }
    ids.reverse();
    let page = bench.queues.dead_letters("plain", None, 2).await.unwrap();
    let rest = bench.queues.dead_letters("plain", Some(page[1].number), 10);
    let rest = rest.await.unwrap();
    let listed: Vec<String> = page.into_iter().chain(rest).map(|dead| dead.id).collect();
    assert_eq!(listed, ids);
    let some = Which::Ids(ids[..2].to_vec());
    assert_eq!(bench.queues.drop_dead("plain", &some).await, Ok(2));
    assert_eq!(bench.queues.drop_dead("plain", &Which::All).await, Ok(3));
    assert!(
        bench
            .queues
            .dead_letters("plain", None, 10)
            .await
            .unwrap()
            .is_empty()
    );
}

/// Receives until so many different messages have come, and is done with each.
async fn drain(bench: &Bench, queue: &str, messages: usize) -> Vec<Arc<str>> {
    let mut bodies = Vec::new();
    while bodies.len() < messages {
        let received = bench.queues.receive(queue, 10, bench::PATIENCE, HOUR).await;
        let received = received.unwrap();
        assert!(!received.is_empty(), "{} of {messages} came", bodies.len());
        bodies.extend(received.iter().map(|message| Arc::from(body(message))));
        let done = received
            .into_iter()
            .map(|message| (message, Settlement::Done));
        for settled in bench.queues.settle(queue, done.collect()).await {
            settled.unwrap();
        }
    }
    bodies
}
