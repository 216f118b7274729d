//! `hearth rollback`: an earlier deployment of a plugin serves again. Migrations
//! are not undone, so the host first looks whether the old statements still hold.

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use bytes::Bytes;
use http::Method;

use super::admin::steps;
use super::admin::{self, Client, Reach};
use super::deploy;

/// Lets an earlier deployment serve again. The exit code is 0 if it does, 1 if
/// it is refused, 64 if nothing was sent, 69 if no host answers.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// The plugin's name.
    #[arg(value_name = "PLUGIN")]
    pub plugin: String,
    /// The number of the deployment, as `hearth history` shows it. Default: the one
    /// that served before the current one.
    #[arg(long, value_name = "NUMBER")]
    pub to: Option<u64>,
    /// Print the result as JSON.
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub reach: Reach,
}

/// Runs the command. Steps and refusals go to standard error.
pub fn run(args: &Args, config: Option<&Path>, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    admin::check_name(&args.plugin)?;
    let query = args.to.map(|to| format!("?to={to}")).unwrap_or_default();
    let target = format!("/plugins/{}/rollback{query}", args.plugin);
    let outcome = admin::block_on(async {
        let mut client = Client::open(&args.reach, config).await?;
        let followed = steps::follow(&mut client, Method::POST, &target, Bytes::new());
        Ok(followed.await?)
    })?;
    deploy::tell(&outcome, args.json, "rolled back", out)?;
    Ok(deploy::exit_code(&outcome))
}
