//! `hearth undeploy`: a plugin ends its requests and then no longer serves. Its
//! data and its history stay.

use std::io::Write;
use std::path::Path;

use http::Method;
use serde::Deserialize;

use super::admin::table::line;
use super::admin::{self, Client, Error, Reach};

/// Ends a plugin. Its data and its history stay, and `hearth deploy` or `hearth
/// rollback --to N` brings it back.
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
struct Undeployed {
    plugin: String,
    number: u64,
}

/// Runs the command.
pub fn run(args: &Args, config: Option<&Path>, out: &mut dyn Write) -> anyhow::Result<()> {
    admin::check_name(&args.plugin)?;
    let target = format!("/plugins/{}", args.plugin);
    let (text, done) = admin::block_on(async {
        let mut client = Client::open(&args.reach, config).await?;
        let text = client.json(Method::DELETE, &target).await;
        let text = text.map_err(Error::of_change)?;
        let done = client.parse::<Undeployed>(&text)?;
        Ok((text, done))
    })?;
    match args.json {
        true => writeln!(out, "{}", text.trim())?,
        false => writeln!(
            out,
            "{}@{} is undeployed; its data and its history are kept",
            line(&done.plugin),
            done.number
        )?,
    }
    Ok(out.flush()?)
}
