//! Filters and orders of lists, counts and exports.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::lists::found;
use super::{Support, id};

/// Tickets with these subjects and what else is given, the first the oldest.
async fn make(support: &Support, tickets: &[Value]) -> Vec<Value> {
    let mut made = Vec::new();
    for ticket in tickets {
        let mut ticket = ticket.clone();
        ticket["description"] = json!("d");
        let request = support.host.post("/support/tickets", &support.agent);
        let (status, answer) = super::read(super::send(request, ticket).await).await;
        assert_eq!(status, StatusCode::CREATED, "{answer}");
        made.push(answer);
    }
    made
}

async fn stand(support: &Support, ticket: &Value, status: &str) {
    let (code, answer) = support.patch(id(ticket), json!({"status": status})).await;
    assert_eq!(code, StatusCode::OK, "{answer}");
}

/// Whether the list and the count of a query agree on these subjects.
async fn expect(support: &Support, query: &str, expected: &[&str]) {
    assert_eq!(found(support, query).await, expected, "{query}");
    let (_, count) = support
        .get(&format!("/support/tickets/count?{query}"))
        .await;
    assert_eq!(
        count,
        json!({"count": expected.len(), "exact": true}),
        "{query}"
    );
}

#[tokio::test]
async fn tickets_are_found_by_each_filter_and_by_several_values_of_one() {
    let support = Support::open();
    let made = make(
        &support,
        &[
            json!({"subject": "a", "priority": "low", "type": "bug", "external_id": "crm/1"}),
            json!({"subject": "b", "priority": "urgent", "assignee": "eve", "type": "question"}),
            json!({"subject": "c", "priority": "high", "assignee": "bob", "tags": ["t"]}),
            json!({"subject": "d", "priority": "normal", "tags": ["t"], "type": "bug"}),
        ],
    )
    .await;
    stand(&support, &made[1], "open").await;
    stand(&support, &made[2], "solved").await;
    for (query, expected) in [
        ("external_id=crm/1", &["a"][..]),
        ("external_id=crm/2", &[]),
        ("external_id=crm/1&status=open", &[]),
        ("status=open,solved", &["c", "b"]),
        ("status=new&status=open", &["d", "b", "a"]),
        ("priority=low,urgent", &["b", "a"]),
        ("priority=medium", &["d"]),
        ("status=new,solved&priority=high,low", &["c", "a"]),
        ("type=bug", &["d", "a"]),
        ("type=bug&sort=created_at", &["a", "d"]),
        ("type=bug&tag=t", &["d"]),
        ("unassigned=true", &["d", "a"]),
        ("unassigned=true&assignee=eve", &[]),
        ("unassigned=true&status=new&priority=low", &["a"]),
        ("assignee=eve&status=open", &["b"]),
        ("q=c&priority=high", &["c"]),
    ] {
        expect(&support, query, expected).await;
    }
    for wrong in [
        "status=open,",
        "status=open,done",
        "priority=",
        "unassigned=false",
        "external_id=a&external_id=b",
        "created_since=soon",
        "sort=due",
    ] {
        let (status, problem) = support.get(&format!("/support/tickets?{wrong}")).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{wrong}: {problem}");
    }
    let bolt = support.host.key("bolt", &[]);
    let request = support
        .host
        .get("/support/tickets?external_id=crm/1", &bolt);
    let (_, theirs) = super::read(request.send().await.unwrap()).await;
    assert_eq!(theirs["tickets"], json!([]));
}

