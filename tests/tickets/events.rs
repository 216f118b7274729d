//! What others are told of tickets: with each change that commits, and no other.

pub mod fixture;
mod full;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use self::fixture::{QUEUES, Stage, kinds, of_ticket};
use super::{id, send, ticket};

/// The data of an event, with the ticket whole.
const DATA_BYTES_MAX: usize = 20_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_change_is_told_to_both_queues_under_one_id_and_in_order() {
    let stage = Stage::open().await;
    let support = &stage.support;
    let (made, other) = (
        support.create(ticket()).await,
        support.create(ticket()).await,
    );
    let old = support.host.post("/support/tickets/create", &support.key);
    let old: Value = send(old, ticket()).await.json().await.unwrap();
    let path = |rest: &str| format!("/support/tickets/{}{rest}", id(&made));
    let change = json!({"status": "open", "priority": "high"});
    let (_, opened) = support.patch(id(&made), change).await;
    let done = async |method: Method, rest: &str, agent: bool, body: Value| {
        let (status, answer) = support.ask(method, &path(rest), agent, body).await;
        assert!(status.is_success(), "{rest}: {answer}");
        answer
    };
    done(Method::PUT, "/tags", false, json!({"tags": ["red"]})).await;
    let said = done(Method::POST, "/comments", true, json!({"body": "We look."})).await;
    let secret = json!({"body": "They never read manuals.", "public": false});
    done(Method::POST, "/comments", true, secret).await;
    support.patch(id(&made), json!({"status": "solved"})).await;
    let rating = json!({"score": "good", "comment": "Quick."});
    done(Method::POST, "/satisfaction", false, rating).await;
    done(Method::POST, "/reopen", false, json!({})).await;
    let merge = json!({"into": id(&other)});
    done(Method::POST, "/merge", true, merge).await;
    let [heard, notified] = stage.heard(13).await;
    let told = of_ticket(&heard, id(&made));
    let expected = [
        "ticket.created",
        "ticket.updated",
        "ticket.updated",
        "ticket.commented",
        "ticket.updated",
        "ticket.solved",
        "ticket.updated",
        "ticket.updated",
        "ticket.updated",
        "ticket.commented",
    ];
    assert_eq!(kinds(&told), expected);
    let told_of_other = of_ticket(&heard, id(&other));
    assert_eq!(
        kinds(&told_of_other),
        ["ticket.created", "ticket.commented"]
    );
    assert_eq!(kinds(&of_ticket(&heard, id(&old))), ["ticket.created"]);
    for ticket in [&made, &other, &old] {
        assert_eq!(
            of_ticket(&heard, id(ticket)),
            of_ticket(&notified, id(ticket))
        );
    }
    let ids: std::collections::HashSet<&str> = heard
        .iter()
        .map(|event| event["event_id"].as_str().unwrap())
        .collect();
    assert_eq!(ids.len(), heard.len());
    assert!(
        ids.iter()
            .all(|id| id.starts_with("evt_") && id.len() == 40)
    );
    assert!(!json!(heard).to_string().contains("manuals"));

    assert_eq!(told[0]["data"], json!({"ticket": made, "truncated": []}));
    assert_eq!(told[0]["occurred_at"], made["created_at"]);
    let changes = json!({
        "priority": {"from": "normal", "to": "high"},
        "status": {"from": "new", "to": "open"},
    });
    let data = json!({"ticket": opened, "changes": changes, "truncated": []});
    assert_eq!(
        (&told[1]["data"], &told[1]["occurred_at"]),
        (&data, &opened["updated_at"])
    );
    assert_eq!(told[3]["data"]["comment"], said);
    assert_eq!(told[3]["data"]["ticket"]["version"], 4);
    assert_eq!(told[5]["data"]["ticket"]["status"], "solved");
    let rated = json!({
        "satisfaction": {"from": null, "to": "good"},
        "satisfaction_comment": {"from": null, "to": "Quick."},
    });
    assert_eq!(told[6]["data"]["changes"], rated);
    let (_, now) = support.get(&path("")).await;
    assert_eq!(told[8]["data"]["ticket"], now, "as GET shows it");
    assert_eq!(told[8]["data"]["changes"]["merged_into"]["to"], other["id"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_changes_nothing_or_is_rolled_back_is_told_to_nobody() {
    let stage = Stage::open().await;
    let support = &stage.support;
    let named = |name: &str| json!({"subject": "s", "description": "d", "external_id": name});
    let (one, two) = (
        support.create(named("one")).await,
        support.create(named("two")).await,
    );
    let (path, bulk) = (
        format!("/support/tickets/{}", id(&one)),
        "/support/tickets/bulk",
    );
    let refused = [
        (
            Method::POST,
            "/support/tickets".to_string(),
            named("one"),
            409,
        ),
        (
            Method::PATCH,
            path.clone(),
            json!({"external_id": "two"}),
            409,
        ),
        (
            Method::PATCH,
            path.clone(),
            json!({"status": "closed"}),
            409,
        ),
        (
            Method::PATCH,
            path.clone(),
            json!({"priority": "soon"}),
            422,
        ),
        (
            Method::PATCH,
            path.clone(),
            json!({"status": "new", "tags": []}),
            200,
        ),
        (
            Method::DELETE,
            format!("{path}/tags"),
            json!({"tags": ["none"]}),
            200,
        ),
        (Method::POST, format!("{path}/reopen"), json!({}), 409),
        (
            Method::POST,
            format!("{path}/merge"),
            json!({"into": one["id"]}),
            422,
        ),
    ];
    for (method, path, body, expected) in refused {
        let (status, answer) = support.ask(method, &path, true, body).await;
        assert_eq!(status.as_u16(), expected, "{path}: {answer}");
    }
    // The second takes what the first has, so neither changes.
    let swap = json!({"update": [
        {"id": one["id"], "priority": "low"}, {"id": two["id"], "external_id": "one"},
    ]});
    let (status, answer) = support.ask(Method::POST, bulk, true, swap).await;
    assert_eq!(status, StatusCode::CONFLICT, "{answer}");
    let last = support.create(ticket()).await;
    let [heard, notified] = stage.heard(3).await;
    for told in [heard, notified] {
        let made = [&one, &two, &last].map(|ticket| id(ticket).to_string());
        let told: Vec<_> = told
            .iter()
            .map(|told| id(&told["data"]["ticket"]))
            .collect();
        assert!(
            made.iter().all(|made| told.contains(&made.as_str())),
            "{told:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bulk_tells_of_each_ticket_that_was_made_or_changed() {
    let stage = Stage::open().await;
    let (support, bulk) = (&stage.support, "/support/tickets/bulk");
    let taken = json!({"subject": "s", "description": "d", "external_id": "taken"});
    support.create(taken.clone()).await;
    let free = json!({"subject": "s", "description": "d", "external_id": "free"});
    let mut new = vec![ticket(); 100];
    (new[3], new[50], new[99]) = (taken, free.clone(), free);
    let (status, answer) = support
        .ask(Method::POST, bulk, true, json!({"create": new}))
        .await;
    assert_eq!(status, StatusCode::MULTI_STATUS);
    assert_eq!(
        (&answer["succeeded"], &answer["failed"]),
        (&json!(98), &json!(2))
    );
    let results = answer["results"].as_array().unwrap();
    for (index, expected) in [(3, 409), (50, 201), (99, 409)] {
        assert_eq!(results[index]["status"], expected, "{}", results[index]);
    }
    let made = results.iter().zip(&new);
    let made = made.filter(|(result, _)| result["status"] == 201);
    let made: Vec<_> = made
        .map(|(result, new)| (&result["ticket"]["id"], &new["description"]))
        .collect();
    let solve = made
        .iter()
        .map(|(id, _)| json!({"id": id, "status": "solved"}));
    let solve = json!({"update": solve.collect::<Vec<_>>()});
    let (_, answer) = support.ask(Method::POST, bulk, true, solve).await;
    assert_eq!(answer["succeeded"], 98, "{answer}");
    let [heard, notified] = stage.heard(1 + 3 * 98).await;
    let expected = ["ticket.created", "ticket.updated", "ticket.solved"];
    for (id, description) in made {
        let told = of_ticket(&heard, id.as_str().unwrap());
        assert_eq!(kinds(&told), expected);
        assert_eq!(told, of_ticket(&notified, id.as_str().unwrap()));
        assert_eq!(&told[1]["data"]["ticket"]["description"], description);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn long_texts_are_left_out_and_named() {
    let stage = Stage::open().await;
    let support = &stage.support;
    let long = json!({
        "subject": "s", "description": "\u{1}".repeat(60_000), "custom_fields": {"a": "b".repeat(9_000)},
    });
    let made = support.create(long).await;
    let path = format!("/support/tickets/{}/comments", id(&made));
    let comment = json!({"body": "c".repeat(60_000)});
    support.ask(Method::POST, &path, false, comment).await;
    let fields = json!({"custom_fields": {"a": "d".repeat(9_000)}});
    support.patch(id(&made), fields).await;
    let tags: Vec<String> = (0..50)
        .map(|n| format!("{n:02}{}", "\u{1}".repeat(62)))
        .collect();
    let (status, answer) = support.patch(id(&made), json!({"tags": tags})).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    let [heard, _] = stage.heard(4).await;
    let truncated: Vec<&Value> = heard
        .iter()
        .map(|told| &told["data"]["truncated"])
        .collect();
    let expected = [
        json!(["/ticket/description"]),
        json!(["/ticket/description", "/comment/body"]),
        json!(["/ticket/description", "/changes/custom_fields"]),
        json!(["/ticket/description", "/changes/tags", "/ticket/tags"]),
    ];
    assert!(truncated.into_iter().eq(&expected), "{heard:?}");
    for told in &heard {
        assert!(told["data"].to_string().len() <= DATA_BYTES_MAX);
        assert_eq!(told["data"]["ticket"].get("description"), None);
        assert_eq!(told["data"]["ticket"]["id"], made["id"]);
    }
    assert_eq!(
        heard[2]["data"]["ticket"]["custom_fields"]["a"],
        "d".repeat(9_000)
    );
}
