//! The tickets plugin as its clients see it: through HTTP, on a real host.

mod bulk;
mod changes;
mod cost;
mod cursors;
mod erasure;
mod events;
mod filters;
mod include;
mod lists;
mod merge;
mod migration;
mod plans;
mod requester;
mod search;
mod sla;
mod versions;
mod workflow;

use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};

use crate::harness::host::{Host, Setup};

/// A host with tickets, and the keys of one customer.
struct Support {
    host: Host,
    key: String,
    agent: String,
}

impl Support {
    fn open() -> Support {
        let host = Setup::new().tickets().start();
        let key = host.key("acme", &[]);
        let agent = host.key("acme", &["--scope", "customer", "--scope", "agent"]);
        Support { host, key, agent }
    }

    async fn create(&self, ticket: Value) -> Value {
        let answer = send(self.host.post("/support/tickets", &self.key), ticket).await;
        let (status, ticket) = read(answer).await;
        assert_eq!(status, StatusCode::CREATED, "{ticket}");
        ticket
    }

    async fn get(&self, path: &str) -> (StatusCode, Value) {
        read(self.host.get(path, &self.key).send().await.unwrap()).await
    }

    /// Asks as the agent where `agent`, else as the customer.
    async fn ask(
        &self,
        method: Method,
        path: &str,
        agent: bool,
        body: Value,
    ) -> (StatusCode, Value) {
        let key = if agent { &self.agent } else { &self.key };
        let request = self.host.request(method, path, key);
        read(send(request, body).await).await
    }

    async fn patch(&self, id: &str, change: Value) -> (StatusCode, Value) {
        let request = self.host.request(
            Method::PATCH,
            &format!("/support/tickets/{id}"),
            &self.agent,
        );
        read(send(request, change).await).await
    }
}

async fn send(request: RequestBuilder, body: Value) -> Response {
    request.json(&body).send().await.unwrap()
}

async fn read(answer: Response) -> (StatusCode, Value) {
    let status = answer.status();
    (status, answer.json().await.unwrap_or(Value::Null))
}

fn ticket() -> Value {
    json!({"subject": "Printer", "description": "It prints in green.", "priority": "medium"})
}

fn id(ticket: &Value) -> &str {
    ticket["id"].as_str().unwrap()
}

#[tokio::test]
async fn both_creating_paths_make_a_ticket_that_reads_back() {
    let support = Support::open();
    let old = send(
        support.host.post("/support/tickets/create", &support.key),
        ticket(),
    )
    .await;
    let (status, old) = read(old).await;
    assert_eq!(status, StatusCode::OK, "as the old function answered");
    assert_eq!(old["ticket_id"], old["id"]);
    let new = send(
        support.host.post("/support/tickets", &support.key),
        ticket(),
    )
    .await;
    assert_eq!(new.status(), StatusCode::CREATED);
    let location = new.headers()["location"].to_str().unwrap().to_string();
    let new: Value = new.json().await.unwrap();
    assert_eq!(location, format!("/support/tickets/{}", id(&new)));
    let (status, found) = support.get(&location).await;
    assert_eq!((status, &found), (StatusCode::OK, &new));
    assert_eq!(found["status"], "new");
    assert_eq!(
        found["priority"], "normal",
        "medium is kept and means normal"
    );
    let (_, audits) = support.get(&format!("{location}/audits")).await;
    assert_eq!(audits["audits"].as_array().unwrap().len(), 1, "{audits}");
}

#[tokio::test]
async fn every_wrong_field_is_named_at_once() {
    let support = Support::open();
    let wrong = json!({"subject": "", "description": 7, "priority": "soon", "colour": "red"});
    let answer = send(support.host.post("/support/tickets", &support.key), wrong).await;
    assert_eq!(answer.headers()["content-type"], "application/problem+json");
    let (status, problem) = read(answer).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    let errors = problem["errors"].as_array().unwrap();
    let mut pointers: Vec<_> = errors
        .iter()
        .map(|error| error["pointer"].as_str().unwrap())
        .collect();
    pointers.sort_unstable();
    assert_eq!(
        pointers,
        ["/colour", "/description", "/priority", "/subject"]
    );
    for body in ["", "{", "[1]", "\"text\"", "{\"subject\": \"\\u0000\"}"] {
        let request = support
            .host
            .post("/support/tickets", &support.key)
            .body(body);
        let answer = request.send().await.unwrap();
        assert!(
            matches!(answer.status().as_u16(), 400 | 422),
            "{body}: {}",
            answer.status()
        );
        assert_eq!(answer.headers()["content-type"], "application/problem+json");
    }
}

#[tokio::test]
async fn unknown_route_is_404_and_wrong_method_is_405_with_allow() {
    let support = Support::open();
    let (status, problem) = support.get("/support/nothing").await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert_eq!(problem["status"], 404);
    let wrong = support
        .host
        .request(Method::DELETE, "/support/tickets", &support.key);
    let wrong = wrong.send().await.unwrap();
    assert_eq!(wrong.status(), StatusCode::METHOD_NOT_ALLOWED);
    let allow = wrong.headers()["allow"].to_str().unwrap();
    assert!(allow.contains("GET") && allow.contains("POST"), "{allow}");
}

