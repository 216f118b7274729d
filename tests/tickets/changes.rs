//! The feed of changes misses nothing.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::{Support, id, ticket};
use crate::harness::host::runs;

/// Follows the feed from a cursor to its end, and notes the version of each
/// ticket that it saw last.
async fn follow(support: &Support, cursor: &mut Option<String>, seen: &mut HashMap<String, i64>) {
    loop {
        let from = cursor.as_deref().map(|cursor| format!("&cursor={cursor}"));
        let path = format!(
            "/support/tickets/changes?limit=7{}",
            from.unwrap_or_default()
        );
        let (status, page) = support.get(&path).await;
        assert_eq!(status, StatusCode::OK, "{page}");
        for change in page["changes"].as_array().unwrap() {
            let version = change["version"].as_i64().unwrap();
            let before = seen.insert(id(change).to_string(), version);
            assert!(
                before.is_none_or(|before| before <= version),
                "a ticket went back in time"
            );
        }
        *cursor = page["next_cursor"].as_str().map(String::from);
        if page["has_more"] == json!(false) {
            return;
        }
    }
}

#[tokio::test]
async fn each_ticket_is_told_once_as_it_is_and_again_when_it_changes() {
    let support = Support::open();
    let (mut cursor, mut seen) = (None, HashMap::new());
    follow(&support, &mut cursor, &mut seen).await;
    assert!(seen.is_empty() && cursor.is_some());
    let (first, second) = (
        support.create(ticket()).await,
        support.create(ticket()).await,
    );
    support.patch(id(&first), json!({"status": "open"})).await;
    follow(&support, &mut cursor, &mut seen).await;
    let expected = HashMap::from([(id(&first).to_string(), 2), (id(&second).to_string(), 1)]);
    assert_eq!(seen, expected);
    seen.clear();
    follow(&support, &mut cursor, &mut seen).await;
    assert!(seen.is_empty(), "nothing is told twice");
    let comment = json!({"body": "And?"});
    let path = format!("/support/tickets/{}/comments", id(&second));
    support.ask(Method::POST, &path, false, comment).await;
    follow(&support, &mut cursor, &mut seen).await;
    assert_eq!(seen, HashMap::from([(id(&second).to_string(), 2)]));
}

/// Makes tickets and changes them, one after the other.
async fn write(support: &Support, rounds: usize, left: &AtomicUsize) {
    for _ in 0..rounds {
        let made = support.create(ticket()).await;
        let (_, changed) = support.patch(id(&made), json!({"status": "open"})).await;
        assert_eq!(changed["version"], 2, "{changed}");
    }
    left.fetch_sub(1, Ordering::SeqCst);
}

/// Follows until all writers are done, and then once more.
async fn read(support: &Support, left: &AtomicUsize) -> HashMap<String, i64> {
    let (mut cursor, mut seen) = (None, HashMap::new());
    loop {
        let last = left.load(Ordering::SeqCst) == 0;
        follow(support, &mut cursor, &mut seen).await;
        if last {
            return seen;
        }
    }
}

/// Every ticket, by the list.
async fn all(support: &Support) -> HashMap<String, i64> {
    let mut all = HashMap::new();
    let mut path = "/support/tickets?limit=100".to_string();
    loop {
        let (_, page) = support.get(&path).await;
        for ticket in page["tickets"].as_array().unwrap() {
            all.insert(id(ticket).to_string(), ticket["version"].as_i64().unwrap());
        }
        match page["next_cursor"].as_str() {
            Some(next) => path = format!("/support/tickets?limit=100&cursor={next}"),
            None => return all,
        }
    }
}

#[tokio::test]
async fn readers_beside_many_writers_miss_no_change() {
    let support = Support::open();
    let (writers, rounds) = (8, runs(12, 400));
    let left = AtomicUsize::new(writers);
    let writing =
        futures_util::future::join_all((0..writers).map(|_| write(&support, rounds, &left)));
    let reading = futures_util::future::join_all((0..3).map(|_| read(&support, &left)));
    let (_, seen) = tokio::join!(writing, reading);
    let all: HashMap<String, i64> = all(&support).await;
    assert_eq!(all.len(), writers * rounds);
    for reader in seen {
        assert_eq!(reader, all);
    }
}

#[tokio::test]
async fn a_change_that_commits_late_is_told_when_it_is_there() {
    let support = Support::open();
    let held = support.create(ticket()).await;
    let (mut cursor, mut seen) = (None, HashMap::<String, i64>::new());
    follow(&support, &mut cursor, &mut seen).await;
    let database = crate::harness::planner::superuser(&support.host).await;
    let sql = "BEGIN; UPDATE plugin_tickets.tickets SET version = version + 1; \
               UPDATE plugin_tickets.ticket_changes SET position = NULL";
    database.batch_execute(sql).await.unwrap();
    seen.clear();
    let early = support.create(ticket()).await;
    follow(&support, &mut cursor, &mut seen).await;
    assert_eq!(
        seen,
        HashMap::from([(id(&early).to_string(), 1)]),
        "it waits for nobody"
    );
    database.batch_execute("COMMIT").await.unwrap();
    seen.clear();
    follow(&support, &mut cursor, &mut seen).await;
    assert_eq!(seen, HashMap::from([(id(&held).to_string(), 2)]));
    let gone: Value = support.get("/support/tickets/changes?cursor=AAAA").await.1;
    assert_eq!(gone["status"], 400);
}
