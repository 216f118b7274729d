//! What becomes of the clocks when tickets change.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::super::{Support, id, ticket};
use super::{MINUTE, WEEKDAYS, micros, policy};

#[tokio::test]
async fn a_new_ticket_is_due_by_the_built_in_policy_until_there_is_an_own_one() {
    let support = Support::open();
    let made = support.create(ticket()).await;
    let sla = support.sla(id(&made)).await;
    assert_eq!(sla["policy_id"], "built-in-unlimited");
    assert_eq!(sla["first_response"]["target_minutes"], 120);
    assert_eq!(sla["started_at"], made["created_at"]);
    support.promise().await;
    let sla = support.sla(id(&made)).await;
    assert_eq!(sla["policy_id"], "gold", "it holds at once");
    let (first_response, resolution) = (&sla["first_response"], &sla["resolution"]);
    let created = micros(&made["created_at"]);
    assert_eq!(micros(&first_response["due_at"]), created + 60 * MINUTE);
    assert_eq!(micros(&first_response["warn_at"]), created + 45 * MINUTE);
    assert_eq!(micros(&resolution["due_at"]), created + 480 * MINUTE);
    assert_eq!(first_response["state"], "running");
    assert_eq!(first_response["breached"], false);
    let left = first_response["remaining_seconds"].as_i64().unwrap();
    assert!((0..3600).contains(&left), "{left}");
    let checks = sla["next_checks"].as_array().unwrap();
    let told: Vec<_> = checks
        .iter()
        .map(|one| (&one["clock"], &one["kind"]))
        .collect();
    let expected = [
        ("first_response", "warning"),
        ("first_response", "breach"),
        ("resolution", "warning"),
        ("resolution", "breach"),
    ];
    let expected: Vec<_> = expected.iter().map(|(a, b)| (json!(a), json!(b))).collect();
    assert!(
        told.into_iter().eq(expected.iter().map(|(a, b)| (a, b))),
        "{sla}"
    );
    assert_eq!(checks[1]["at"], first_response["due_at"]);
    let urgent = json!({"subject": "s", "description": "d", "priority": "urgent"});
    let urgent = support.create(urgent).await;
    let sla = support.sla(id(&urgent)).await;
    assert_eq!(sla["first_response"], Value::Null, "nothing is promised");
    assert_eq!(sla["resolution"]["target_minutes"], 60);
}

#[tokio::test]
async fn due_times_wait_for_the_calendar_to_open() {
    let support = Support::open();
    // Open from 09:00 to 10:00 in Kathmandu, which is 03:15 to 04:15 in UTC, on the
    // weekday that comes three days from now.
    let today = jiff::Timestamp::now()
        .to_zoned(jiff::tz::TimeZone::UTC)
        .date();
    let mut opens = today;
    for _ in 0..3 {
        opens = opens.tomorrow().unwrap();
    }
    let weekday = usize::try_from(opens.weekday().to_monday_zero_offset()).unwrap();
    let hours = json!({WEEKDAYS[weekday]: [{"start": "09:00", "end": "10:00"}]});
    let rare = json!({"name": "Rare", "time_zone": "Asia/Kathmandu", "hours": hours});
    assert_eq!(
        support.put("calendars/rare", rare).await.0,
        StatusCode::CREATED
    );
    let gold = support
        .put("sla-policies/gold", policy(json!("rare")))
        .await;
    assert_eq!(gold.0, StatusCode::CREATED, "{}", gold.1);
    let high = json!({"subject": "s", "description": "d", "priority": "high"});
    let made = support.create(high).await;
    let sla = support.sla(id(&made)).await;
    let due = |days: i64, time: &str| {
        let day = opens.checked_add(jiff::Span::new().days(days)).unwrap();
        json!(format!("{day}T{time}.000000Z"))
    };
    assert_eq!(sla["first_response"]["due_at"], due(0, "03:45:00"));
    assert_eq!(sla["first_response"]["warn_at"], due(0, "03:30:00"));
    assert_eq!(sla["resolution"]["due_at"], due(21, "04:15:00"));
    assert_eq!(sla["resolution"]["remaining_seconds"], 240 * 60);
}

