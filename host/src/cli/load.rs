//! `hearth load`: many requests at once against a running host, and how long
//! they took. By default it does what the guide's load test did: 100 tickets
//! created by 100 clients at the same time.
//!
//! ```text
//! hearth load --key "$KEY" --out before.json
//! hearth load --key "$KEY" --out after.json --requests 10000
//! hearth load --compare before.json after.json
//! ```
//!
//! Every client has a connection of its own, keeps it alive and sends its next
//! request when the last answer is whole. A slow host is therefore asked less
//! often: latencies under a fixed rate of arrivals can be worse than these.

pub mod compare;
mod drive;
mod latency;
mod open_files;
mod plan;
mod progress;
pub mod report;
mod tally;
mod target;
mod text;

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::builder::{PossibleValuesParser, TypedValueParser as _};
use clap::value_parser;
use http::uri::PathAndQuery;
use http::{HeaderValue, Method, Uri};

use self::plan::Plan;
use self::progress::Progress;
use self::report::Report;

/// EX_USAGE of sysexits(3): what was asked for cannot be done as it was asked.
const USAGE: u8 = 64;

const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

/// Sends many requests at once to a running host and tells how long they took.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Where the host listens: scheme, name and port.
    #[arg(long, default_value = "http://127.0.0.1:8080", value_name = "URL")]
    pub url: Uri,
    /// Sent as X-API-Key.
    #[arg(long, env = "HEARTH_API_KEY", hide_env_values = true, value_parser = key)]
    pub key: Option<HeaderValue>,
    /// How many requests are sent, at most 1,000,000.
    #[arg(long, default_value_t = 100, value_name = "N", value_parser = value_parser!(u64).range(1..=1_000_000))]
    pub requests: u64,
    /// How many of them run at the same time, at most 10,000.
    #[arg(long, default_value_t = 100, value_name = "N", value_parser = value_parser!(u32).range(1..=10_000))]
    pub concurrency: u32,
    /// The method of every request.
    #[arg(long, default_value = "POST", ignore_case = true, value_parser = method())]
    pub method: Method,
    /// The path, and the query where there is one.
    #[arg(long, default_value = "/support/tickets/create", value_parser = path)]
    pub path: PathAndQuery,
    /// The body, sent as application/json. Default for POST, PUT and PATCH: a ticket.
    #[arg(long, value_name = "JSON")]
    pub body: Option<String>,
    /// The status that counts as success.
    #[arg(long, default_value_t = 200, value_name = "STATUS", value_parser = value_parser!(u16).range(200..=599))]
    pub expect: u16,
    /// How long one request may take, from the connection to the last byte.
    #[arg(long, default_value_t = 10_000, value_name = "MS", value_parser = value_parser!(u64).range(1..=600_000))]
    pub timeout_ms: u64,
    /// Print JSON instead of text.
    #[arg(long)]
    pub json: bool,
    /// Also write the JSON into a file, for --compare.
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Allow a host that is not this machine: be sure that it is yours.
    #[arg(long)]
    pub any_address: bool,
    /// Send nothing: compare two files of --out.
    #[arg(long, num_args = 2, value_names = ["BEFORE", "AFTER"],
        conflicts_with_all = ["url", "requests", "concurrency", "method", "path", "body", "expect", "timeout_ms", "out", "any_address"])]
    pub compare: Option<Vec<PathBuf>>,
    /// How much a latency may grow before --compare fails.
    #[arg(long, default_value_t = 10.0, value_name = "PERCENT", value_parser = threshold, requires = "compare")]
    pub threshold_percent: f64,
}

/// What was asked for and will not be done. The exit code is 64, and the user's
/// command is to blame.
#[derive(Debug, thiserror::Error)]
pub enum UsageError {
    #[error(
        "--url {0} is invalid: use an http:// URL with a host and no path, such as http://127.0.0.1:8080; the path goes into --path"
    )]
    NotAnAddress(Uri),
    #[error(
        "{0} is not this machine ({1}). A load test can overload other people's hosts; if this one is yours, add --any-address"
    )]
    NotLoopback(String, std::net::IpAddr),
    #[error(
        "{wanted} requests at once need {wanted} connections, but this process may open {allowed} files in all; raise `ulimit -n` or lower --concurrency"
    )]
    TooFewFiles { wanted: u32, allowed: u64 },
    #[error("{} is not a report of `hearth load`: {why}", path.display())]
    NotAReport { path: PathBuf, why: String },
}

