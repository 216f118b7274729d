//! `hearth diff`: what changes between two versions of a plugin, before anyone
//! deploys the second.
//!
//! ```text
//! hearth diff old.wasm new.wasm
//! hearth diff tickets@3 new.wasm
//! ```
//!
//! The host of a deployment also says which statements newly read all rows of a customer.

pub mod compare;
mod text;

use std::io::Write;
use std::path::Path;

use bytes::Bytes;
use http::Method;

use self::compare::{Scans, diff};
use super::admin::{self, Client, Error, Reach};
use hearth_runtime::capability::sql::Outlook;
use hearth_runtime::plugin::package::{COMPONENT_BYTES_MAX, Package};

/// Shows what changes between two versions of a plugin. The exit code is 0 for
/// any two that can be read.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// A packed plugin, or PLUGIN@NUMBER of the host's history.
    #[arg(value_name = "OLD")]
    pub old: String,
    /// A packed plugin, or PLUGIN@NUMBER of the host's history.
    #[arg(value_name = "NEW")]
    pub new: String,
    /// Print JSON instead of text.
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub reach: Reach,
}

/// What a host may say of a file's plans.
const PLANS_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Where a packed plugin is. A file of that name goes first.
enum Source<'a> {
    File(&'a Path),
    Deployment { plugin: &'a str, number: u64 },
}

/// Runs the command. A host is asked only for a deployment.
pub fn run(args: &Args, config: Option<&Path>, out: &mut dyn Write) -> anyhow::Result<()> {
    let diff = admin::block_on(async {
        let old = read(&args.old, args, config).await?;
        let new = read(&args.new, args, config).await?;
        let mut diff = diff(&old, &new);
        if asks_a_host(args)? {
            let before = outlook(&old, args, config).await?;
            diff.scans = Scans::between(before, outlook(&new, args, config).await?);
        }
        Ok(diff)
    })?;
    match args.json {
        true => writeln!(out, "{}", serde_json::to_string_pretty(&diff)?)?,
        false => text::write(&diff, out)?,
    }
    Ok(out.flush()?)
}

async fn read(named: &str, args: &Args, config: Option<&Path>) -> anyhow::Result<Package> {
    let bytes = match source(named)? {
        Source::File(path) => Bytes::from(
            admin::read_bounded(path, COMPONENT_BYTES_MAX)
                .map_err(|error| Error::Usage(format!("{named}: {error}")))?,
        ),
        Source::Deployment { plugin, number } => {
            let target = format!("/plugins/{plugin}/deployments/{number}/artifact");
            let mut client = Client::open(&args.reach, config).await?;
            let answer = client.send(Method::GET, &target, Bytes::new()).await?;
            client.body(answer, COMPONENT_BYTES_MAX).await?
        }
    };
    let package = Package::read(bytes);
    Ok(package.map_err(|error| Error::Usage(format!("{named}: {error}")))?)
}

fn asks_a_host(args: &Args) -> Result<bool, Error> {
    let is_deployment = |named| Ok(matches!(source(named)?, Source::Deployment { .. }));
    Ok(is_deployment(&args.old)? || is_deployment(&args.new)?)
}

async fn outlook(package: &Package, args: &Args, config: Option<&Path>) -> anyhow::Result<Outlook> {
    let mut client = Client::open(&args.reach, config).await?;
    let bytes = package.component.clone();
    let answer = client.send(Method::POST, "/plans", bytes).await?;
    let body = client.body(answer, PLANS_BYTES_MAX).await?;
    Ok(client.parse(&String::from_utf8_lossy(&body))?)
}

fn source(named: &str) -> Result<Source<'_>, Error> {
    let path = Path::new(named);
    let deployment = named
        .split_once('@')
        .and_then(|(plugin, number)| Some((plugin, number.parse().ok()?)))
        .filter(|(plugin, _)| admin::check_name(plugin).is_ok());
    match deployment {
        Some((plugin, number)) if !path.exists() => Ok(Source::Deployment { plugin, number }),
        _ if path.exists() => Ok(Source::File(path)),
        _ => Err(Error::Usage(format!(
            "{named}: no such file, nor a deployment, which is written PLUGIN@NUMBER"
        ))),
    }
}
