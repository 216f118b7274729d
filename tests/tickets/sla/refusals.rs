//! What is refused, and to whom.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::super::{Support, id, read, send, ticket};
use super::{always, policy};

fn pointers(problem: &Value) -> Vec<&str> {
    let errors = problem["errors"].as_array().unwrap();
    let pointers = errors
        .iter()
        .map(|error| error["pointer"].as_str().unwrap());
    pointers.collect()
}

#[tokio::test]
async fn only_agents_see_and_write_policies_and_calendars() {
    let support = Support::open();
    support.promise().await;
    for (path, body) in [
        ("/support/calendars/always", always()),
        ("/support/sla-policies/gold", policy(Value::Null)),
    ] {
        let list = path.rsplit_once('/').unwrap().0;
        for (method, path) in [
            (Method::GET, path),
            (Method::GET, list),
            (Method::PUT, path),
            (Method::DELETE, path),
        ] {
            let asked = support.ask(method.clone(), path, false, body.clone()).await;
            assert_eq!(
                asked.0,
                StatusCode::FORBIDDEN,
                "{method} {path}: {}",
                asked.1
            );
        }
    }
}

#[tokio::test]
async fn every_wrong_field_is_named_by_its_pointer() {
    let support = Support::open();
    let calendar = json!({
        "name": "", "time_zone": "Mars/Base", "holidays": ["2026-02-30"], "colour": "red",
        "hours": {"monday": [{"start": "10:00", "end": "09:00"}], "doomsday": []},
    });
    let (status, problem) = support.put("calendars/c", calendar).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    let expected = [
        "/name",
        "/time_zone",
        "/hours/monday/0/end",
        "/hours/doomsday",
        "/holidays",
        "/colour",
    ];
    assert_eq!(pointers(&problem), expected, "{problem}");
    let wrong = json!({
        "calendar_id": "No", "tiers": ["gold"], "warn_before": {},
        "targets": {"low": {"resolution_minutes": 0}, "normal": {"first_response_minutes": 1e300}},
    });
    let (status, problem) = support.put("sla-policies/p", wrong).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    let expected = [
        "/name",
        "/calendar_id",
        "/tiers",
        "/targets/low/resolution_minutes",
        "/targets/normal/first_response_minutes",
        "/warn_before/percent",
    ];
    assert_eq!(pointers(&problem), expected, "{problem}");
    let (status, problem) = support
        .put("sla-policies/p", policy(json!("nowhere")))
        .await;
    assert_eq!(
        status,
        StatusCode::UNPROCESSABLE_ENTITY,
        "this calendar was not found"
    );
    assert_eq!(pointers(&problem), ["/calendar_id"]);
    for body in [
        "",
        "{",
        "[]",
        "{\"name\": \"\\u0000\"}",
        "{\"name\": \"\\ud800\"}",
    ] {
        let request = support
            .host
            .request(Method::PUT, "/support/calendars/c", &support.agent);
        let answer = request.body(body).send().await.unwrap();
        assert!(matches!(answer.status().as_u16(), 400 | 422), "{body}");
    }
    let (_, list) = support.as_agent(Method::GET, "calendars").await;
    assert_eq!(list["calendars"], json!([]));
}

#[tokio::test]
async fn built_in_policies_and_tiers_that_are_taken_are_409_and_strange_ids_404() {
    let support = Support::open();
    support.promise().await;
    let none = policy(Value::Null);
    let (status, told) = support
        .put("sla-policies/built-in-free", none.clone())
        .await;
    assert_eq!(status, StatusCode::CONFLICT, "{told}");
    let (status, told) = support.put("sla-policies/silver", none.clone()).await;
    assert_eq!(status, StatusCode::CONFLICT, "{told}");
    assert!(
        told["type"].as_str().unwrap().ends_with("tier-taken"),
        "{told}"
    );
    let built_in = "sla-policies/built-in-free";
    let (status, found) = support.as_agent(Method::GET, built_in).await;
    assert_eq!((status, &found["built_in"]), (StatusCode::OK, &json!(true)));
    let removed = support.as_agent(Method::DELETE, built_in).await;
    assert_eq!(removed.0, StatusCode::CONFLICT);
    let long = "x".repeat(65);
    for id in ["silver", "UPPER", "a%00b", "-x", long.as_str()] {
        for list in ["sla-policies", "calendars"] {
            let path = format!("{list}/{id}");
            let (status, told) = support.as_agent(Method::GET, &path).await;
            assert_eq!(status, StatusCode::NOT_FOUND, "{path}: {told}");
        }
    }
    let page = support.as_agent(Method::GET, "calendars?page=2").await;
    assert_eq!(page.0, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn customers_have_policies_calendars_and_clocks_of_their_own() {
    let support = Support::open();
    support.promise().await;
    let made = support.create(ticket()).await;
    let scopes = ["--scope", "customer", "--scope", "agent"];
    let other = support.host.key("bolt", &scopes);
    let ask = async |method: Method, path: &str| {
        let request = support
            .host
            .request(method, &format!("/support/{path}"), &other);
        read(request.send().await.unwrap()).await
    };
    let sla = format!("tickets/{}/sla", id(&made));
    for path in ["calendars/always", "sla-policies/gold", sla.as_str()] {
        let (status, told) = ask(Method::GET, path).await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{path}: {told}");
    }
    for path in ["calendars/always", "sla-policies/gold"] {
        assert_eq!(ask(Method::DELETE, path).await.0, StatusCode::NOT_FOUND);
    }
    // Neither another's calendar nor its hold on a tier is in the way.
    let gold = "/support/sla-policies/gold";
    let put = async |body: Value| {
        let request = support.host.request(Method::PUT, gold, &other);
        read(send(request, body).await).await
    };
    let foreign = put(policy(json!("always"))).await;
    assert_eq!(foreign.0, StatusCode::UNPROCESSABLE_ENTITY, "{}", foreign.1);
    let own = put(policy(Value::Null)).await;
    assert_eq!(own.0, StatusCode::CREATED, "{}", own.1);
    let (_, calendars) = ask(Method::GET, "calendars").await;
    assert_eq!(calendars["calendars"], json!([]));
    let (_, kept) = support.as_agent(Method::GET, "sla-policies/gold").await;
    assert_eq!(kept["calendar_id"], "always");
    assert_eq!(support.sla(id(&made)).await["policy_id"], "gold");
}

#[tokio::test]
async fn a_customer_has_a_hundred_calendars_at_most() {
    let support = Support::open();
    let one = json!({"name": "n", "time_zone": "UTC", "hours": {"monday": super::whole_day()}});
    for number in 0..100 {
        let (status, told) = support
            .put(&format!("calendars/c{number}"), one.clone())
            .await;
        assert_eq!(status, StatusCode::CREATED, "{told}");
    }
    let (status, told) = support.put("calendars/more", one.clone()).await;
    assert_eq!(status, StatusCode::CONFLICT, "{told}");
    let (status, told) = support.put("calendars/c7", one).await;
    assert_eq!(status, StatusCode::OK, "one that is there: {told}");
}
