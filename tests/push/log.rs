//! What a listener that comes back gets.

use super::events::{Event, Events, asking, client, listen, publish};
use super::{host, streams};
use crate::harness::host::{Host, runs};
use crate::harness::postgres::until;

async fn back(host: &Host, key: &str, channels: &str, last_id: &str) -> Events {
    let asked = asking(&client(), host, key, channels, "");
    Events::open(asked.header("last-event-id", last_id)).await
}

fn reset(event: &Event) -> &str {
    assert_eq!(event.kind, "reset", "{event:?}");
    &event.data
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn listener_that_comes_back_gets_what_it_missed_in_order_and_nothing_twice() {
    let host = host("page_events_max = 7\nlistener_events_max = 3");
    let key = host.key("acme", &[]);
    let mut ids = Vec::new();
    for number in 0..runs(100, 5_000) {
        let channel = ["a", "b", "elsewhere"][number % 3];
        ids.push(publish(&host, &key, channel, &number.to_string()).await);
    }
    let mut later = Vec::new();
    for after in [0, 50, 98] {
        let mut stream = back(&host, &key, "a,b", &ids[after]).await;
        for (number, id) in ids.iter().enumerate().skip(after + 1) {
            if number % 3 != 2 {
                let event = stream.event().await;
                assert_eq!((&event.id, event.data), (id, number.to_string()));
            }
        }
        later.push(publish(&host, &key, "b", "live").await);
        for id in &later {
            assert_eq!(stream.event().await.id, *id);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn handler_names_where_to_begin_by_the_hosts_id_or_its_own() {
    let host = host("");
    let key = host.key("acme", &[]);
    let mut ids = Vec::new();
    for number in 0..5 {
        let path = format!("/push/publish/inbox?id=evt_{number}");
        let request = host.post(&path, &key).body(number.to_string());
        ids.push(request.send().await.unwrap().text().await.unwrap());
    }
    for last in ["evt_2", &*ids[2]] {
        // What the handler says wins over what the client says.
        let asked = asking(
            &client(),
            &host,
            &key,
            "other,inbox",
            &format!("&last={last}"),
        );
        let mut stream = Events::open(asked.header("last-event-id", &ids[0])).await;
        assert_eq!(stream.data().await, "3");
        assert_eq!(stream.event().await.id, ids[4]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn client_whose_id_is_not_known_is_told_and_hears_what_comes() {
    let host = host("");
    let key = host.key("acme", &[]);
    publish(&host, &key, "inbox", "before").await;
    let future = "psh_7fffffffffffffff";
    for unknown in ["evt_none", "no id", "1, 2", future] {
        let mut stream = back(&host, &key, "inbox", unknown).await;
        assert_eq!(reset(&stream.event().await), r#"{"reason":"unknown"}"#);
        publish(&host, &key, "inbox", "after").await;
        assert_eq!(stream.data().await, "after");
    }
    let resets = host
        .metric("hearth_push_resets_total", &["reason=\"unknown\""])
        .await;
    assert_eq!(resets, 4.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn client_that_missed_more_than_the_log_keeps_is_told_and_no_other_is() {
    let host = host("log_events_max = 10\nsweep_ms = 50");
    let key = host.key("acme", &[]);
    let first = publish(&host, &key, "long", "0").await;
    let short = publish(&host, &key, "short", "first of short").await;
    let mut ids = vec![first];
    for number in 1..=30 {
        ids.push(publish(&host, &key, "long", &number.to_string()).await);
    }
    publish(&host, &key, "short", "second of short").await;
    // Only the newest ten are there once the log was swept.
    until(async || {
        let mut stream = back(&host, &key, "long", &ids[19]).await;
        stream.event().await.kind == "reset"
    })
    .await;
    let mut stream = back(&host, &key, "long", &ids[19]).await;
    let event = stream.event().await;
    assert_eq!(reset(&event), r#"{"reason":"gone"}"#);
    assert!(event.id > ids[30]);
    let mut enough = back(&host, &key, "long", &ids[20]).await;
    for number in 21..=30 {
        assert_eq!(enough.data().await, number.to_string());
    }
    let mut other = back(&host, &key, "short", &short).await;
    assert_eq!(other.data().await, "second of short");
    publish(&host, &key, "long", "live").await;
    assert_eq!(
        (stream.data().await, enough.data().await),
        ("live".into(), "live".into())
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn client_that_comes_back_after_the_logs_time_is_told() {
    let host = host("log_ms_max = 1_000\nsweep_ms = 50");
    let key = host.key("acme", &[]);
    let first = publish(&host, &key, "inbox", "first").await;
    publish(&host, &key, "inbox", "second").await;
    until(async || {
        let mut stream = back(&host, &key, "inbox", &first).await;
        stream.event().await.kind == "reset"
    })
    .await;
    // What was handed out meanwhile stays with who has it.
    let mut stream = listen(&host, &key, "inbox", "").await;
    stream.first_id().await;
    publish(&host, &key, "inbox", "third").await;
    assert_eq!(stream.data().await, "third");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn listener_that_is_flooded_reads_the_log_and_is_not_cut() {
    let host = host("listener_events_max = 5\npage_events_max = 50");
    let key = host.key("acme", &[]);
    let mut open = Vec::new();
    for _ in 0..10 {
        open.push(listen(&host, &key, "inbox", "").await);
    }
    let count = runs(500, 5_000);
    for round in 0..count / 500 {
        let lines: Vec<String> = (0..500).map(|number| format!("{round}:{number}")).collect();
        let request = host.post("/push/many/inbox", &key).body(lines.join("\n"));
        assert!(request.send().await.unwrap().status().is_success());
        for stream in &mut open {
            for line in &lines {
                assert_eq!(stream.data().await, *line);
            }
        }
    }
    assert_eq!(streams(&host).await, 10.0);
}
