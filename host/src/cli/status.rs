//! `hearth status`: what serves, with how many requests.

use std::io::Write;
use std::path::Path;

use http::Method;
use serde::Deserialize;

use super::admin::table::{self, digest, line, list, time};
use super::admin::{self, Client, Reach};
use hearth_runtime::capability::sql::gate::approved_name;

/// Shows what serves.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Print the host's answer as JSON.
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub reach: Reach,
}

#[derive(Deserialize)]
struct Status {
    plugins: Vec<Plugin>,
}

#[derive(Deserialize)]
struct Plugin {
    label: String,
    plugin: String,
    version: String,
    digest: String,
    mount: String,
    /// Absent where the host's database does not tell.
    since: Option<String>,
    grants: Vec<String>,
    #[serde(default)]
    functions: Vec<String>,
    #[serde(default)]
    shared: Vec<String>,
    in_flight: u64,
    requests: u64,
    failures: u64,
    /// How many calls failed since the last one that did not, where these are too many.
    failing_calls: Option<u64>,
    #[serde(default)]
    consumes: Vec<String>,
    #[serde(default)]
    schedules: Vec<String>,
    #[serde(default)]
    draining: Vec<Draining>,
}

#[derive(Deserialize)]
struct Draining {
    number: u64,
    in_flight: u64,
}

const HEAD: [&str; 9] = [
    "DEPLOYMENT",
    "VERSION",
    "MOUNT",
    "SINCE",
    "IN FLIGHT",
    "REQUESTS",
    "FAILURES",
    "GRANTS",
    "DIGEST",
];

/// Runs the command.
pub fn run(args: &Args, config: Option<&Path>, out: &mut dyn Write) -> anyhow::Result<()> {
    let (text, status) = admin::block_on(async {
        let mut client = Client::open(&args.reach, config).await?;
        let text = client.json(Method::GET, "/plugins").await?;
        let status = client.parse::<Status>(&text)?;
        Ok((text, status))
    })?;
    match args.json {
        true => writeln!(out, "{}", text.trim())?,
        false => write(&status.plugins, out)?,
    }
    Ok(out.flush()?)
}

fn write(plugins: &[Plugin], out: &mut dyn Write) -> std::io::Result<()> {
    if plugins.is_empty() {
        return writeln!(out, "no plugin is serving");
    }
    let rows: Vec<[String; 9]> = plugins.iter().map(row).collect();
    table::write(HEAD, &rows, out)?;
    for plugin in plugins {
        if let Some(calls) = plugin.failing_calls {
            let label = line(&plugin.label);
            writeln!(out, "{label} IS FAILING: its last {calls} calls all failed")?;
        }
        for queue in &plugin.consumes {
            writeln!(out, "{} consumes {}", line(&plugin.plugin), line(queue))?;
        }
        for schedule in &plugin.schedules {
            writeln!(out, "{} sends {}", line(&plugin.plugin), line(schedule))?;
        }
        for old in &plugin.draining {
            let (name, number) = (line(&plugin.plugin), old.number);
            writeln!(
                out,
                "{name}@{number} is draining, calls in progress: {}",
                old.in_flight
            )?;
        }
    }
    Ok(())
}

fn row(plugin: &Plugin) -> [String; 9] {
    let grants = plugin.grants.iter().cloned();
    let functions = plugin.functions.iter();
    let functions = functions.map(|approval| format!("{}()", approved_name(approval)));
    let shared = plugin.shared.iter().map(|table| format!("shared:{table}"));
    let may: Vec<String> = grants.chain(functions).chain(shared).collect();
    [
        plugin.label.clone(),
        plugin.version.clone(),
        or_none(&plugin.mount),
        plugin.since.as_deref().map_or_else(|| "-".into(), time),
        plugin.in_flight.to_string(),
        plugin.requests.to_string(),
        plugin.failures.to_string(),
        list(&may),
        digest(&plugin.digest),
    ]
}

/// A worker has no mount.
fn or_none(text: &str) -> String {
    match text {
        "" => "-".into(),
        text => text.to_owned(),
    }
}
