//! Many tickets in one request.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::{Support, id, ticket};

async fn bulk(support: &Support, body: Value) -> (StatusCode, Value) {
    support
        .ask(Method::POST, "/support/tickets/bulk", true, body)
        .await
}

fn statuses(answer: &Value) -> Vec<u64> {
    let results = answer["results"].as_array().unwrap();
    results
        .iter()
        .map(|result| result["status"].as_u64().unwrap())
        .collect()
}

#[tokio::test]
async fn a_hundred_are_made_and_changed_and_the_wrong_ones_are_told() {
    let support = Support::open();
    let mut tickets: Vec<Value> = (0..100)
        .map(|number| json!({"subject": format!("bulk {number}"), "description": "d", "tags": ["b"]}))
        .collect();
    tickets[3] = json!({"subject": "", "description": 1});
    tickets[5]["external_id"] = json!("same");
    tickets[6]["external_id"] = json!("same");
    tickets[7] = json!("text");
    let (status, made) = bulk(&support, json!({"create": tickets})).await;
    assert_eq!(status, StatusCode::MULTI_STATUS, "{made}");
    let told = statuses(&made);
    assert_eq!((told[2], told[3], told[6], told[7]), (201, 422, 409, 422));
    assert_eq!(
        (&made["succeeded"], &made["failed"]),
        (&json!(97), &json!(3))
    );
    assert_eq!(
        made["results"][3]["problem"]["errors"][0]["pointer"],
        "/create/3/subject"
    );
    let (_, count) = support.get("/support/tickets/count?tag=b").await;
    assert_eq!(count, json!({"count": 97, "exact": true}));
    let ids: Vec<&str> = (0..3)
        .map(|at| id(&made["results"][at]["ticket"]))
        .collect();
    let nobody = ids[0].replace("tkt_0", "tkt_f");
    let update = json!({"update": [
        {"id": ids[0], "status": "open", "assignee": "eve", "tags": ["c"]},
        {"id": ids[1], "status": "closed"},
        {"id": nobody, "status": "open"},
        {"id": ids[0], "status": "solved"},
        {"id": ids[2], "priority": "soon"},
        {"id": ids[2], "subject": "renamed"},
    ]});
    let (status, changed) = bulk(&support, update).await;
    assert_eq!(status, StatusCode::MULTI_STATUS, "{changed}");
    assert_eq!(statuses(&changed), [200, 409, 404, 422, 422, 422]);
    let (_, first) = support.get(&format!("/support/tickets/{}", ids[0])).await;
    assert_eq!(
        (
            &first["status"],
            &first["assignee"],
            &first["tags"],
            &first["version"]
        ),
        (&json!("open"), &json!("eve"), &json!(["c"]), &json!(2)),
    );
    let (_, audits) = support
        .get(&format!("/support/tickets/{}/audits", ids[0]))
        .await;
    assert_eq!(audits["audits"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn what_is_wrong_as_a_whole_is_422() {
    let support = Support::open();
    let made = support.create(ticket()).await;
    let many: Vec<Value> = (0..101).map(|_| ticket()).collect();
    for body in [
        json!({}),
        json!({"create": []}),
        json!({"create": many}),
        json!({"create": "all"}),
        json!({"create": [ticket()], "update": [{"id": id(&made)}]}),
        json!({"delete": [id(&made)]}),
    ] {
        let (status, problem) = bulk(&support, body).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{problem}");
    }
    let (_, count) = support.get("/support/tickets/count").await;
    assert_eq!(count["count"], 1);
}
