//! Tags, reopening, rating, external ids, preconditions, and what customers may
//! not do or see.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::{Support, id, read, send, ticket};
use crate::harness::host::runs;

#[tokio::test]
async fn tags_are_added_and_removed_also_by_many_at_once() {
    let support = Support::open();
    let made = support.create(ticket()).await;
    let path = format!("/support/tickets/{}/tags", id(&made));
    let put = |tags: Value| support.ask(Method::PUT, &path, false, json!({"tags": tags}));
    let (status, tags) = put(json!(["b", "a", "b"])).await;
    assert_eq!(
        (status, tags),
        (StatusCode::OK, json!({"tags": ["a", "b"]}))
    );
    let many = (0..runs(20, 45)).map(|number| put(json!([format!("t{number:02}")])));
    for (status, answer) in futures_util::future::join_all(many).await {
        assert_eq!(status, StatusCode::OK, "{answer}");
    }
    let (_, found) = support
        .get(&format!("/support/tickets/{}", id(&made)))
        .await;
    assert_eq!(
        found["tags"].as_array().unwrap().len(),
        2 + runs(20, 45),
        "{found}"
    );
    assert_eq!(found["version"], 2 + runs(20, 45), "each is one change");
    let (_, list) = support.get("/support/tickets?tag=t07").await;
    assert_eq!(list["tickets"].as_array().unwrap().len(), 1);
    let gone = json!({"tags": ["t07", "never"]});
    let (status, kept) = support.ask(Method::DELETE, &path, false, gone).await;
    assert_eq!(status, StatusCode::OK, "{kept}");
    assert!(!kept["tags"].as_array().unwrap().contains(&json!("t07")));
    let (_, list) = support.get("/support/tickets?tag=t07").await;
    assert_eq!(list["tickets"], json!([]));
    let more: Vec<String> = (0..49).map(|number| format!("m{number}")).collect();
    assert_eq!(put(json!(more)).await.0, StatusCode::CONFLICT);
}

#[tokio::test]
async fn solved_tickets_are_rated_by_customers_and_reopened_and_closed_ones_stay() {
    let support = Support::open();
    let made = support.create(ticket()).await;
    let path = |what: &str| format!("/support/tickets/{}/{what}", id(&made));
    let good = json!({"score": "good", "comment": "quick"});
    let rate = async |agent, body: &Value| {
        support
            .ask(Method::POST, &path("satisfaction"), agent, body.clone())
            .await
    };
    let reopen = async || {
        support
            .ask(Method::POST, &path("reopen"), false, json!({}))
            .await
    };
    assert_eq!(
        rate(false, &good).await.0,
        StatusCode::CONFLICT,
        "it is new"
    );
    assert_eq!(reopen().await.0, StatusCode::CONFLICT);
    support.patch(id(&made), json!({"status": "solved"})).await;
    assert_eq!(rate(true, &good).await.0, StatusCode::FORBIDDEN);
    let (_, wrong) = rate(false, &json!({"score": "fine", "stars": 5})).await;
    assert_eq!(wrong["errors"].as_array().unwrap().len(), 2, "{wrong}");
    let (status, rated) = rate(false, &good).await;
    assert_eq!(status, StatusCode::OK, "{rated}");
    assert_eq!(
        (&rated["satisfaction"], &rated["description"]),
        (&json!("good"), &made["description"])
    );
    let (status, open) = reopen().await;
    assert_eq!((status, &open["status"]), (StatusCode::OK, &json!("open")));
    assert_eq!(open["solved_at"], Value::Null);
    support.patch(id(&made), json!({"status": "solved"})).await;
    support.patch(id(&made), json!({"status": "closed"})).await;
    assert_eq!(reopen().await.0, StatusCode::CONFLICT);
    let (status, rated) = rate(false, &json!({"score": "bad"})).await;
    assert_eq!(
        (status, &rated["satisfaction"]),
        (StatusCode::OK, &json!("bad"))
    );
    let (_, audits) = support.get(&path("audits")).await;
    assert_eq!(audits["audits"].as_array().unwrap().len(), 7, "{audits}");
}

