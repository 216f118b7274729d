//! Reading tickets while their plugin is swapped ten times a second.

use std::time::Duration;

use hearth::plugin::package::pack;
use reqwest::Method;
use tokio::time::{MissedTickBehavior, interval};

use super::frame::report::{self, BENCH};
use super::frame::rounds::Rounds;
use super::frame::row::{Bar, Question};
use super::frame::wrk::{Target, WrkResult};
use super::hosts;
use crate::harness::fleet::Fleet;
use crate::harness::host::{Host, plugin};
use crate::swap::{admin, result, tickets_parts};

const SWAPPING: usize = 0;
const STEADY: usize = 1;

const EACH: Duration = Duration::from_millis(100);

const QUESTION: Question = Question {
    name: "swap-p99",
    what: "ticket read while the plugin is swapped ten times a second against steady, p99",
    unit: "ms",
    beside: "steady",
    bar: Bar::AtMost(1.5),
};

/// Swaps until it is dropped.
async fn swap(host: &Host, swaps: &mut usize) {
    let mut ticks = interval(EACH);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    loop {
        ticks.tick().await;
        let path = format!("/plugins/tickets/rollback?to={}", 1 + *swaps % 2);
        let swapped = result(admin(host, Method::POST, &path)).await;
        assert_eq!(swapped["result"], "serving", "{swapped}");
        *swaps += 1;
    }
}

async fn while_swapping(host: &Host, target: &Target) -> WrkResult {
    let mut swaps = 0;
    let load = tokio::select! {
        load = target.turn() => load,
        () = swap(host, &mut swaps) => unreachable!("it goes on"),
    };
    println!("{swaps} swaps in a turn");
    load
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a benchmark"]
async fn of_tickets_ten_times_a_second() {
    let fleet = Fleet::start().await;
    let host = fleet.host(|setup| setup.tickets());
    let (key, agent) = (host.key("acme", &[]), hosts::agent(&host, "acme"));
    let component = std::fs::read(plugin("tickets")).unwrap();
    let second = pack(&component, &tickets_parts("0.2.0")).unwrap();
    let deployed = result(admin(&host, Method::POST, "/deployments").body(second)).await;
    assert_eq!(deployed["label"], "tickets@2", "{deployed}");
    let ids = hosts::tickets(&host, &agent, 100).await;
    let paths: Vec<String> = ids
        .iter()
        .map(|id| format!("/support/tickets/{id}"))
        .collect();
    let target = Target::get_each(&host.url, &paths, &key);
    target.load(1).await;
    let rounds = Rounds::take(2, async |side| match side {
        SWAPPING => while_swapping(&host, &target).await,
        _ => target.turn().await,
    });
    let p99_ms = |load: &WrkResult| load.p99_us / 1_000.0;
    let row = QUESTION.of_sides(&rounds.await, [SWAPPING, STEADY], p99_ms);
    report::keep(BENCH, vec![row]);
}
