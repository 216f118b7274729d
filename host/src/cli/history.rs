//! `hearth history`: every deployment of a plugin, the newest first.

use std::io::Write;
use std::path::Path;

use http::Method;
use serde::Deserialize;

use super::admin::table::{self, digest, list, time};
use super::admin::{self, Client, Reach};

/// Shows every deployment of a plugin, the newest first.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// The plugin's name.
    #[arg(value_name = "PLUGIN")]
    pub plugin: String,
    /// Print the host's answer as JSON.
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub reach: Reach,
}

#[derive(Deserialize)]
struct History {
    deployments: Vec<Deployment>,
}

#[derive(Deserialize)]
struct Deployment {
    number: u64,
    version: String,
    digest: String,
    deployed_at: String,
    by: String,
    grants: Vec<String>,
    state: String,
    serving_since: Option<String>,
    bytes: u64,
}

/// The first column marks the deployment that serves.
const HEAD: [&str; 10] = [
    "",
    "NUMBER",
    "VERSION",
    "STATE",
    "DEPLOYED",
    "BY",
    "SERVING SINCE",
    "BYTES",
    "GRANTS",
    "DIGEST",
];

/// Runs the command.
pub fn run(args: &Args, config: Option<&Path>, out: &mut dyn Write) -> anyhow::Result<()> {
    admin::check_name(&args.plugin)?;
    let target = format!("/plugins/{}/deployments", args.plugin);
    let (text, history) = admin::block_on(async {
        let mut client = Client::open(&args.reach, config).await?;
        let text = client.json(Method::GET, &target).await?;
        let history = client.parse::<History>(&text)?;
        Ok((text, history))
    })?;
    match args.json {
        true => writeln!(out, "{}", text.trim())?,
        false => write(history.deployments, out)?,
    }
    Ok(out.flush()?)
}

fn write(mut deployments: Vec<Deployment>, out: &mut dyn Write) -> std::io::Result<()> {
    deployments.sort_by_key(|deployment| std::cmp::Reverse(deployment.number));
    let rows: Vec<[String; 10]> = deployments.iter().map(row).collect();
    table::write(HEAD, &rows, out)
}

fn row(deployment: &Deployment) -> [String; 10] {
    let serves = deployment.state == "serving";
    let since = deployment.serving_since.as_deref().filter(|_| serves);
    [
        if serves { "*" } else { "" }.into(),
        deployment.number.to_string(),
        deployment.version.clone(),
        deployment.state.clone(),
        time(&deployment.deployed_at),
        deployment.by.clone(),
        since.map_or_else(|| "-".into(), time),
        deployment.bytes.to_string(),
        list(&deployment.grants),
        digest(&deployment.digest),
    ]
}
