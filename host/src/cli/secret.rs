//! `hearth secret`: the root secret, where it and the database have come apart.

use std::io::Write;

use anyhow::Context;

use super::open;
use hearth_backend::postgres::{Match, Server};
use hearth_base::secret::RootSecret;
use hearth_server::config::Config;

#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Go on with this host's root secret, after the one that the database was written
    /// with was lost for good. Every API key made with the lost one ends.
    Adopt,
}

const LOST: &str = "What was made with another one is lost: API keys (make new ones with `hearth \
keys create`), the secrets and headers of webhook endpoints (delete and create them again), \
cursors of pages, kept answers to idempotency keys, messages that wait in SQS, and what is cached \
in a second tier. Copy the file to every host of the fleet, then start them.";

/// Runs one command. The schema of the database must be prepared.
pub async fn run(
    command: Command,
    config: &Config,
    server: &Server,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    match command {
        Command::Adopt => adopt(config, server, out).await,
    }
}

async fn adopt(config: &Config, server: &Server, out: &mut dyn Write) -> anyhow::Result<()> {
    let file = open::secret::file(config);
    let secret = RootSecret::open(&file).context("the root secret")?;
    let file = file.display();
    if server.match_secret(&secret).await? == Match::Same {
        writeln!(out, "{file} is this database's root secret")?;
        return Ok(());
    }
    server.adopt_secret(&secret).await?;
    writeln!(
        out,
        "{file} is this database's root secret from now on. {LOST}"
    )?;
    Ok(())
}
