//! `make bench-forecast FILE=series.csv`: how good the forecasts of the packed plugin
//! are on series whose end was held out. Each goes through a real host as the
//! caller's own history.

mod measures;
mod naive2;
mod series;

use std::path::PathBuf;
use std::time::Instant;

use serde_json::{Value, json};

use self::measures::{Judged, Sums};
use self::series::Series;
use crate::harness::host::{Host, Setup};

/// The default and each single model.
const MODELS: [&str; 4] = ["combined", "seasonal_naive", "damped", "theta"];

/// The levels (percent) whose intervals are measured, and the quantiles at their ends.
const LEVELS: [(u32, f64, f64); 6] = [
    (50, 0.25, 0.75),
    (60, 0.2, 0.8),
    (70, 0.15, 0.85),
    (80, 0.1, 0.9),
    (90, 0.05, 0.95),
    (95, 0.025, 0.975),
];

/// The interval of each level.
type Intervals = [(f64, f64); LEVELS.len()];

/// One forecast: the amounts, and the intervals of each.
struct Forecast {
    means: Vec<f64>,
    intervals: Vec<Intervals>,
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a benchmark"]
async fn of_a_file() {
    let Some(file) = std::env::var_os("HEARTH_BENCH_FILE").map(PathBuf::from) else {
        println!("no series: make bench-forecast FILE=series.csv");
        return;
    };
    let text = std::fs::read_to_string(&file).unwrap_or_else(|error| {
        panic!("{} cannot be read: {error}", file.display());
    });
    let series = series::read(&text);
    let base = std::env::var("HEARTH_BENCH_BASE").ok();
    let base = base.as_deref().and_then(measures::base);
    let host = Setup::new().forecasting().start();
    let key = host.key("bench", &[]);
    let mut lines = vec![measures::header()];
    for model in MODELS {
        let (own, naive2) = of_model(&host, &key, model, &series).await;
        let base = base.unwrap_or(naive2.mean());
        if lines.len() == 1 {
            lines.push(naive2.line("naive2", &base));
        }
        lines.push(own.line(model, &base));
    }
    let base = base.map_or("Naive2 of the same series".into(), |base| {
        format!("{base:?}")
    });
    println!("\n{} series; OWA against {base}", series.len());
    println!("{}", lines.join("\n"));
}

/// A model, and Naive2 on the series that it could forecast.
async fn of_model(host: &Host, key: &str, model: &str, series: &[Series]) -> (Sums, Sums) {
    let (mut own, mut naive2) = (Sums::default(), Sums::default());
    let before = cpu(host).await;
    for series in series {
        let started = Instant::now();
        let answer = ask(host, key, model, series).await;
        let milliseconds = started.elapsed().as_secs_f64() * 1_000.0;
        match answer {
            Err(problem) => println!("line {}: {model}: {problem}", series.line),
            Ok(forecast) => {
                own.add(&Judged::of(series, &forecast).took(milliseconds));
                naive2.add(&Judged::of(series, &of_naive2(series)));
            }
        }
    }
    let after = cpu(host).await;
    (own.with_cpu(after.0 - before.0, after.1 - before.1), naive2)
}

fn of_naive2(series: &Series) -> Forecast {
    Forecast {
        means: naive2::forecast(&series.known(), series.held_out.len()),
        intervals: Vec::new(),
    }
}

/// The plugin's CPU seconds, and its calls, up to now.
async fn cpu(host: &Host) -> (f64, f64) {
    let labels = ["plugin=\"forecasting\""];
    let seconds = host.metric("hearth_guest_cpu_seconds_sum", &labels);
    let calls = host.metric("hearth_guest_cpu_seconds_count", &labels);
    (seconds.await, calls.await)
}

/// The forecast, or what the plugin says of a series that it cannot forecast.
async fn ask(host: &Host, key: &str, model: &str, series: &Series) -> Result<Forecast, String> {
    let quantiles = LEVELS.iter().flat_map(|(_, lower, upper)| [*lower, *upper]);
    let wish = json!({
        "history": series.history,
        "months": series.held_out.len(),
        "quantiles": quantiles.collect::<Vec<_>>(),
        "model": model,
    });
    let answer = host.post("/costs/forecast", key).json(&wish).send().await;
    let answer = answer.map_err(|error| error.to_string())?;
    let status = answer.status();
    let body: Value = answer.json().await.map_err(|error| error.to_string())?;
    if !status.is_success() {
        let why = if body["errors"].is_array() {
            "errors"
        } else {
            "detail"
        };
        return Err(format!("{}, {}", status.as_u16(), body[why]));
    }
    let months = body["forecast"].as_array().cloned().unwrap_or_default();
    let number = |value: &Value| value.as_f64().unwrap_or(f64::NAN);
    let quantile = |month: &Value, part: f64| number(&month["quantiles"][part.to_string()]);
    let intervals = |month: &Value| {
        LEVELS.map(|(_, lower, upper)| (quantile(month, lower), quantile(month, upper)))
    };
    Ok(Forecast {
        means: months.iter().map(|month| number(&month["mean"])).collect(),
        intervals: months.iter().map(intervals).collect(),
    })
}