/// Runs the command. The report goes to `out`; progress and what went wrong go
/// to standard error. The exit code is 0 only if every request succeeded (with
/// `--compare`: if nothing got worse), 64 if nothing was done, else 1.
pub fn run(args: Args, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    let done = match &args.compare {
        Some(files) => compare_files(files, &args, out),
        None => send_all(&args, out),
    };
    match done {
        Err(error) if error.is::<UsageError>() => {
            eprintln!("hearth: {error}");
            Ok(ExitCode::from(USAGE))
        }
        other => other,
    }
}

fn send_all(args: &Args, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let report = runtime.block_on(async {
        let plan = Plan::new(args).await?;
        open_files::allow(plan.workers)?;
        args.out.as_deref().map_or(Ok(()), check_writable)?;
        let mut progress = Progress::new(plan.requests);
        let started_at = jiff::Timestamp::now();
        let tally = drive::drive(plan, &mut progress).await?;
        progress.end();
        anyhow::Ok(Report::new(args, started_at, &tally))
    })?;
    tell(&report, args, out)
}

fn tell(report: &Report, args: &Args, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    let json = serde_json::to_string_pretty(report)? + "\n";
    if let Some(path) = &args.out {
        fs::write(path, &json).with_context(|| cannot_write(path))?;
    }
    match args.json {
        true => out.write_all(json.as_bytes())?,
        false => text::write(report, out)?,
    }
    out.flush()?;
    if report.succeeded == report.requests {
        return Ok(ExitCode::SUCCESS);
    }
    let failed = report.requests - report.succeeded;
    eprintln!(
        "hearth: {failed} of {} requests failed{}",
        report.requests,
        hint(report, args)
    );
    Ok(ExitCode::FAILURE)
}

/// What most often explains a run in which nothing works.
fn hint(report: &Report, args: &Args) -> &'static str {
    let has = |kind: &str| report.failures.iter().any(|failure| failure.kind == kind);
    match args.key {
        None if has("status 401") => "; no key was given: --key or HEARTH_API_KEY",
        _ if has("connect") && report.succeeded == 0 => "; is a host listening there?",
        _ => "",
    }
}

fn compare_files(files: &[PathBuf], args: &Args, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    let [before, after] = files else {
        anyhow::bail!("--compare needs two files");
    };
    let (before, after) = (Report::read(before)?, Report::read(after)?);
    compare::run(&before, &after, args.threshold_percent, args.json, out)
}

/// Tells before a long run, not after it, that its report could not be kept.
fn check_writable(path: &Path) -> anyhow::Result<()> {
    let opened = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .open(path);
    opened.map(drop).with_context(|| cannot_write(path))
}

fn cannot_write(path: &Path) -> String {
    format!("cannot write {}", path.display())
}

/// A key is kept as a header value, which does not show itself when printed.
fn key(text: &str) -> Result<HeaderValue, String> {
    let mut key = HeaderValue::from_str(text)
        .map_err(|_| "the key must have visible ASCII characters only")?;
    key.set_sensitive(true);
    Ok(key)
}

fn method() -> impl clap::builder::TypedValueParser<Value = Method> {
    PossibleValuesParser::new(METHODS)
        .try_map(|name| Method::from_bytes(name.to_ascii_uppercase().as_bytes()))
}

fn path(text: &str) -> Result<PathAndQuery, String> {
    if !text.starts_with('/') {
        return Err("the path must begin with `/`".into());
    }
    text.parse().map_err(|error| format!("{error}"))
}

fn threshold(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(percent) if (0.0..=1000.0).contains(&percent) => Ok(percent),
        _ => Err("it must be a number from 0 to 1000".into()),
    }
}

/// Reads a whole file that is not larger than `bytes_max`.
fn read_bounded(path: &Path, bytes_max: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut file = io::Read::take(fs::File::open(path)?, bytes_max + 1);
    io::Read::read_to_end(&mut file, &mut bytes)?;
    match u64::try_from(bytes.len()) {
        Ok(length) if length <= bytes_max => Ok(bytes),
        _ => Err(io::Error::other(format!(
            "it is too large: at most {bytes_max} bytes are allowed"
        ))),
    }
}

#[cfg(test)]
mod tests;
