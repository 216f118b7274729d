//! What a guest costs: the trivial one against `wasmtime serve` with its like, against
//! the host's own answer, and that one against hyper alone.

use super::frame::report::{self, BENCH};
use super::frame::rounds::Rounds;
use super::frame::row::{Bar, Question};
use super::frame::wrk::{Target, WrkResult};
use super::hosts::trivial;
use super::peers::{native, wasmtime};
use crate::harness::fleet::Fleet;
use crate::openapi::seed;

const FRESH: usize = 0;
const REUSED: usize = 1;
const HEALTH: usize = 2;
const FORECAST: usize = 3;
const WASMTIME_FRESH: usize = 4;
const WASMTIME_REUSED: usize = 5;
const HYPER: usize = 6;

/// What is asked of whom, and whom it is held against.
const QUESTIONS: [(Question, [usize; 2]); 5] = [
    (
        question(
            "guest-fresh",
            "trivial guest, a fresh instance each",
            "wasmtime serve",
            1.2,
        ),
        [FRESH, WASMTIME_FRESH],
    ),
    (
        question(
            "guest-reused",
            "trivial guest, instances reused",
            "wasmtime serve",
            1.2,
        ),
        [REUSED, WASMTIME_REUSED],
    ),
    (
        question("healthz", "/healthz against hyper alone", "native", 0.8),
        [HEALTH, HYPER],
    ),
    (
        question(
            "guest-healthz",
            "trivial reused guest against /healthz",
            "/healthz",
            0.8,
        ),
        [REUSED, HEALTH],
    ),
    (
        question(
            "forecast-hit",
            "forecast that is cached, against the trivial reused guest",
            "trivial",
            0.5,
        ),
        [FORECAST, REUSED],
    ),
];

const fn question(
    name: &'static str,
    what: &'static str,
    beside: &'static str,
    least: f64,
) -> Question<'static> {
    Question {
        name,
        what,
        unit: "req/s",
        beside,
        bar: Bar::AtLeast(least),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a benchmark"]
async fn trivial_one_beside_wasmtime_serve_and_no_guest_at_all() {
    let (fleet, folder) = (Fleet::start().await, tempfile::tempdir().unwrap());
    let file = folder.path().join("reused.wasm");
    let reused = trivial("reused", "0.1.0", "[instances]\nreuse = \"serial\"\n");
    std::fs::write(&file, reused).unwrap();
    let host = fleet.host(|setup| {
        let setup = setup.guest("echo", &[], "").forecasting();
        setup.plugin("reused", &file, &[], "")
    });
    let key = host.key("acme", &[]);
    seed::costs(&host, &key).await;
    let compiled = wasmtime::compiled(folder.path());
    let (fresh, reused) = (
        wasmtime::serve(&compiled, false),
        wasmtime::serve(&compiled, true),
    );
    let hyper = native::serve(None);
    let targets = [
        Target::get(&host.url, "/echo", &key),
        Target::get(&host.url, "/reused", &key),
        Target::get(&host.url, "/healthz", ""),
        Target::get(&host.url, "/costs/forecast?months=12", &key),
        Target::get(&fresh.url, "/echo", ""),
        Target::get(&reused.url, "/echo", ""),
        Target::get(&hyper.url, "/healthz", ""),
    ];
    for target in &targets {
        target.load(1).await;
    }
    let rounds = Rounds::take(targets.len(), async |side| targets[side].turn().await).await;
    let rows = QUESTIONS
        .iter()
        .map(|(question, sides)| question.of_sides(&rounds, *sides, |load: &WrkResult| load.rate));
    report::keep(BENCH, rows.collect());
}
