//! The report of a run, as JSON and as what `--compare` reads again.
//!
//! Times are in microseconds where a name ends in `_us`. A reader may rely on
//! every field of a version; fields can be added without a new one.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

pub use super::latency::{Bucket, Summary};
use super::tally::LoadCounts;
use super::{Args, UsageError, read_bounded};

/// The version of the format that is written, and the only one that is read.
pub const VERSION: u32 = 1;

/// A report has at most a thousand deployments and some fifty buckets.
const REPORT_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// One run of `hearth load`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    pub version: u32,
    /// RFC 3339, UTC.
    pub started_at: String,
    pub url: String,
    pub method: String,
    pub path: String,
    pub concurrency: u32,
    /// The status that counts as success.
    pub expect: u16,
    pub timeout_ms: u64,
    pub requests: u64,
    pub succeeded: u64,
    /// 100 only if every request succeeded.
    pub success_percent: f64,
    pub failures: Vec<Failed>,
    pub elapsed_ms: f64,
    /// Of all requests, also those that failed.
    pub requests_per_second: f64,
    /// Of the requests that succeeded; nothing where none did.
    pub latency_us: Option<Summary>,
    /// Of the same requests, from the fastest to the slowest.
    pub histogram: Vec<Bucket>,
    /// How many answers each deployment gave, by `Hearth-Plugin`.
    pub deployments: BTreeMap<String, u64>,
}

/// Requests that failed in the same way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failed {
    /// `status 500`, `connect`, `timeout`, `reset` or `protocol`.
    pub kind: String,
    pub count: u64,
    /// What the system said of the first of them, where it said anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first: Option<String>,
}

/// What tells whether the rest of a file can be understood at all.
#[derive(Deserialize)]
struct Head {
    version: u32,
}

impl Report {
    pub(super) fn new(args: &Args, started_at: jiff::Timestamp, tally: &LoadCounts) -> Report {
        let seconds = tally.elapsed.as_secs_f64();
        Report {
            version: VERSION,
            started_at: started_at.to_string(),
            url: args.url.to_string(),
            method: args.method.to_string(),
            path: args.path.to_string(),
            concurrency: args.concurrency,
            expect: args.expect,
            timeout_ms: args.timeout_ms,
            requests: args.requests,
            succeeded: tally.succeeded,
            success_percent: success_percent(tally.succeeded, args.requests),
            failures: failures(tally),
            elapsed_ms: (seconds * 1_000_000.0).round() / 1000.0,
            requests_per_second: if seconds > 0.0 {
                (tally.done as f64 / seconds * 1000.0).round() / 1000.0
            } else {
                0.0
            },
            latency_us: tally.latencies.summary(),
            histogram: tally.latencies.buckets(),
            deployments: tally.deployments.clone(),
        }
    }

    /// Reads a file that `--out` wrote.
    pub fn read(path: &Path) -> Result<Report, UsageError> {
        let refused = |why: String| UsageError::NotAReport {
            path: path.into(),
            why,
        };
        let bytes =
            read_bounded(path, REPORT_BYTES_MAX).map_err(|error| refused(error.to_string()))?;
        Report::parse(&bytes).map_err(refused)
    }

    /// Says why bytes are no report, in words for whoever named the file.
    pub fn parse(bytes: &[u8]) -> Result<Report, String> {
        let head: Head = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
        if head.version != VERSION {
            return Err(format!(
                "its version {} is unsupported: this hearth reads version {VERSION}",
                head.version
            ));
        }
        let report: Report = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
        if report.requests == 0 || report.succeeded > report.requests {
            return Err(format!(
                "{} of {} requests cannot have succeeded",
                report.succeeded, report.requests
            ));
        }
        Ok(report)
    }
}

/// Rounded down, so that 100 means all of them. Few digits are kept, for a reader
/// of JSON need not bring back all that a float can have.
fn success_percent(succeeded: u64, requests: u64) -> f64 {
    (succeeded as f64 / requests as f64 * 100.0 * 1e6).floor() / 1e6
}

fn failures(tally: &LoadCounts) -> Vec<Failed> {
    let failed = tally.failures.iter().map(|(kind, failed)| Failed {
        kind: kind.to_string(),
        count: failed.count,
        first: failed.first.clone(),
    });
    failed.collect()
}
