//! `hearth load --compare`: what changed between two reports, and whether it got
//! worse.

use std::io::Write;
use std::process::ExitCode;

use serde::Serialize;

use super::report::{Report, Summary};
use super::text;

/// The version of the JSON that `--compare --json` prints.
const VERSION: u32 = 1;

/// What a number of a row stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    Percent,
    Microseconds,
    PerSecond,
}

/// One figure, before and after.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Figure {
    pub name: &'static str,
    pub unit: Unit,
    /// Nothing where no request succeeded.
    pub before: Option<f64>,
    pub after: Option<f64>,
    /// Nothing where there is no share to tell, as when it was 0 before.
    pub change_percent: Option<f64>,
    /// Worse by more than is allowed.
    pub worse: bool,
}

/// Two reports, figure by figure.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Comparison {
    pub version: u32,
    pub threshold_percent: f64,
    pub rows: Vec<Figure>,
    /// In what the two runs differ, so that figures may not tell what they seem
    /// to.
    pub differences: Vec<String>,
}

/// Prints what changed on `out`; the exit code is 1 where something is worse.
pub fn run(
    before: &Report,
    after: &Report,
    threshold_percent: f64,
    json: bool,
    out: &mut dyn Write,
) -> anyhow::Result<ExitCode> {
    let comparison = Comparison::new(before, after, threshold_percent);
    match json {
        true => writeln!(out, "{}", serde_json::to_string_pretty(&comparison)?)?,
        false => comparison.write(before, after, out)?,
    }
    out.flush()?;
    let worse = comparison.worse();
    if worse.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    eprintln!(
        "hearth: worse than before (threshold {threshold_percent} %): {}",
        worse.join(", ")
    );
    Ok(ExitCode::FAILURE)
}

impl Comparison {
    /// A latency is worse if it grew by more than the threshold, the success
    /// rate if it fell at all. Requests per second follow from latency,
    /// concurrency and the number of requests, so they are shown and not judged.
    pub fn new(before: &Report, after: &Report, threshold_percent: f64) -> Comparison {
        let latency = |name, of: fn(&Summary) -> f64| {
            let [before, after] = [before, after].map(|report| report.latency_us.as_ref().map(of));
            let grew = before
                .zip(after)
                .is_some_and(|(before, after)| exceeds(before, after, threshold_percent));
            row(name, Unit::Microseconds, before, after, grew)
        };
        let rows = vec![
            success(before, after),
            latency("mean", |latency| latency.mean),
            latency("P50", |latency| latency.p50 as f64),
            latency("P95", |latency| latency.p95 as f64),
            latency("P99", |latency| latency.p99 as f64),
            row(
                "requests/s",
                Unit::PerSecond,
                Some(before.requests_per_second),
                Some(after.requests_per_second),
                false,
            ),
        ];
        Comparison {
            version: VERSION,
            threshold_percent,
            rows,
            differences: differences(before, after),
        }
    }

    /// The names of what got worse.
    pub fn worse(&self) -> Vec<&'static str> {
        self.rows
            .iter()
            .filter(|row| row.worse)
            .map(|row| row.name)
            .collect()
    }

    fn write(&self, before: &Report, after: &Report, out: &mut dyn Write) -> std::io::Result<()> {
        for difference in &self.differences {
            writeln!(out, "the runs differ: {difference}")?;
        }
        writeln!(
            out,
            "{:<14}{:>12}{:>12}{:>12}",
            "", "before", "after", "change"
        )?;
        for row in &self.rows {
            let [was, is] = [(before, row.before), (after, row.after)]
                .map(|(report, value)| shown(row, report, value));
            let change = row
                .change_percent
                .map_or("-".into(), |change| format!("{change:+.1} %"));
            let worse = if row.worse { "  worse" } else { "" };
            writeln!(out, "{:<14}{was:>12}{is:>12}{change:>12}{worse}", row.name)?;
        }
        Ok(())
    }
}

fn success(before: &Report, after: &Report) -> Figure {
    let percent = |report: &Report| Some(report.succeeded as f64 / report.requests as f64 * 100.0);
    // As integers: one request in a million is a drop, too.
    let share = |of: &Report, other: &Report| u128::from(of.succeeded) * u128::from(other.requests);
    let fell = share(after, before) < share(before, after);
    row(
        "success rate",
        Unit::Percent,
        percent(before),
        percent(after),
        fell,
    )
}

fn row(
    name: &'static str,
    unit: Unit,
    before: Option<f64>,
    after: Option<f64>,
    worse: bool,
) -> Figure {
    let change_percent = before
        .zip(after)
        .and_then(|(before, after)| change(before, after));
    Figure {
        name,
        unit,
        before,
        after,
        change_percent,
        worse,
    }
}

fn change(before: f64, after: f64) -> Option<f64> {
    match before {
        0.0 if after == 0.0 => Some(0.0),
        0.0 => None,
        _ => Some((after - before) / before * 100.0),
    }
}

/// Multiplied out, so that exactly the threshold is not past it.
fn exceeds(before: f64, after: f64, threshold_percent: f64) -> bool {
    after * 100.0 > before * (100.0 + threshold_percent)
}

fn shown(row: &Figure, report: &Report, value: Option<f64>) -> String {
    match (row.unit, value) {
        (Unit::Percent, _) => text::rate(report.succeeded, report.requests),
        (Unit::Microseconds, Some(us)) => text::duration(us),
        (Unit::PerSecond, Some(rate)) => format!("{rate:.1}"),
        (_, None) => "-".into(),
    }
}

fn differences(before: &Report, after: &Report) -> Vec<String> {
    let asked = |report: &Report| {
        let Report {
            method,
            path,
            requests,
            concurrency,
            expect,
            ..
        } = report;
        [
            ("request", text::printable(&format!("{method} {path}"))),
            ("requests", requests.to_string()),
            ("concurrency", concurrency.to_string()),
            ("expected status", expect.to_string()),
        ]
    };
    let pairs = asked(before).into_iter().zip(asked(after));
    let differing = pairs.filter(|((_, before), (_, after))| before != after);
    differing
        .map(|((name, before), (_, after))| format!("{name} {before} before, {after} after"))
        .collect()
}
