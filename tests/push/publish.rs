//! What may be published, and how it reaches the log.

use futures_util::future::join_all;
use reqwest::StatusCode;

use super::events::{listen, publish, try_publish};
use super::host;
use crate::harness::host::runs;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_concurrent_calls_publish_is_appended_together_and_each_gets_its_own_id() {
    let host = host("");
    let key = host.key("acme", &[]);
    let mut stream = listen(&host, &key, "inbox", "").await;
    let count = runs(200, 5_000);
    let (host, key) = (&host, &key);
    for _ in 0..count / 100 {
        let round = (0..100).map(|number| async move {
            let data = format!("{number}");
            (publish(host, key, "inbox", &data).await, data)
        });
        let mut published = join_all(round).await;
        published.sort();
        for (id, data) in published {
            let event = stream.event().await;
            assert_eq!((event.id, event.data), (id, data));
        }
    }
    let batches = host.metric("hearth_push_batches_total", &[]).await;
    let events = host.metric("hearth_push_events_published_total", &[]).await;
    assert_eq!(events, count as f64);
    assert!(
        batches < events / 2.0,
        "{batches} statements for {events} events"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_are_published_in_one_statement_in_their_order_or_none_of_them() {
    let host = host("publications_max = 100");
    let key = host.key("acme", &[]);
    let mut stream = listen(&host, &key, "inbox", "").await;
    let many = async |count: usize| {
        let lines: Vec<String> = (0..count).map(|number| number.to_string()).collect();
        let request = host.post("/push/many/inbox", &key).body(lines.join("\n"));
        request.send().await.unwrap()
    };
    let ids: Vec<String> = many(100).await.json().await.unwrap();
    for (number, id) in ids.into_iter().enumerate() {
        let event = stream.event().await;
        assert_eq!((event.id, event.data), (id, number.to_string()));
    }
    assert_eq!(host.metric("hearth_push_batches_total", &[]).await, 1.0);
    assert_eq!(many(101).await.status(), StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(many(0).await.text().await.unwrap(), "[]");
    publish(&host, &key, "inbox", "next").await;
    assert_eq!(stream.data().await, "next");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_has_no_form_on_the_wire_is_not_published() {
    let host = host("event_bytes_max = 1_000");
    let key = host.key("acme", &[]);
    let mut stream = listen(&host, &key, "inbox", "").await;
    for bad in [
        "a%20b",
        "a;b",
        "a,b",
        &"a".repeat(129),
        "inbox?id=a;b",
        "inbox?id=psh_1",
        "inbox?kind=a%0Adata:%20b",
        "inbox?kind=reset",
    ] {
        let answer = try_publish(&host, &key, bad, "x").await;
        assert_eq!(answer.status(), StatusCode::UNPROCESSABLE_ENTITY, "{bad}");
    }
    let nul = try_publish(&host, &key, "inbox", "a\0b").await;
    assert_eq!(nul.status(), StatusCode::UNPROCESSABLE_ENTITY);
    let large = try_publish(&host, &key, "inbox", &"a".repeat(1_001)).await;
    assert_eq!(large.status(), StatusCode::PAYLOAD_TOO_LARGE);
    let most = "a".repeat(1_000);
    publish(&host, &key, "inbox", &most).await;
    assert_eq!(stream.data().await, most);
    // No text of a plugin ends its event, or begins another.
    publish(&host, &key, "inbox", "a\r\rid: x\n\nevent: y").await;
    assert_eq!(stream.data().await, "a\n\nid: x\n\nevent: y");
}
