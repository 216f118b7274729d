//! Order and rate, where an endpoint asks for them.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use serde_json::{Value, json};

use super::fixture::Webhooks;
use super::receiver::{Answer, Receiver};
use crate::harness::host::runs;
use crate::harness::postgres::until;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ordered_endpoint_gets_its_events_one_after_the_other_as_they_came() {
    let (webhooks, receiver) = (Webhooks::start(), Receiver::start().await);
    receiver.answers(Answer::Late(204, Duration::from_millis(20)));
    webhooks
        .endpoint(&receiver.url, json!({"ordered": true}))
        .await;
    let mut told = Vec::new();
    for _ in 0..runs(20, 200) {
        told.push(webhooks.event("a").await);
    }
    until(async || receiver.seen().len() >= told.len()).await;
    assert_eq!(receiver.ids(), told);
    assert_eq!(receiver.most(), 1, "never two at once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn event_that_fails_holds_up_those_behind_it() {
    let (webhooks, receiver) = (Webhooks::start(), Receiver::start().await);
    receiver.answers(Answer::Status(500));
    let endpoint = webhooks
        .endpoint(&receiver.url, json!({"ordered": true}))
        .await;
    let first = webhooks.event("a").await;
    let second = webhooks.event("a").await;
    webhooks.until_attempts(&first, &endpoint, 1).await;
    receiver.answers(Answer::Status(204));
    webhooks.until_status(&second, &endpoint, "delivered").await;
    assert_eq!(receiver.ids(), [&first, &first, &second].map(String::clone));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_asks_for_what_an_ordered_endpoint_waits_for_gets_it_in_order() {
    let (webhooks, receiver) = (Webhooks::start(), Receiver::start().await);
    for ask in ["recover", "replay-missing", "enable", "test"] {
        receiver.answers(Answer::Status(500));
        let kind = format!("asked.{}", ask.len());
        let more = json!({"ordered": true, "event_types": [kind]});
        let endpoint = webhooks.endpoint(&receiver.url, more).await;
        let first = webhooks.event(&kind).await;
        let second = webhooks.event(&kind).await;
        // From now on it waits for minutes.
        webhooks.until_attempts(&first, &endpoint, 2).await;
        receiver.answers(Answer::Status(204));
        let before = receiver.ids().len();
        let body = match ask {
            "recover" | "replay-missing" => json!({"since": "2020-01-01T00:00:00Z"}),
            _ => json!({}),
        };
        let path = format!("/endpoints/{endpoint}/{ask}");
        webhooks.post(&path, body).await;
        webhooks.until_status(&second, &endpoint, "delivered").await;
        assert_eq!(receiver.ids()[before..before + 2], [first, second], "{ask}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn resend_of_what_an_ordered_endpoint_waits_for_keeps_its_place() {
    let (webhooks, receiver) = (Webhooks::start(), Receiver::start().await);
    receiver.answers(Answer::Status(500));
    let more = json!({"ordered": true});
    let endpoint = webhooks.endpoint(&receiver.url, more).await;
    let mut told = Vec::new();
    for _ in 0..3 {
        told.push(webhooks.event("a").await);
    }
    // From now on the first waits for minutes.
    webhooks.until_attempts(&told[0], &endpoint, 2).await;
    receiver.answers(Answer::Status(204));
    let before = receiver.ids().len();
    let resend = |event: &str| format!("/events/{event}/endpoints/{endpoint}/resend");
    for event in [&told[1], &told[0]] {
        let queued = webhooks.post(&resend(event), json!({})).await;
        assert_eq!(queued["deliveries"], 1, "{queued}");
    }
    webhooks
        .until_status(&told[2], &endpoint, "delivered")
        .await;
    assert_eq!(receiver.ids()[before..], told);
    // What was delivered is sent once more.
    webhooks.post(&resend(&told[1]), json!({})).await;
    until(async || receiver.ids().len() > before + 3).await;
    assert_eq!(receiver.ids()[before + 3], told[1]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rate_of_an_endpoint_is_kept_while_another_one_gets_all_at_once() {
    let (webhooks, receiver) = (Webhooks::start(), Receiver::start().await);
    let url = |path: &str| [&receiver.url, path].concat();
    webhooks
        .endpoint(&url("/slow"), json!({"rate_per_second": 5}))
        .await;
    webhooks.endpoint(&url("/fast"), Value::Null).await;
    let count = 15;
    let began = Instant::now();
    for _ in 0..count {
        webhooks.event("a").await;
    }
    until(async || receiver.seen().len() == 2 * count).await;
    let seen = receiver.seen();
    let slow: Vec<_> = seen.iter().filter(|seen| seen.path == "/slow").collect();
    assert_eq!(slow.len(), count);
    // Each has an instant of its own, a fifth of a second after the one before it; late
    // it may come, and early never, but for what clocks are apart.
    let mut earliest = Duration::ZERO;
    for delivery in slow {
        let after = delivery.at - began;
        assert!(
            after + Duration::from_millis(20) >= earliest,
            "after {after:?}, not {earliest:?}"
        );
        earliest += Duration::from_millis(200);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn burst_never_has_more_than_eight_under_way_to_one_receiver() {
    let (webhooks, receiver) = (Webhooks::start(), Receiver::start().await);
    webhooks.endpoint(&receiver.url, Value::Null).await;
    let first = webhooks.event("a").await;
    until(async || receiver.ids() == [first.clone()]).await;
    receiver.answers(Answer::Late(204, Duration::from_millis(100)));
    let count = runs(300, 3_000);
    for _ in 0..count / 20 {
        join_all((0..20).map(|_| webhooks.event("a"))).await;
    }
    until(async || receiver.seen().len() > count).await;
    assert_eq!(receiver.most(), 8, "all places and no more");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn burst_of_the_largest_events_goes_out_within_the_time_to_compute() {
    let (webhooks, receiver) = (Webhooks::start(), Receiver::start().await);
    let signed = json!({"signature": "v1a"});
    let endpoint = webhooks.endpoint(&receiver.url, signed.clone()).await;
    // From here on two keys sign.
    let path = format!("/endpoints/{endpoint}/secret/rotate");
    webhooks.post(&path, signed).await;
    let first = webhooks.event("a").await;
    webhooks.until_status(&first, &endpoint, "delivered").await;
    // Behind those that take their time a line forms, which is then taken along.
    receiver.answers(Answer::Late(204, Duration::from_millis(500)));
    let count = runs(150, 1_000);
    for number in 0..count {
        let payload = json!({"number": number, "text": "x".repeat(19_000)});
        let event = json!({"type": "a", "payload": payload});
        webhooks.post("/events", event).await;
    }
    receiver.answers(Answer::Says(200, vec![b'y'; 64 << 10]));
    until(async || receiver.seen().len() > count).await;
    let trapped = webhooks.host.metric("hearth_guest_traps_total", &[]).await;
    assert_eq!(trapped, 0.0, "{}", webhooks.host.log());
    let retried = ["webhook-deliveries", "disposition=\"retry\""];
    let name = "hearth_consumer_messages_total";
    let waited = webhooks.host.metric(name, &retried).await;
    assert!(waited > 50.0, "{waited} waited in line");
}
