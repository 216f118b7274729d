//! Reading tickets: against the same by hand, against the Python function, and while the
//! events of a burst are consumed.

use serde_json::Value;
use tokio_postgres::NoTls;

use super::frame::report::{self, BENCH};
use super::frame::rounds::Rounds;
use super::frame::row::{Bar, Question};
use super::frame::wrk::{Target, WrkResult};
use super::hosts::{self, EventCounts, TICKET, everything, until_consumed};
use super::peers::{native, python};
use crate::harness::fleet::Fleet;

/// Tickets that are read in turn.
const TICKETS: usize = 100;
/// Tickets of a burst: two events each.
const BURST: usize = 5_000;

const OURS: usize = 0;
const NATIVE: usize = 1;
const PYTHON: usize = 2;

const AGAINST_NATIVE: Question = Question {
    name: "read-native",
    what: "ticket read against the same by hand",
    unit: "req/s",
    beside: "native",
    bar: Bar::AtLeast(0.7),
};

const LATENCY: Question = Question {
    name: "read-native-p99",
    what: "ticket read against the same by hand, p99",
    unit: "ms",
    beside: "native",
    bar: Bar::AtMost(1.5),
};

const AGAINST_PYTHON: Question = Question {
    name: "read-python",
    what: "ticket read against the Python handler",
    unit: "req/s",
    beside: "Python",
    bar: Bar::AtLeast(3.0),
};

const WHILE_CONSUMED: Question = Question {
    name: "read-consumed-p99",
    what: "ticket read while 10,000 events are consumed against steady, p99",
    unit: "ms",
    beside: "steady",
    bar: Bar::AtMost(3.0),
};

fn p99_ms(load: &WrkResult) -> f64 {
    load.p99_us / 1_000.0
}

fn paths(before: &str, ids: &[String]) -> Vec<String> {
    ids.iter().map(|id| format!("{before}/{id}")).collect()
}

/// Tickets in the guide's table.
async fn in_guide(database: &str) -> Vec<String> {
    let (client, connection) = tokio_postgres::connect(database, NoTls).await.unwrap();
    tokio::spawn(connection);
    let insert = "INSERT INTO tickets (id, customer_id, subject, description, priority, status) \
        SELECT 'tkt_' || gen_random_uuid(), 'c1', 'Test', 'Load test', 'medium', 'new' \
        FROM generate_series(1, $1) RETURNING id";
    let count = i32::try_from(TICKETS).unwrap();
    let rows = client.query(insert, &[&count]).await.unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

async fn by_hand(url: &str) -> Vec<String> {
    let (client, mut ids) = (reqwest::Client::new(), Vec::new());
    for _ in 0..TICKETS {
        let answer = client.post(format!("{url}/tickets")).body(TICKET).send();
        let made: Value = answer.await.unwrap().json().await.unwrap();
        ids.push(made["id"].as_str().unwrap().to_string());
    }
    ids
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a benchmark"]
async fn one_beside_native_and_python() {
    let fleet = Fleet::start().await;
    let host = fleet.host(everything);
    let (key, agent) = (host.key("acme", &[]), hosts::agent(&host, "acme"));
    let ours = hosts::tickets(&host, &agent, TICKETS).await;
    let native = native::serve(Some(&native::database(&fleet.cluster).await));
    let theirs = by_hand(&native.url).await;
    let guide = python::database(&fleet.cluster).await;
    let python = python::serve("reader", &guide);
    let of_guide = in_guide(&guide).await;
    let targets = [
        Target::get_each(&host.url, &paths("/support/tickets", &ours), &key),
        Target::get_each(&native.url, &paths("/tickets", &theirs), ""),
        Target::get_each(&python.url, &paths("", &of_guide), ""),
    ];
    for target in &targets {
        target.load(1).await;
    }
    native::analyse(&fleet.cluster).await;
    until_consumed(&host).await;
    let rounds = Rounds::take(targets.len(), async |side| targets[side].turn().await).await;
    let rate = |load: &WrkResult| load.rate;
    let rows = [
        AGAINST_NATIVE.of_sides(&rounds, [OURS, NATIVE], rate),
        LATENCY.of_sides(&rounds, [OURS, NATIVE], p99_ms),
        AGAINST_PYTHON.of_sides(&rounds, [OURS, PYTHON], rate),
    ];
    report::keep(BENCH, rows.into());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a benchmark"]
async fn one_while_the_events_of_a_burst_are_consumed() {
    const WITH_BURST: usize = 0;
    const STEADY: usize = 1;
    let fleet = Fleet::start().await;
    let host = fleet.host(everything);
    let (key, agent) = (host.key("acme", &[]), hosts::agent(&host, "acme"));
    let ids = hosts::tickets(&host, &agent, TICKETS).await;
    let target = Target::get_each(&host.url, &paths("/support/tickets", &ids), &key);
    target.load(1).await;
    until_consumed(&host).await;
    let rounds = Rounds::take(2, async |side| {
        if side == STEADY {
            return target.turn().await;
        }
        hosts::tickets(&host, &agent, BURST).await;
        let before = EventCounts::of(&host).await;
        let load = target.turn().await;
        let after = EventCounts::of(&host).await;
        println!(
            "{:.0} events waited when the reads began, {:.0} when they ended",
            before.waiting(),
            after.waiting()
        );
        until_consumed(&host).await;
        load
    });
    let row = WHILE_CONSUMED.of_sides(&rounds.await, [WITH_BURST, STEADY], p99_ms);
    report::keep(BENCH, vec![row]);
}