#[tokio::test]
async fn external_id_is_taken_once_and_tells_where() {
    let support = Support::open();
    let new = json!({"subject": "s", "description": "d", "external_id": "crm-7", "tags": ["x"]});
    let tries = (0..runs(8, 50)).map(|_| {
        send(
            support.host.post("/support/tickets", &support.key),
            new.clone(),
        )
    });
    let answers = futures_util::future::join_all(tries).await;
    let (made, refused): (Vec<_>, Vec<_>) = answers
        .into_iter()
        .partition(|answer| answer.status() == StatusCode::CREATED);
    assert_eq!(made.len(), 1);
    let location = made[0].headers()["location"].clone();
    for answer in refused {
        assert_eq!(answer.status(), StatusCode::CONFLICT);
        assert_eq!(answer.headers()["location"], location);
    }
    let other = support.create(ticket()).await;
    let (status, _) = support
        .patch(id(&other), json!({"external_id": "crm-7"}))
        .await;
    assert_eq!(status, StatusCode::CONFLICT);
    let bolt = support.host.key("bolt", &[]);
    let theirs = send(support.host.post("/support/tickets", &bolt), new).await;
    assert_eq!(
        theirs.status(),
        StatusCode::CREATED,
        "customers do not share external ids"
    );
}

#[tokio::test]
async fn change_with_the_tag_of_a_compressed_ticket_is_done() {
    let support = Support::open();
    let text = "It went dark. ".repeat(100);
    let fields = json!({"a": {"b": 1}});
    let ticket = json!({"subject": "Lamp", "description": text, "custom_fields": fields});
    let made = support.create(ticket).await;
    let path = format!("/support/tickets/{}", id(&made));
    let read = support.host.get(&path, &support.key);
    let read = read.header("accept-encoding", "gzip").send().await.unwrap();
    let tag = read.headers()["etag"].clone();
    assert_eq!(tag, "\"1--gzip\"");
    let patch = || {
        let request = support.host.request(Method::PATCH, &path, &support.key);
        let request = request.header("if-match", tag.clone());
        // What is nested is merged (RFC 7396).
        let request = request.header("content-type", "application/merge-patch+json");
        request.body(r#"{"custom_fields": {"a": {"c": 2}}}"#).send()
    };
    let changed = patch().await.unwrap();
    assert_eq!(changed.status(), StatusCode::OK);
    let changed: Value = changed.json().await.unwrap();
    assert_eq!(changed["custom_fields"], json!({"a": {"b": 1, "c": 2}}));
    let stale = patch().await.unwrap();
    assert_eq!(stale.status(), StatusCode::PRECONDITION_FAILED);
}

#[tokio::test]
async fn of_changes_under_one_version_one_wins() {
    let support = Support::open();
    let made = support.create(ticket()).await;
    let path = format!("/support/tickets/{}", id(&made));
    let tries = (0..runs(8, 100)).map(|number| {
        let request = support.host.request(Method::PATCH, &path, &support.key);
        send(
            request.header("if-match", "\"1\""),
            json!({"subject": format!("s{number}")}),
        )
    });
    let answers = futures_util::future::join_all(tries).await;
    let won = answers
        .iter()
        .filter(|answer| answer.status() == StatusCode::OK)
        .count();
    let lost = answers
        .iter()
        .filter(|answer| answer.status() == StatusCode::PRECONDITION_FAILED)
        .count();
    assert_eq!((won, lost), (1, runs(8, 100) - 1));
    for (method, what) in [(Method::PUT, "tags"), (Method::POST, "reopen")] {
        let request = support
            .host
            .request(method, &format!("{path}/{what}"), &support.key);
        let stale = send(request.header("if-match", "\"1\""), json!({"tags": ["a"]})).await;
        assert!(
            matches!(stale.status().as_u16(), 412 | 422),
            "{what}: {}",
            stale.status()
        );
    }
}

#[tokio::test]
async fn an_internal_comment_leaves_no_trace_for_customers() {
    let support = Support::open();
    let made = support.create(ticket()).await;
    let path = format!("/support/tickets/{}", id(&made));
    let (_, before) = support.get("/support/tickets/changes").await;
    let internal = json!({"body": "They never read manuals.", "public": false});
    let comments = format!("{path}/comments");
    let (status, _) = support.ask(Method::POST, &comments, true, internal).await;
    assert_eq!(status, StatusCode::CREATED);
    assert_eq!(support.get(&path).await.1, made, "not even a new version");
    let cursor = before["next_cursor"].as_str().unwrap();
    let (_, after) = support
        .get(&format!("/support/tickets/changes?cursor={cursor}"))
        .await;
    assert_eq!(after["changes"], json!([]));
    for agents in [
        json!({"path": "merge", "body": {"into": id(&made)}}),
        json!({"path": "", "body": {}}),
    ] {
        let path = match agents["path"].as_str().unwrap() {
            "" => "/support/tickets/bulk".to_string(),
            what => format!("{path}/{what}"),
        };
        let request = support.host.post(&path, &support.key);
        let (status, problem) = read(send(request, agents["body"].clone()).await).await;
        assert_eq!(status, StatusCode::FORBIDDEN, "{path}: {problem}");
    }
}

#[tokio::test]
async fn customers_answer_opens_a_ticket_that_waits_or_was_solved_and_starts_its_clocks() {
    let support = Support::open();
    let say = async |ticket: &Value, agent, body: Value| {
        let path = format!("/support/tickets/{}/comments", id(ticket));
        support.ask(Method::POST, &path, agent, body).await.0
    };
    let read = async |ticket: &Value, rest: &str| {
        let path = format!("/support/tickets/{}{rest}", id(ticket));
        support.get(&path).await.1
    };
    for status in ["pending", "hold", "solved"] {
        let made = support.create(ticket()).await;
        support.patch(id(&made), json!({"status": status})).await;
        for body in [json!({"body": "b"}), json!({"body": "b", "public": false})] {
            assert_eq!(say(&made, true, body).await, StatusCode::CREATED);
        }
        assert_eq!(
            read(&made, "").await["status"],
            status,
            "an agent's opens nothing"
        );
        let stopped = status != "solved";
        assert_eq!(read(&made, "/sla").await["resolution"]["paused"], stopped);
        let before = read(&made, "").await["version"].as_i64().unwrap();
        assert_eq!(
            say(&made, false, json!({"body": "Here it is."})).await,
            StatusCode::CREATED
        );
        let opened = read(&made, "").await;
        assert_eq!(
            (&opened["status"], &opened["solved_at"], &opened["version"]),
            (&json!("open"), &Value::Null, &json!(before + 1)),
        );
        let sla = read(&made, "/sla").await;
        assert_eq!(
            (&sla["paused"], &sla["resolution"]["state"]),
            (&json!(false), &json!("running"))
        );
        let audits = read(&made, "/audits").await;
        let last = audits["audits"].as_array().unwrap().last().unwrap();
        let events = last["events"].as_array().unwrap();
        assert_eq!(
            (&events[0]["to"], &events[1]["type"]),
            (&json!("open"), &json!("comment"))
        );
    }
    let made = support.create(ticket()).await;
    say(&made, false, json!({"body": "And?"})).await;
    assert_eq!(read(&made, "").await["status"], "new");
    for status in ["solved", "closed"] {
        support.patch(id(&made), json!({"status": status})).await;
    }
    assert_eq!(
        say(&made, false, json!({"body": "Thanks"})).await,
        StatusCode::CONFLICT
    );
}
