//! `hearth keys`: the customers' API keys.

use std::io::Write;
use std::time::{Duration, SystemTime};

use anyhow::Context;

use hearth_backend::postgres::Server;
use hearth_base::secret::RootSecret;
use hearth_server::edge::keys::Tier;
use hearth_server::edge::keys::register::{Ensured, LIST_MAX, Listed, Register, Revoked};

#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Make a key, and its customer if the name is new. The last line of the
    /// output is the key, which cannot be shown again.
    Create(Create),
    /// List keys, newest first. Keys themselves are never shown.
    List {
        /// Only the keys of this customer.
        #[arg(long, value_name = "NAME")]
        customer: Option<String>,
        /// As a JSON array.
        #[arg(long)]
        json: bool,
    },
    /// End a key for good. Every host refuses it within a second.
    Revoke {
        /// The key's id, as `list` shows it.
        #[arg(value_name = "KEY_ID")]
        key: String,
    },
}

#[derive(Debug, clap::Args)]
pub struct Create {
    /// The customer's name.
    #[arg(long, value_name = "NAME")]
    pub customer: String,
    /// The customer's tier. A customer of another tier gets this one.
    #[arg(long)]
    pub tier: Tier,
    /// What the key may do; may be repeated.
    #[arg(long = "scope", value_name = "SCOPE", default_value = "customer")]
    pub scopes: Vec<String>,
    /// After so many days the key stops to work.
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..=36_500))]
    pub expires_in_days: Option<u32>,
}

/// Runs one command. The schema of the database must be prepared.
pub async fn run(
    command: Command,
    server: &Server,
    secret: &RootSecret,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    let register = Register::new(server, secret);
    match command {
        Command::Create(create) => run_create(&register, create, out).await,
        Command::List { customer, json } => {
            run_list(&register, customer.as_deref(), json, out).await
        }
        Command::Revoke { key } => run_revoke(&register, &key, out).await,
    }
}

async fn run_create(
    register: &Register<'_>,
    create: Create,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    let expires_at = create.expires_in_days.map(in_days).transpose()?;
    let ensured = register
        .ensure_customer(&create.customer, create.tier)
        .await?;
    let customer = ensured.customer();
    match &ensured {
        Ensured::Created(_) => eprintln!("made customer {} ({})", customer.name, customer.id),
        Ensured::Found(_) => {}
        Ensured::Changed { from, .. } => eprintln!(
            "customer {} ({}) had tier {from} and now has {}",
            customer.name, customer.id, customer.tier
        ),
    }
    let key = register
        .create_key(&customer.id, &create.scopes, expires_at)
        .await?;
    writeln!(out, "{} of {} ({})", key.id, customer.name, customer.id)?;
    writeln!(out, "{}", *key.text)?;
    Ok(())
}

fn in_days(days: u32) -> anyhow::Result<SystemTime> {
    let ahead = Duration::from_secs(u64::from(days) * 24 * 60 * 60);
    SystemTime::now()
        .checked_add(ahead)
        .context("that is too far ahead")
}

async fn run_list(
    register: &Register<'_>,
    customer: Option<&str>,
    json: bool,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    let keys = register.list(customer).await?;
    if i64::try_from(keys.len()).is_ok_and(|found| found == LIST_MAX) {
        eprintln!("only the newest {LIST_MAX} keys are listed");
    }
    if json {
        serde_json::to_writer_pretty(&mut *out, &keys)?;
        writeln!(out)?;
        return Ok(());
    }
    for key in &keys {
        writeln!(out, "{}", line(key))?;
    }
    Ok(())
}

fn line(key: &Listed) -> String {
    let state = match (&key.revoked_at, &key.expires_at) {
        (Some(at), _) => format!("revoked {at}"),
        (None, Some(at)) => format!("expires {at}"),
        (None, None) => "never expires".to_owned(),
    };
    format!(
        "{}  {}...  {} ({})  {}  made {}  {state}",
        key.id,
        key.prefix,
        key.customer,
        key.tier,
        key.scopes.join(","),
        key.created_at,
    )
}

async fn run_revoke(register: &Register<'_>, key: &str, out: &mut dyn Write) -> anyhow::Result<()> {
    match register.revoke(key).await? {
        Revoked::Now => writeln!(out, "{key} is revoked")?,
        Revoked::Before => writeln!(out, "{key} was revoked before")?,
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Arguments {
        #[command(subcommand)]
        command: Command,
    }

    fn create(arguments: &str) -> Option<Create> {
        let words = format!("keys create {arguments}");
        match Arguments::try_parse_from(words.split(' ')).ok()?.command {
            Command::Create(create) => Some(create),
            _ => None,
        }
    }

    #[test]
    fn scope_is_customer_unless_others_are_named() {
        let plain = create("--customer acme --tier premium").unwrap();
        assert_eq!(
            (plain.scopes, plain.tier),
            (vec!["customer".to_owned()], Tier::Premium)
        );
        let two = create("--customer acme --tier free --scope agent --scope customer").unwrap();
        assert_eq!(two.scopes, ["agent", "customer"]);
    }

    #[test]
    fn senseless_arguments_are_refused() {
        assert!(create("--customer acme --tier golden").is_none());
        assert!(create("--customer acme --tier free --expires-in-days 0").is_none());
        assert!(create("--tier free").is_none());
    }
}
