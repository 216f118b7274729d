//! The report for people.

use std::io::{self, Write};

use super::report::{Bucket, Report, Summary};

/// The longest bar, in characters.
const BAR: u64 = 40;

/// Prints a report.
pub fn write(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    let Report {
        method,
        url,
        path,
        requests,
        concurrency,
        ..
    } = report;
    let url = url.trim_end_matches('/');
    writeln!(
        out,
        "{method} {url}{path}: {requests} requests, {concurrency} at once\n"
    )?;
    write_counts(report, out)?;
    if let Some(latency) = &report.latency_us {
        write_latency(latency, out)?;
        write_histogram(&report.histogram, out)?;
    }
    if !report.deployments.is_empty() {
        writeln!(out, "\nanswered by")?;
    }
    for (deployment, count) in &report.deployments {
        writeln!(out, "  {deployment}  {count}")?;
    }
    Ok(())
}

fn write_counts(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "succeeded     {}", report.succeeded)?;
    writeln!(
        out,
        "success rate  {}",
        rate(report.succeeded, report.requests)
    )?;
    writeln!(out, "failed        {}", report.requests - report.succeeded)?;
    for failed in &report.failures {
        let first = failed
            .first
            .as_ref()
            .map(|first| format!("  ({})", printable(first)));
        writeln!(
            out,
            "  {:<12}{}{}",
            failed.kind,
            failed.count,
            first.unwrap_or_default()
        )?;
    }
    writeln!(
        out,
        "elapsed       {}",
        duration(report.elapsed_ms * 1000.0)
    )?;
    writeln!(out, "requests/s    {:.1}", report.requests_per_second)
}

fn write_latency(latency: &Summary, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "\nlatency of the requests that succeeded")?;
    writeln!(out, "  mean  {}", duration(latency.mean))?;
    let rest = [
        ("P50", latency.p50),
        ("P95", latency.p95),
        ("P99", latency.p99),
        ("max", latency.max),
    ];
    for (name, us) in rest {
        writeln!(out, "  {name}   {}", duration(us as f64))?;
    }
    Ok(())
}

fn write_histogram(buckets: &[Bucket], out: &mut dyn Write) -> io::Result<()> {
    let largest = buckets.iter().map(|bucket| bucket.count).max().unwrap_or(0);
    let digits = largest.to_string().len();
    writeln!(out)?;
    for bucket in buckets {
        let (from, to) = (
            duration(bucket.from_us as f64),
            duration(bucket.to_us as f64),
        );
        let line = format!(
            "  {from:>7} to {to:>7}  {:>digits$}  {}",
            bucket.count,
            bar(bucket.count, largest)
        );
        writeln!(out, "{}", line.trim_end())?;
    }
    Ok(())
}

/// A bar as long as the count's share of the largest; whatever is there at all
/// is seen.
fn bar(count: u64, largest: u64) -> String {
    let length = count.saturating_mul(BAR).div_ceil(largest.max(1));
    "#".repeat(usize::try_from(length).unwrap_or(0))
}

/// With one decimal, never rounded up: `100.0 %` means all of them.
pub fn rate(succeeded: u64, of: u64) -> String {
    let tenths = u128::from(succeeded) * 1000 / u128::from(of.max(1));
    format!("{}.{} %", tenths / 10, tenths % 10)
}

/// Microseconds, with three digits and the unit that fits.
pub fn duration(us: f64) -> String {
    let (value, unit) = match us {
        _ if us < 999.5 => (us, "us"),
        _ if us < 999_500.0 => (us / 1_000.0, "ms"),
        _ => (us / 1_000_000.0, "s"),
    };
    let decimals = match value {
        _ if unit == "us" || value >= 99.95 => 0,
        _ if value >= 9.995 => 1,
        _ => 2,
    };
    format!("{value:.decimals$} {unit}")
}

/// What came from elsewhere must not drive the terminal.
pub fn printable(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rate_is_a_hundred_only_when_all_succeeded() {
        let shown = [
            (100, 100),
            (999_999, 1_000_000),
            (1, 3),
            (0, 7),
            (1, 1_000_000),
        ]
        .map(|(ok, of)| rate(ok, of));
        assert_eq!(shown, ["100.0 %", "99.9 %", "33.3 %", "0.0 %", "0.0 %"]);
    }

    #[test]
    fn durations_have_three_digits_and_a_fitting_unit() {
        let shown = [
            0.0,
            870.4,
            999.6,
            1_234.0,
            45_678.0,
            123_456.0,
            999_600.0,
            12_345_678.0,
        ]
        .map(duration);
        assert_eq!(
            shown,
            [
                "0 us", "870 us", "1.00 ms", "1.23 ms", "45.7 ms", "123 ms", "1.00 s", "12.3 s"
            ]
        );
    }

    #[test]
    fn rare_bucket_has_a_bar_and_an_empty_one_has_none() {
        assert_eq!(
            (bar(0, 1_000_000), bar(1, 1_000_000)),
            (String::new(), "#".into())
        );
        assert_eq!(bar(5, 5).len(), 40);
        assert_eq!(bar(0, 0), "");
    }

    #[test]
    fn control_characters_are_not_printed() {
        assert_eq!(printable("a\u{1b}[2Jb"), "a[2Jb");
    }
}
