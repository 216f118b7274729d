//! `hearth logs`: the latest lines of a host's log, and those that follow.

use std::io::Write;
use std::path::Path;

use bytes::Bytes;
use http::Method;
use http_body_util::BodyExt as _;

use super::admin::{self, Client, Reach, reason};

/// Shows the latest lines of the running host's log.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Show the lines of this plugin alone.
    #[arg(value_name = "PLUGIN")]
    pub plugin: Option<String>,
    /// Go on with the lines that are written from now on.
    #[arg(long, short)]
    pub follow: bool,
    /// Begin with so many lines.
    #[arg(long, short = 'n', value_name = "COUNT", default_value_t = 100)]
    pub lines: u32,
    #[command(flatten)]
    pub reach: Reach,
}

/// Runs the command.
pub fn run(args: &Args, config: Option<&Path>, out: &mut dyn Write) -> anyhow::Result<()> {
    if let Some(plugin) = &args.plugin {
        admin::check_name(plugin)?;
    }
    admin::block_on(show(args, config, out))
}

async fn show(args: &Args, config: Option<&Path>, out: &mut dyn Write) -> anyhow::Result<()> {
    let mut client = Client::open(&args.reach, config).await?;
    let answer = client.send(Method::GET, &target(args), Bytes::new()).await;
    let mut body = answer?.into_body();
    // No time limit: a host that has nothing to say is well.
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| client.cut(reason(&error)))?;
        if let Ok(text) = frame.into_data() {
            out.write_all(&text)?;
            out.flush()?;
        }
    }
    Ok(())
}

fn target(args: &Args) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.append_pair("lines", &args.lines.to_string());
    if let Some(plugin) = &args.plugin {
        query.append_pair("plugin", plugin);
    }
    if args.follow {
        query.append_pair("follow", "true");
    }
    format!("/logs?{}", query.finish())
}
