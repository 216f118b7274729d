//! Warnings and breaches: told once, by a clock that the test puts forward.

use std::collections::BTreeMap;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::super::events::fixture::{Stage, kinds, of_ticket};
use super::super::{id, ticket};
use super::{MINUTE, micros, policy};
use crate::harness::host::runs;
use crate::harness::postgres::until;

/// The kind of each event, and the clock that it is about.
fn told(heard: &[Value], id: &str) -> Vec<String> {
    let heard = of_ticket(heard, id);
    let clocks = heard
        .iter()
        .map(|event| event["data"]["sla"]["clock"].as_str());
    let told = kinds(&heard).into_iter().zip(clocks);
    let told = told.map(|(kind, clock)| [kind, " ", clock.unwrap_or_default()].concat());
    told.map(|told| told.trim_end().to_string()).collect()
}

const ANSWER_LATE: &str = "ticket.sla_breached first_response";
const SOLUTION_LATE: &str = "ticket.sla_breached resolution";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn warning_and_then_breach_are_told_as_the_clock_passes() {
    let stage = Stage::open().await;
    let support = &stage.support;
    support.promise().await;
    let made = support.create(ticket()).await;
    for (count, minutes) in [(2, 46), (3, 61), (4, 466), (5, 481)] {
        stage.put_forward(minutes).await;
        stage.heard(count).await;
        stage.until_looked(minutes).await;
    }
    let [heard, notified] = stage.heard(5).await;
    assert_eq!(heard, notified);
    let expected = [
        "ticket.created",
        "ticket.sla_warning first_response",
        ANSWER_LATE,
        "ticket.sla_warning resolution",
        SOLUTION_LATE,
    ];
    assert_eq!(told(&heard, id(&made)), expected);
    let created = micros(&made["created_at"]);
    for (event, minutes) in heard.iter().zip([0, 45, 60, 465, 480]) {
        assert_eq!(micros(&event["occurred_at"]), created + minutes * MINUTE);
        assert_eq!(event["data"]["ticket"], made);
    }
    let sla = &heard[2]["data"]["sla"];
    assert_eq!(sla["due_at"], heard[2]["occurred_at"]);
    assert_eq!(sla["warn_at"], heard[1]["occurred_at"]);
    assert_eq!(
        (
            &sla["target_minutes"],
            &sla["policy_id"],
            &sla["calendar_id"]
        ),
        (&json!(60), &json!("gold"), &json!("always"))
    );
    stage.put_forward(3_000).await;
    stage.until_looked(3_000).await;
    stage.heard(5).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_order_serves_all_tickets_that_are_due_after_it() {
    const TICKETS: usize = 20;
    let stage = Stage::open().await;
    stage.support.promise().await;
    let ordered_after = async |minutes: i64| -> i64 {
        // The schedule's review of each hour is in the same queue.
        let count = "SELECT count(*) FROM hearth.outbox WHERE queue = 'ticket-clocks'
            AND convert_from(body, 'utf8')::jsonb ? 'check'
            AND due_at > clock_timestamp() + $1::bigint * interval '1 minute'";
        let row = stage.database.query_one(count, &[&minutes]).await;
        row.unwrap().get(0)
    };
    for _ in 0..TICKETS {
        stage.support.create(ticket()).await;
    }
    assert_eq!(ordered_after(10).await, 1);
    stage.put_forward(46).await;
    let [heard, _] = stage.heard(2 * TICKETS).await;
    let warnings = kinds(&heard).into_iter();
    let warnings = warnings.filter(|kind| *kind == "ticket.sla_warning");
    assert_eq!(warnings.count(), TICKETS);
    stage.until_looked(46).await;
    assert_eq!(ordered_after(46).await, 1, "the next look");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_answered_solved_or_stands_still_is_looked_at_again_and_not_told() {
    let stage = Stage::open().await;
    let support = &stage.support;
    support.promise().await;
    let mut made = Vec::new();
    for _ in 0..4 {
        made.push(id(&support.create(ticket()).await).to_string());
    }
    let [running, answered, paused, solved] = &made[..] else {
        unreachable!()
    };
    let answer = json!({"body": "We look."});
    let comments = format!("/support/tickets/{answered}/comments");
    support.ask(Method::POST, &comments, true, answer).await;
    support.patch(paused, json!({"status": "pending"})).await;
    support.patch(solved, json!({"status": "solved"})).await;
    stage.put_forward(600).await;
    let [heard, _] = stage.heard(4 + 1 + 1 + 2 + 3).await;
    // It is too late to warn.
    assert_eq!(
        told(&heard, running),
        ["ticket.created", ANSWER_LATE, SOLUTION_LATE]
    );
    assert_eq!(
        told(&heard, answered),
        ["ticket.created", "ticket.commented", SOLUTION_LATE]
    );
    assert_eq!(told(&heard, paused), ["ticket.created", "ticket.updated"]);
    assert_eq!(told(&heard, solved).len(), 3);
    stage.until_looked(600).await;
    support.patch(paused, json!({"status": "open"})).await;
    support.patch(solved, json!({"status": "open"})).await;
    stage.put_forward(661).await;
    let [heard, _] = stage.heard(11 + 2 + 2).await;
    for reopened in [paused, solved] {
        let told = told(&heard, reopened);
        assert_eq!(told[told.len() - 2..], ["ticket.updated", ANSWER_LATE]);
    }
    stage.until_looked(661).await;
    stage.heard(15).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn exactly_one_breach_is_told_over_two_hosts_of_which_one_is_killed() {
    let stage = Stage::open().await;
    let mut other = stage.another();
    stage.support.promise().await;
    let count = runs(60, 1_000);
    for number in 0..count {
        let host = if number % 2 == 0 {
            &stage.support.host
        } else {
            &other
        };
        let request = host.post("/support/tickets", &stage.support.key);
        let made = request.json(&ticket()).send().await.unwrap();
        assert_eq!(made.status(), StatusCode::CREATED);
    }
    stage.put_forward(600).await;
    let breaches = async || {
        let breaches = "SELECT body #>> '{data,ticket,id}', body #>> '{data,sla,clock}',
                count(DISTINCT body ->> 'event_id')
            FROM plugin_listener.heard
            WHERE queue = 'webhook-events' AND body ->> 'type' = 'ticket.sla_breached'
            GROUP BY 1, 2";
        let rows = stage.database.query(breaches, &[]).await.unwrap();
        let rows = rows
            .iter()
            .map(|row| ((row.get(0), row.get(1)), row.get(2)));
        rows.collect::<BTreeMap<(String, String), i64>>()
    };
    until(async || !breaches().await.is_empty()).await;
    other.kill();
    // Past the leases of what it had begun.
    stage.put_forward_at_once(620);
    until(async || breaches().await.len() == 2 * count).await;
    stage.until_looked(620).await;
    assert!(breaches().await.values().all(|events| *events == 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_policy_moves_the_alerts_of_tickets_that_there_are() {
    let stage = Stage::open().await;
    let support = &stage.support;
    support.promise().await;
    let made = support.create(ticket()).await;
    let mut looser = policy(json!("always"));
    looser["targets"]["normal"] = json!({"first_response_minutes": 600});
    assert_eq!(
        support.put("sla-policies/gold", looser).await.0,
        StatusCode::OK
    );
    stage.put_forward(61).await;
    stage.until_looked(61).await;
    stage.heard(1).await;
    let mut stricter = policy(json!("always"));
    stricter["targets"]["normal"] = json!({"first_response_minutes": 30});
    assert_eq!(
        support.put("sla-policies/gold", stricter).await.0,
        StatusCode::OK
    );
    // The minute is over in which all tickets' clocks are gone through.
    stage.put_forward(63).await;
    let [heard, _] = stage.heard(2).await;
    assert_eq!(told(&heard, id(&made)), ["ticket.created", ANSWER_LATE]);
    let due_at = micros(&made["created_at"]) + 30 * MINUTE;
    assert_eq!(micros(&heard[1]["data"]["sla"]["due_at"]), due_at);
    let listed = "SELECT due_at - started_at = interval '30 minutes'
        FROM plugin_tickets.ticket_clocks";
    let listed = stage.database.query_one(listed, &[]).await.unwrap();
    assert!(listed.get::<_, bool>(0), "lists are ordered by it too");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn order_that_was_lost_is_made_up_for_within_the_hour() {
    let stage = Stage::open().await;
    let support = &stage.support;
    support.promise().await;
    let made = support.create(ticket()).await;
    stage.heard(1).await;
    let lose = "DELETE FROM hearth.outbox WHERE queue = 'ticket-clocks'";
    assert!(stage.database.execute(lose, &[]).await.unwrap() > 0);
    stage.put_forward(181).await;
    let [heard, _] = stage.heard(2).await;
    assert_eq!(told(&heard, id(&made)), ["ticket.created", ANSWER_LATE]);
}
