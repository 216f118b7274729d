//! Every GET of `/openapi.json` where a customer has little and where it has much, among a
//! thousand customers: `BENCH_ROWS` tickets and events, a tenth as many notifications. Two
//! hosts take turns, first with tables that were never analysed and then with analysed
//! ones. A host's own tables and what other plugins keep are the same on both.

mod dataset;
mod gets;

use std::time::Instant;

use reqwest::StatusCode;

use self::dataset::Dataset;
use self::gets::{Get, every_get};
use super::frame::report::{self, GROWTH};
use super::frame::rounds::{Rounds, median};
use super::frame::row::{Bar, Measurement, Question};
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
    let both = [Dataset::rows(rows).await, Dataset::rows(FEW).await];
    let gets = every_get(&both[LITTLE]).await;
    for state in ["never analysed", "analysed"] {
        if state == "analysed" {
            for dataset in &both {
                dataset.analyse().await;
            }
        }
        let mut measured = Vec::new();
        for get in &gets {
            measured.push(one(&both, get, state).await);
        }
        let hold = measured.iter().filter(|row| row.holds()).count();
        println!("{state}: {hold} of {} hold at {rows} rows", measured.len());
        report::keep(GROWTH, measured);
    }
}

async fn one(both: &[Dataset; 2], get: &Get, state: &str) -> Measurement {
    for dataset in both {
        p50_ms(dataset, get).await;
    }
    let rounds = Rounds::take(2, async |side| p50_ms(&both[side], get).await);
    let name = format!("{} ({state})", get.name);
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
async fn p50_ms(dataset: &Dataset, get: &Get) -> f64 {
    let path = dataset.fill_in(&get.path);
    let mut all = Vec::new();
    for _ in 0..REQUESTS {
        let began = Instant::now();
        let answer = dataset
            .host
            .get(&path, &dataset.agent)
            .send()
            .await
            .unwrap();
        let status = answer.status();
        let text = match get.is_stream {
            true => String::new(),
            false => answer.text().await.unwrap(),
        };
        all.push(began.elapsed().as_secs_f64() * 1_000.0);
        assert_eq!(status, StatusCode::OK, "{path}: {text}");
    }
    median(all.into_iter())
}