#[tokio::test]
async fn customers_get_404_for_each_others_tickets_everywhere() {
    let support = Support::open();
    let theirs = support.create(ticket()).await;
    let other = support
        .host
        .key("bolt", &["--scope", "customer", "--scope", "agent"]);
    let path = format!("/support/tickets/{}", id(&theirs));
    let change = json!({"status": "open"});
    let comment = json!({"body": "Mine now"});
    let tries = [
        (Method::GET, path.clone(), None),
        (Method::PATCH, path.clone(), Some(change)),
        (Method::GET, format!("{path}/comments"), None),
        (Method::POST, format!("{path}/comments"), Some(comment)),
        (Method::GET, format!("{path}/audits"), None),
    ];
    for (method, path, body) in tries {
        let request = support.host.request(method.clone(), &path, &other);
        let request = body
            .iter()
            .fold(request, |request, body| request.json(body));
        let (status, problem) = read(request.send().await.unwrap()).await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{method} {path}: {problem}");
    }
    let (_, list) = read(
        support
            .host
            .get("/support/tickets", &other)
            .send()
            .await
            .unwrap(),
    )
    .await;
    assert_eq!(list["tickets"], json!([]));
    let (_, unchanged) = support.get(&path).await;
    assert_eq!(unchanged, theirs);
}

#[tokio::test]
async fn status_follows_its_transitions_and_each_change_is_audited() {
    let support = Support::open();
    let ticket = support.create(ticket()).await;
    let id = id(&ticket);
    for status in ["open", "pending", "hold", "solved", "open", "solved"] {
        let (code, changed) = support.patch(id, json!({"status": status})).await;
        assert_eq!(code, StatusCode::OK, "{changed}");
        assert_eq!(changed["status"], status);
    }
    let (code, problem) = support.patch(id, json!({"status": "new"})).await;
    assert_eq!(code, StatusCode::CONFLICT, "{problem}");
    assert_eq!(
        support.patch(id, json!({"status": "closed"})).await.0,
        StatusCode::OK
    );
    for change in [json!({"status": "open"}), json!({"subject": "Again"})] {
        assert_eq!(support.patch(id, change).await.0, StatusCode::CONFLICT);
    }
    let (_, audits) = support.get(&format!("/support/tickets/{id}/audits")).await;
    assert_eq!(audits["audits"].as_array().unwrap().len(), 8, "{audits}");
}

#[tokio::test]
async fn customer_never_sees_internal_comments() {
    let support = Support::open();
    let ticket = support.create(ticket()).await;
    let path = format!("/support/tickets/{}/comments", id(&ticket));
    let public = json!({"body": "We look into it."});
    let internal = json!({"body": "They never read manuals.", "public": false});
    let comment = async |key: &str, body: &Value| {
        let answer = send(support.host.post(&path, key), body.clone()).await;
        read(answer).await
    };
    assert_eq!(
        comment(&support.agent, &public).await.0,
        StatusCode::CREATED
    );
    let (status, told) = comment(&support.agent, &internal).await;
    assert_eq!(status, StatusCode::CREATED, "{told}");
    assert_eq!(
        comment(&support.key, &internal).await.0,
        StatusCode::FORBIDDEN
    );
    let seen = async |key: &str| {
        let (_, comments) = read(support.host.get(&path, key).send().await.unwrap()).await;
        comments["comments"].as_array().unwrap().len()
    };
    assert_eq!(
        (seen(&support.key).await, seen(&support.agent).await),
        (1, 2)
    );
    let audits = support
        .get(&format!("/support/tickets/{}/audits", id(&ticket)))
        .await;
    assert!(!audits.1.to_string().contains("manuals"), "{}", audits.1);
}

#[tokio::test]
async fn pages_by_cursor_and_by_number_show_each_ticket_once() {
    let support = Support::open();
    let mut created = Vec::new();
    for number in 0..7 {
        let ticket = json!({"subject": format!("Ticket {number}"), "description": "d"});
        created.push(id(&support.create(ticket).await).to_string());
    }
    created.sort();
    let (mut seen, mut path) = (Vec::new(), "/support/tickets?limit=3".to_string());
    for _ in 0..3 {
        let answer = support.host.get(&path, &support.key).send().await.unwrap();
        let link = answer
            .headers()
            .get("link")
            .map(|link| link.to_str().unwrap().to_string());
        let (_, page) = read(answer).await;
        seen.extend(
            page["tickets"]
                .as_array()
                .unwrap()
                .iter()
                .map(|t| id(t).to_string()),
        );
        match link {
            Some(link) => path = link[1..link.find('>').unwrap()].to_string(),
            None => break,
        }
    }
    seen.sort();
    assert_eq!(seen, created);
    let mut numbered = Vec::new();
    for page in 1..=3 {
        let (_, page) = support
            .get(&format!("/support/tickets?page={page}&per_page=3"))
            .await;
        numbered.extend(
            page["tickets"]
                .as_array()
                .unwrap()
                .iter()
                .map(|t| id(t).to_string()),
        );
    }
    numbered.sort();
    assert_eq!(numbered, created);
    for bad in [
        "limit=0",
        "limit=101",
        "cursor=nonsense",
        "status=odd",
        "page=0",
    ] {
        let (status, problem) = support.get(&format!("/support/tickets?{bad}")).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{bad}: {problem}");
    }
}

#[tokio::test]
async fn change_under_another_version_is_412() {
    let support = Support::open();
    let ticket = support.create(ticket()).await;
    let path = format!("/support/tickets/{}", id(&ticket));
    let answer = support.host.get(&path, &support.key).send().await.unwrap();
    let etag = answer.headers()["etag"].to_str().unwrap().to_string();
    let change = |etag: &str, subject: &str| {
        let request = support.host.request(Method::PATCH, &path, &support.key);
        send(
            request.header("if-match", etag),
            json!({"subject": subject}),
        )
    };
    assert_eq!(change(&etag, "First").await.status(), StatusCode::OK);
    assert_eq!(
        change(&etag, "Second").await.status(),
        StatusCode::PRECONDITION_FAILED
    );
    assert_eq!(support.get(&path).await.1["subject"], "First");
}