#[tokio::test]
async fn times_are_instants_or_days_and_until_counts_too() {
    let support = Support::open();
    let made = make(
        &support,
        &[json!({"subject": "a"}), json!({"subject": "b"})],
    )
    .await;
    stand(&support, &made[0], "open").await;
    let [first, second] =
        [&made[0]["created_at"], &made[1]["created_at"]].map(|at| at.as_str().unwrap());
    let today = &first[..10];
    for (query, expected) in [
        (format!("created_since={second}"), &["b"][..]),
        (format!("created_until={first}"), &["a"]),
        (
            format!("created_since={first}&created_until={second}"),
            &["b", "a"],
        ),
        (
            format!("created_since={first}&created_until={second}&sort=created_at"),
            &["a", "b"],
        ),
        (format!("created_since={second}&sort=-updated_at"), &["b"]),
        (format!("created_until={first}&sort=-priority"), &["a"]),
        (format!("created_since={today}"), &["b", "a"]),
        ("created_until=2020-02-29".to_string(), &[]),
        ("created_since=9999-12-31".to_string(), &[]),
        (format!("updated_since={today}"), &["b", "a"]),
        (format!("updated_since={second}"), &["b", "a"]),
        ("updated_since=9999-12-31".to_string(), &[]),
    ] {
        expect(&support, &query, expected).await;
    }
    let (_, opened) = support
        .get(&format!("/support/tickets/{}", id(&made[0])))
        .await;
    let since = opened["updated_at"].as_str().unwrap();
    expect(&support, &format!("updated_since={since}"), &["a"]).await;
    // The day of the second is over at its midnight, and not before it.
    expect(
        &support,
        &format!("created_until={}", &second[..10]),
        &["b", "a"],
    )
    .await;
}

#[tokio::test]
async fn lists_are_in_the_order_of_priority_and_of_due_time_on_every_page() {
    let support = Support::open();
    let priorities = ["low", "urgent", "normal", "urgent", "high", "low", "high"];
    let tickets = priorities.iter().enumerate();
    let tickets = tickets.map(|(number, priority)| {
        json!({"subject": format!("{number} {priority}"), "priority": priority, "tags": ["t"]})
    });
    let made = make(&support, &tickets.collect::<Vec<_>>()).await;
    // Nothing is due of it any more.
    stand(&support, &made[1], "solved").await;
    let by_priority = [
        "3 urgent", "1 urgent", "6 high", "4 high", "2 normal", "5 low", "0 low",
    ];
    let least_first = [
        "5 low", "0 low", "2 normal", "6 high", "4 high", "3 urgent", "1 urgent",
    ];
    let by_due = [
        "3 urgent", "4 high", "6 high", "2 normal", "0 low", "5 low", "1 urgent",
    ];
    let mut last_due = by_due;
    last_due.reverse();
    for filter in ["", "&tag=t", "&status=new,open,solved", "&unassigned=true"] {
        for (sort, expected) in [
            ("-priority", &by_priority),
            ("priority", &least_first),
            ("due_at", &by_due),
            ("-due_at", &last_due),
        ] {
            for limit in [2, 100] {
                let listed = pages(&support, &format!("sort={sort}{filter}&limit={limit}")).await;
                assert_eq!(listed, expected, "{sort}{filter} by {limit}");
            }
            let second = found(&support, &format!("sort={sort}{filter}&page=2&per_page=3")).await;
            assert_eq!(second, expected[3..6], "{sort}{filter}");
        }
    }
    let open = found(&support, "sort=-priority&status=new&priority=urgent,low").await;
    assert_eq!(open, ["3 urgent", "5 low", "0 low"]);
}

/// The subjects of a list, page by page.
async fn pages(support: &Support, query: &str) -> Vec<String> {
    let (mut listed, mut cursor) = (Vec::new(), String::new());
    loop {
        let (_, page) = support
            .get(&format!("/support/tickets?{query}{cursor}"))
            .await;
        let tickets = page["tickets"]
            .as_array()
            .unwrap_or_else(|| panic!("{page}"));
        listed.extend(
            tickets
                .iter()
                .map(|one| one["subject"].as_str().unwrap().to_string()),
        );
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return listed,
        }
    }
}

#[tokio::test]
async fn path_with_a_slash_at_its_end_is_the_path_before_it() {
    let support = Support::open();
    let request = support.host.post("/support/tickets/", &support.key);
    let (status, made) = super::read(super::send(request, super::ticket()).await).await;
    assert_eq!(status, StatusCode::CREATED, "{made}");
    let path = format!("/support/tickets/{}/", id(&made));
    let (status, answer) = support
        .ask(Method::PATCH, &path, false, json!({"priority": "high"}))
        .await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    assert_eq!(support.get(&path).await.1, answer);
    let (_, list) = support.get("/support/tickets/?limit=1").await;
    assert_eq!(list["tickets"][0]["id"], made["id"]);
}
