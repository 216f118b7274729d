//! Every GET of `/openapi.json` where a customer has little and where it has much, among a
//! thousand customers: `BENCH_ROWS` tickets and events, a tenth as many notifications. Two
//! hosts take turns, first with tables that were never analysed and then with analysed
//! ones. A host's own tables and what other plugins keep are the same on both.

mod asked;
mod given;

use std::time::Instant;

use reqwest::StatusCode;

use self::asked::{Asked, every_get};
use self::given::Given;
use super::frame::report::{self, GROWTH};
use super::frame::rounds::{Rounds, median};
use super::frame::row::{Bar, Question, Row};
use super::frame::settings;

/// What a customer has who has little.
const FEW: u64 = 1_000;
/// Requests of one turn, one after the other.
const REQUESTS: usize = 10;

const MUCH: usize = 0;
const LITTLE: usize = 1;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a benchmark"]
async fn of_tables_leaves_every_get_as_it_is() {
    let rows = settings::rows();
    let both = [Given::rows(rows).await, Given::rows(FEW).await];
    let gets = every_get(&both[LITTLE]).await;
    for state in ["never analysed", "analysed"] {
        if state == "analysed" {
            for given in &both {
                given.analyse().await;
            }
        }
        let mut measured = Vec::new();
        for asked in &gets {
            measured.push(one(&both, asked, state).await);
        }
        let hold = measured.iter().filter(|row| row.holds()).count();
        println!("{state}: {hold} of {} hold at {rows} rows", measured.len());
        report::keep(GROWTH, measured);
    }
}

async fn one(both: &[Given; 2], asked: &Asked, state: &str) -> Row {
    for given in both {
        p50_ms(given, asked).await;
    }
    let rounds = Rounds::take(2, async |side| p50_ms(&both[side], asked).await);
    let name = format!("{} ({state})", asked.name);
    let question = Question {
        name: &name,
        what: &name,
        unit: "ms",
        beside: "1,000 rows",
        bar: Bar::AtMost(2.0),
    };
    question.of_sides(&rounds.await, [MUCH, LITTLE], |p50: &f64| *p50)
}

/// Of a few requests. A stream is there with its head.
async fn p50_ms(given: &Given, asked: &Asked) -> f64 {
    let path = given.fill_in(&asked.path);
    let mut all = Vec::new();
    for _ in 0..REQUESTS {
        let began = Instant::now();
        let answer = given.host.get(&path, &given.agent).send().await.unwrap();
        let status = answer.status();
        let text = match asked.is_stream {
            true => String::new(),
            false => answer.text().await.unwrap(),
        };
        all.push(began.elapsed().as_secs_f64() * 1_000.0);
        assert_eq!(status, StatusCode::OK, "{path}: {text}");
    }
    median(all.into_iter())
}
