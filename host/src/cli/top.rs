//! `hearth top`: what the plugins of a running host do, and what waits in their queues.

mod page;
mod view;

use std::io::{IsTerminal as _, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::Method;

use self::page::Page;
use super::admin::{self, Client, Reach};

/// The longest page of metrics that is read.
const PAGE_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Clears a terminal and goes to its first line.
const CLEAR: &str = "\u{1b}[2J\u{1b}[H";

/// Shows what the plugins of the running host do, every few seconds.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Seconds between two looks; rates are those of the time between them.
    #[arg(long, short = 'd', value_name = "SECONDS", default_value_t = 2,
          value_parser = clap::value_parser!(u64).range(1..=3_600))]
    pub interval: u64,
    /// Show one interval and end.
    #[arg(long)]
    pub once: bool,
    #[command(flatten)]
    pub reach: Reach,
}

/// Runs the command.
pub fn run(args: &Args, config: Option<&Path>, out: &mut dyn Write) -> anyhow::Result<()> {
    admin::block_on(show(args, config, out))
}

async fn show(args: &Args, config: Option<&Path>, out: &mut dyn Write) -> anyhow::Result<()> {
    let mut client = Client::open(&args.reach, config).await?;
    let (mut before, mut since) = (look(&mut client).await?, Instant::now());
    let is_screen = !args.once && std::io::stdout().is_terminal();
    loop {
        tokio::time::sleep(Duration::from_secs(args.interval)).await;
        let now = look(&mut client).await?;
        let seconds = since.elapsed().as_secs_f64();
        since = Instant::now();
        if is_screen {
            out.write_all(CLEAR.as_bytes())?;
        }
        view::write(&before, &now, seconds, out)?;
        out.flush()?;
        if args.once {
            return Ok(());
        }
        before = now;
    }
}

async fn look(client: &mut Client) -> anyhow::Result<Page> {
    let answer = client.send(Method::GET, "/metrics", Bytes::new()).await?;
    let body = client.body(answer, PAGE_BYTES_MAX).await?;
    let page = Page::read(&String::from_utf8_lossy(&body));
    Ok(page.map_err(|error| client.foreign(&format!("is not a page of metrics ({error})")))?)
}