#[tokio::test]
async fn pending_and_hold_stop_the_clocks_which_go_on_with_what_was_left() {
    let support = Support::open();
    support.promise().await;
    let made = support.create(ticket()).await;
    let (_, pending) = support.patch(id(&made), json!({"status": "pending"})).await;
    let sla = support.sla(id(&made)).await;
    assert_eq!(sla["paused"], true);
    assert_eq!(sla["next_checks"], json!([]));
    assert_eq!(sla["resolution"]["state"], "paused");
    assert_eq!(sla["resolution"]["due_at"], Value::Null);
    let left = sla["resolution"]["remaining_seconds"].clone();
    support.patch(id(&made), json!({"status": "hold"})).await;
    tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
    let later = support.sla(id(&made)).await;
    assert_eq!(
        later["resolution"]["remaining_seconds"], left,
        "a second later"
    );
    let (_, open) = support.patch(id(&made), json!({"status": "open"})).await;
    let passed = micros(&pending["updated_at"]) - micros(&made["created_at"]);
    let resumed = micros(&open["updated_at"]);
    let sla = support.sla(id(&made)).await;
    let due = |clock: &str| micros(&sla[clock]["due_at"]);
    assert_eq!(due("first_response"), resumed + 60 * MINUTE - passed);
    assert_eq!(due("resolution"), resumed + 480 * MINUTE - passed);
}

#[tokio::test]
async fn first_public_comment_of_an_agent_is_the_first_response() {
    let support = Support::open();
    support.promise().await;
    let made = support.create(ticket()).await;
    let comments = format!("/support/tickets/{}/comments", id(&made));
    let comment = async |agent: bool, public: bool| {
        let body = json!({"body": "Hm.", "public": public});
        let (status, comment) = support.ask(Method::POST, &comments, agent, body).await;
        assert_eq!(status, StatusCode::CREATED, "{comment}");
        comment["created_at"].clone()
    };
    comment(false, true).await;
    comment(true, false).await;
    let sla = support.sla(id(&made)).await;
    assert_eq!(sla["first_response"]["state"], "running");
    let answered = comment(true, true).await;
    comment(true, true).await;
    let sla = support.sla(id(&made)).await;
    let first_response = &sla["first_response"];
    assert_eq!(first_response["state"], "met");
    assert_eq!(first_response["met_at"], answered, "the first one counts");
    assert_eq!(first_response["remaining_seconds"], Value::Null);
    assert_eq!(sla["resolution"]["state"], "running");
    let due = micros(&sla["resolution"]["due_at"]);
    assert_eq!(due, micros(&made["created_at"]) + 480 * MINUTE, "as before");
}

#[tokio::test]
async fn another_priority_has_other_due_times_in_bulk_too() {
    let support = Support::open();
    support.promise().await;
    let create = json!({"create": [ticket(), ticket()]});
    let bulk = "/support/tickets/bulk";
    let (_, made) = support.ask(Method::POST, bulk, true, create).await;
    let tickets: Vec<&Value> = (0..2).map(|at| &made["results"][at]["ticket"]).collect();
    let (status, _) = support
        .patch(id(tickets[0]), json!({"priority": "high"}))
        .await;
    assert_eq!(status, StatusCode::OK);
    let update = json!({"update": [{"id": id(tickets[1]), "priority": "high"}]});
    support.ask(Method::POST, bulk, true, update).await;
    for ticket in tickets {
        let sla = support.sla(id(ticket)).await;
        let created = micros(&ticket["created_at"]);
        assert_eq!(
            micros(&sla["first_response"]["due_at"]),
            created + 30 * MINUTE
        );
        assert_eq!(micros(&sla["resolution"]["due_at"]), created + 240 * MINUTE);
    }
}

#[tokio::test]
async fn solving_and_merging_stop_the_second_clock_and_reopening_starts_it_again() {
    let support = Support::open();
    support.promise().await;
    let (made, other) = (
        support.create(ticket()).await,
        support.create(ticket()).await,
    );
    let (_, solved) = support.patch(id(&made), json!({"status": "solved"})).await;
    let sla = support.sla(id(&made)).await;
    assert_eq!(sla["resolution"]["state"], "met");
    assert_eq!(sla["resolution"]["met_at"], solved["solved_at"]);
    assert_eq!(sla["first_response"]["state"], "paused", "nobody answered");
    let reopen = format!("/support/tickets/{}/reopen", id(&made));
    let (_, open) = support.ask(Method::POST, &reopen, false, json!({})).await;
    let sla = support.sla(id(&made)).await;
    assert_eq!(sla["resolution"]["state"], "running");
    let passed = micros(&solved["updated_at"]) - micros(&made["created_at"]);
    let expected = micros(&open["updated_at"]) + 480 * MINUTE - passed;
    assert_eq!(micros(&sla["resolution"]["due_at"]), expected);
    let merge = format!("/support/tickets/{}/merge", id(&made));
    let into = json!({"into": id(&other)});
    let (status, merged) = support.ask(Method::POST, &merge, true, into).await;
    assert_eq!(status, StatusCode::OK, "{merged}");
    let (source, target) = (support.sla(id(&made)).await, support.sla(id(&other)).await);
    assert_eq!(source["resolution"]["state"], "met");
    assert_eq!(target["resolution"]["state"], "running");
    for sla in [source, target] {
        assert_eq!(
            sla["first_response"]["state"], "met",
            "an agent's public comment"
        );
    }
}
