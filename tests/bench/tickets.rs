//! Making tickets: against the function that Hearth replaces, against the same work by
//! hand, against what Postgres takes at all, and for as long as one likes.

use std::time::{Duration, Instant};

use super::frame::report::{self, BENCH};
use super::frame::rounds::Rounds;
use super::frame::row::{Bar, Question};
use super::frame::settings;
use super::frame::wrk::{Target, WrkResult};
use super::hosts::{EventCounts, TICKET, everything, until_consumed};
use super::peers::{native, pgbench, python};
use crate::harness::fleet::Fleet;
use crate::harness::host::Host;

const OURS: usize = 0;
const PYTHON: usize = 1;
const NATIVE: usize = 2;
const PGBENCH: usize = 3;

const AGAINST_PYTHON: Question = Question {
    name: "create-python",
    what: "ticket create, its events consumed, against the Python handler with audit and two outbox rows",
    unit: "req/s",
    beside: "Python",
    bar: Bar::AtLeast(1.0),
};

const AGAINST_NATIVE: Question = Question {
    name: "create-native",
    what: "ticket create, its events consumed, against the same rows by hand",
    unit: "req/s",
    beside: "native",
    bar: Bar::AtLeast(0.6),
};

const AGAINST_PGBENCH: Question = Question {
    name: "create-pgbench",
    what: "ticket create, its events consumed, against pgbench's four rows (an aim)",
    unit: "req/s",
    beside: "pgbench",
    bar: Bar::AtLeast(0.5),
};

const SUSTAINED: Question = Question {
    name: "create-sustained",
    what: "events consumed while tickets are made without a pause, against events told",
    unit: "events/s",
    beside: "told",
    bar: Bar::AtLeast(0.98),
};

fn create(host: &Host, key: &str) -> Target {
    Target::post(&host.url, "/support/tickets/create", key, TICKET)
}

/// Whatever ours told is consumed before the next side has its turn: no other one pays
/// for it. That it is consumed while tickets are made is the question of the second
/// benchmark.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a benchmark"]
async fn made_beside_python_native_and_pgbench() {
    let fleet = Fleet::start().await;
    let host = fleet.host(everything);
    let key = host.key("acme", &[]);
    let guide = python::database(&fleet.cluster).await;
    let python = python::serve("handler", &guide);
    let by_hand = native::database(&fleet.cluster).await;
    let native = native::serve(Some(&by_hand));
    let targets = [
        create(&host, &key),
        Target::post(&python.url, "/", "", TICKET),
        Target::post(&native.url, "/tickets", "", TICKET),
    ];
    for target in &targets {
        target.load(1).await;
    }
    native::analyse(&fleet.cluster).await;
    until_consumed(&host).await;
    let rounds = Rounds::take(1 + PGBENCH, async |side| match targets.get(side) {
        Some(target) => {
            let load = target.turn().await;
            until_consumed(&host).await;
            load
        }
        None => pgbench::turn(&guide).await,
    });
    let (rounds, rate) = (rounds.await, |load: &WrkResult| load.rate);
    let rows = [
        AGAINST_PYTHON.of_sides(&rounds, [OURS, PYTHON], rate),
        AGAINST_NATIVE.of_sides(&rounds, [OURS, NATIVE], rate),
        AGAINST_PGBENCH.of_sides(&rounds, [OURS, PGBENCH], rate),
    ];
    report::keep(BENCH, rows.into());
}

/// How often one looks how many events wait.
const LOOK: Duration = Duration::from_secs(5);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a benchmark"]
async fn made_without_a_pause_while_their_events_are_consumed() {
    let fleet = Fleet::start().await;
    let host = fleet.host(everything);
    let target = create(&host, &host.key("acme", &[]));
    let (mut most, began) = (0.0_f64, Instant::now());
    let load = {
        let mut load = std::pin::pin!(target.load(settings::sustained_seconds()));
        loop {
            tokio::select! {
                load = &mut load => break load,
                () = tokio::time::sleep(LOOK) => {
                    most = most.max(EventCounts::of(&host).await.waiting());
                }
            }
        }
    };
    let (events, seconds) = (EventCounts::of(&host).await, began.elapsed().as_secs_f64());
    println!(
        "{:.0} tickets a second for {seconds:.0} s, p99 {:.1} ms; at most {most:.0} events waited",
        load.rate,
        load.p99_us / 1_000.0
    );
    let row = SUSTAINED.of_two(events.done / seconds, events.told / seconds);
    report::keep(BENCH, vec![row]);
}
