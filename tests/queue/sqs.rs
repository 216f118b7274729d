//! What the backend in SQS alone promises.

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_sqs::types::{MessageAttributeValue, QueueAttributeName};
use hearth::backend::queue::{Outgoing, QueueError};

use super::bench::{Bench, HOUR, On, body, is_unavailable, message, of_group};
use crate::harness::postgres::until;
use crate::harness::sqs::Make;

async fn each_make(test: impl AsyncFn(Make)) {
    for make in [Make::Moto, Make::Rustack] {
        test(make).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn foreign_message_reaches_nobody_and_is_kept_for_the_operator() {
    each_make(async |make| {
        let bench = Bench::start(On::Sqs(make)).await;
        let sqs = bench.sqs.as_ref().unwrap();
        let url = sqs.queue_url("plain").await;
        let put = sqs.client.send_message().queue_url(&url);
        put.message_body("evil").send().await.unwrap();
        // Not with another message's stamp either.
        bench.send(message("plain", "good")).await;
        let seen = sqs
            .client
            .receive_message()
            .queue_url(&url)
            .message_attribute_names("hearth")
            .max_number_of_messages(10)
            .visibility_timeout(1)
            .send();
        let seen = seen.await.unwrap().messages.unwrap();
        let stamps = seen.iter().filter_map(|message| {
            let attributes = message.message_attributes.as_ref()?;
            attributes.get("hearth")?.string_value.clone()
        });
        let stamp: Vec<String> = stamps.collect();
        let stamp = MessageAttributeValue::builder()
            .data_type("String")
            .string_value(&stamp[0])
            .build();
        let forged = sqs.client.send_message().queue_url(&url);
        let forged = forged.message_attributes("hearth", stamp.unwrap());
        forged.message_body("forged").send().await.unwrap();

        assert_eq!(body(&bench.one("plain").await), "good");
        bench.nothing("plain").await;
        let dead = bench.queues.dead_letters("plain", None, 10).await.unwrap();
        let mut bodies: Vec<_> = dead.iter().map(|dead| &*dead.body).collect();
        bodies.sort();
        assert_eq!(bodies, [&b"evil"[..], b"forged"]);
        assert!(
            dead[0].reason.contains("not signed by this fleet"),
            "{}",
            dead[0].reason
        );
        assert_eq!(dead[0].customer, None);
        assert_eq!(bench.metric("hearth_queue_foreign_total", "plain"), 2.0);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_message_of_a_call_is_told_for_itself() {
    let bench = Bench::with(On::Sqs(Make::Rustack), |config| {
        let small = ("small".to_owned(), "small".to_owned());
        config.sqs.queues.extend([small]);
        config.sqs.message_bytes_max = 100_000;
    })
    .await;
    let sqs = bench.sqs.as_ref().unwrap();
    let small = [(QueueAttributeName::MaximumMessageSize, "1024")];
    sqs.create("small", &small).await;
    let large = |bytes: usize| Outgoing {
        body: vec![b'x'; bytes].into(),
        ..message("small", "")
    };
    let sent = vec![
        message("small", "first"),
        large(2_000),
        large(100_001),
        message("small", "second"),
        Outgoing {
            queue: Arc::from("unknown"),
            ..message("small", "")
        },
        Outgoing {
            group: Some("g".into()),
            ..message("plain", "")
        },
        of_group("g", "third"),
    ];
    let sent = bench.queues.send(sent).await;
    assert!(matches!(sent[1], Err(QueueError::Invalid(_))), "{sent:?}");
    assert_eq!(sent[2], Err(QueueError::TooLarge));
    assert!(matches!(sent[4], Err(QueueError::Denied(_))), "{sent:?}");
    assert!(matches!(sent[5], Err(QueueError::Invalid(_))), "{sent:?}");
    assert!(
        sent[0].is_ok() && sent[3].is_ok() && sent[6].is_ok(),
        "{sent:?}"
    );
    let mut came = super::drain(&bench, "small", 2).await;
    came.sort();
    assert_eq!(came, [Arc::from("first"), Arc::from("second")]);
    assert_eq!(body(&bench.one("ordered").await), "third");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqs_that_is_away_holds_nobody() {
    let bench = Bench::with(On::Sqs(Make::Rustack), |config| {
        config.sqs.endpoint_url = Some("http://127.0.0.1:1".into());
        config.sqs.operation_ms_max = 1_000;
        config.sqs.backoff_ms = 10;
    })
    .await;
    let sent = bench.queues.send(vec![message("plain", "a")]).await;
    assert!(is_unavailable(sent[0].as_ref().unwrap_err()), "{sent:?}");
    let receiving = bench.queues.receive("plain", 1, HOUR, HOUR).await;
    assert!(is_unavailable(&receiving.unwrap_err()));
    // What goes through the outbox is kept.
    bench.queues.send(vec![of_group("g", "a")]).await[0]
        .as_ref()
        .unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn depth_is_that_of_sqs_and_of_the_outbox() {
    each_make(async |make| {
        let bench = Bench::start(On::Sqs(make)).await;
        bench.send(message("plain", "a")).await;
        bench.send(message("plain", "b")).await;
        let later = super::bench::after(72 * HOUR, message("plain", "later"));
        bench.send(later).await;
        bench
            .queues
            .receive("plain", 1, super::bench::PATIENCE, HOUR)
            .await
            .unwrap();
        until(async || {
            let depths = bench.queues.depths().await.unwrap();
            let plain = depths.iter().find(|depth| depth.queue == "plain");
            let plain = plain.map(|depth| (depth.waiting, depth.delayed, depth.leased));
            plain == Some((1, 1, 1))
        })
        .await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn message_that_sqs_will_never_take_leaves_the_outbox_for_the_dead_letters() {
    let bench = Bench::with(On::Sqs(Make::Rustack), |config| {
        let small = ("small".to_owned(), "small.fifo".to_owned());
        config.sqs.queues.extend([small]);
    })
    .await;
    let sqs = bench.sqs.as_ref().unwrap();
    let small = [
        (QueueAttributeName::FifoQueue, "true"),
        (QueueAttributeName::MaximumMessageSize, "1024"),
    ];
    sqs.create("small.fifo", &small).await;
    let grouped = |bytes: usize| Outgoing {
        queue: Arc::from("small"),
        body: vec![b'x'; bytes].into(),
        ..of_group("g", "")
    };
    let large = bench.send(grouped(2_000)).await;
    let fits = bench.send(grouped(10)).await;
    let received = bench.one("small").await;
    assert_eq!(received.id, fits, "its group goes on");
    let dead = bench.queues.dead_letter("small", &large).await.unwrap();
    assert_eq!(dead.unwrap().body.len(), 2_000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifo_message_that_waits_for_longer_than_sqs_can_hide_it_stays_in_place() {
    let bench = Bench::start(On::Sqs(Make::Rustack)).await;
    let id = bench.send(of_group("g", "1")).await;
    bench.send(of_group("g", "2")).await;
    let first = bench.one("ordered").await;
    let wait = hearth::backend::queue::Settlement::RetryAfter(Duration::from_secs(3));
    bench.settle(first, wait).await;
    let again = bench.one("ordered").await;
    assert_eq!((&again.id, again.attempt), (&id, 1));
    bench.done(again).await;
    assert_eq!(body(&bench.one("ordered").await), "2");
}
