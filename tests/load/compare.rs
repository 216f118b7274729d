//! `hearth load --compare`: what it shows and when it fails.

use std::path::Path;

use hearth::cli::load::report::{Report, Summary};
use serde_json::Value;

use super::{Ended, load};

/// A report of 100 requests whose latencies are multiples of `us`.
fn report(succeeded: u64, us: u64) -> Report {
    let latency = Summary {
        mean: us as f64,
        min: us,
        p50: us,
        p95: 2 * us,
        p99: 3 * us,
        max: 4 * us,
    };
    Report {
        version: 1,
        started_at: "2026-01-01T00:00:00Z".into(),
        url: "http://127.0.0.1:8080/".into(),
        method: "POST".into(),
        path: "/".into(),
        concurrency: 10,
        expect: 200,
        timeout_ms: 1000,
        requests: 100,
        succeeded,
        success_percent: succeeded as f64,
        failures: Vec::new(),
        elapsed_ms: 1.0,
        requests_per_second: 100.0,
        latency_us: (succeeded > 0).then_some(latency),
        histogram: Vec::new(),
        deployments: Default::default(),
    }
}

fn write(dir: &Path, name: &str, report: &Report) -> String {
    let file = dir.join(name);
    std::fs::write(&file, serde_json::to_vec(report).unwrap()).unwrap();
    file.to_str().unwrap().into()
}

async fn compare(before: &Report, after: &Report, more: &[&str]) -> Ended {
    let dir = tempfile::tempdir().unwrap();
    let (before, after) = (
        write(dir.path(), "before", before),
        write(dir.path(), "after", after),
    );
    load(&[&["--compare", &before, &after], more].concat()).await
}

#[tokio::test]
async fn comparison_fails_only_past_the_threshold() {
    for (after, more, code) in [
        (report(100, 1000), &[][..], 0),
        (report(100, 1100), &[], 0),
        (report(100, 1101), &[], 1),
        (report(100, 1101), &["--threshold-percent", "20"], 0),
        (report(100, 1001), &["--threshold-percent", "0"], 1),
        (report(100, 500), &["--threshold-percent", "0"], 0),
        (report(99, 500), &["--threshold-percent", "50"], 1),
        (report(0, 1000), &[], 1),
    ] {
        let ended = compare(&report(100, 1000), &after, more).await;
        assert_eq!(ended.code, code, "{more:?}\n{}{}", ended.out, ended.told);
        assert_eq!(
            ended.told.contains("worse than before"),
            code == 1,
            "{}",
            ended.told
        );
    }
}

#[tokio::test]
async fn comparison_shows_each_figure_before_and_after() {
    let mut after = report(99, 1500);
    after.concurrency = 20;
    let ended = compare(&report(100, 1000), &after, &[]).await;
    let line = |name: &str| {
        let line = ended.out.lines().find(|line| line.starts_with(name));
        line.unwrap_or_else(|| panic!("{name}: {}", ended.out))
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ")
    };
    assert_eq!(
        line("success rate"),
        "success rate 100.0 % 99.0 % -1.0 % worse"
    );
    assert_eq!(line("mean"), "mean 1.00 ms 1.50 ms +50.0 % worse");
    assert_eq!(line("P50"), "P50 1.00 ms 1.50 ms +50.0 % worse");
    assert_eq!(line("P95"), "P95 2.00 ms 3.00 ms +50.0 % worse");
    assert_eq!(line("P99"), "P99 3.00 ms 4.50 ms +50.0 % worse");
    assert_eq!(line("requests/s"), "requests/s 100.0 100.0 +0.0 %");
    assert_eq!(
        line("the runs differ"),
        "the runs differ: concurrency 10 before, 20 after"
    );
}

#[tokio::test]
async fn comparison_is_json_where_asked_for() {
    let ended = compare(&report(100, 1000), &report(100, 2000), &["--json"]).await;
    let json: Value = serde_json::from_str(&ended.out).unwrap();
    assert_eq!((json["version"].as_u64(), ended.code), (Some(1), 1));
    let p95 = json["rows"]
        .as_array()
        .unwrap()
        .iter()
        .find(|row| row["name"] == "P95")
        .unwrap();
    assert_eq!(
        (p95["worse"].as_bool(), p95["change_percent"].as_f64()),
        (Some(true), Some(100.0))
    );
}

#[tokio::test]
async fn file_that_is_no_report_is_named_and_refused() {
    let dir = tempfile::tempdir().unwrap();
    let good = write(dir.path(), "good", &report(100, 1000));
    let other_version = write(
        dir.path(),
        "other",
        &Report {
            version: 2,
            ..report(100, 1000)
        },
    );
    let impossible = write(dir.path(), "impossible", &report(101, 1000));
    let text = dir.path().join("text").to_str().unwrap().to_string();
    std::fs::write(&text, "{\"version\": 1, \"hello\": 2}").unwrap();
    let missing = dir.path().join("missing").to_str().unwrap().to_string();
    for bad in [&other_version, &impossible, &text, &missing] {
        for files in [[&good, bad], [bad, &good]] {
            let ended = load(&["--compare", files[0], files[1]]).await;
            assert_eq!((ended.code, ended.out.as_str()), (64, ""), "{bad}");
            assert!(
                ended
                    .told
                    .contains(&format!("{bad} is not a report of `hearth load`")),
                "{}",
                ended.told
            );
        }
    }
}
