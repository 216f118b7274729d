//! `hearth dlq`: dead letters, the messages that nobody could consume.

use std::io::Write;
use std::path::Path;

use http::Method;
use serde::Deserialize;

use super::admin::table::{self, line, time};
use super::admin::{self, Client, Error, Reach};

/// What an id may have to stand in a URL as it is.
const ID_CHARS_MAX: usize = 128;

#[derive(Clone, Debug, clap::Subcommand)]
pub enum Command {
    /// Show how many messages each queue has, or the dead letters of one queue, newest
    /// first.
    List(List),
    /// Show one dead letter completely. What looks like a secret is removed.
    Show(Show),
    /// Put dead letters back into their queue, as if they had just been sent.
    Redrive(Chosen),
    /// Delete dead letters.
    Drop(Chosen),
}

#[derive(Clone, Debug, clap::Args)]
pub struct List {
    /// The queue. Without it, the messages of all queues are counted.
    #[arg(long, value_name = "NAME")]
    pub queue: Option<String>,
    /// How many to show at most.
    #[arg(long, default_value_t = 50, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=100))]
    pub limit: u16,
    /// Show those before this number, which the page before ends with.
    #[arg(long, value_name = "NUMBER", requires = "queue")]
    pub before: Option<i64>,
    /// Print the host's answer as JSON.
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub reach: Reach,
}

#[derive(Clone, Debug, clap::Args)]
pub struct Show {
    #[arg(long, value_name = "NAME")]
    pub queue: String,
    #[arg(value_name = "ID")]
    pub id: String,
    /// Print the host's answer as JSON.
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub reach: Reach,
}

/// Which dead letters are meant.
#[derive(Clone, Debug, clap::Args)]
pub struct Chosen {
    #[arg(long, value_name = "NAME")]
    pub queue: String,
    #[arg(value_name = "ID", num_args = 1..=100, required_unless_present = "all", conflicts_with = "all")]
    pub ids: Vec<String>,
    /// All dead letters of the queue.
    #[arg(long)]
    pub all: bool,
    /// Print the host's answer as JSON.
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub reach: Reach,
}

#[derive(Deserialize)]
struct Queues {
    queues: Vec<Depth>,
}

#[derive(Deserialize)]
struct Depth {
    queue: String,
    waiting: u64,
    delayed: u64,
    leased: u64,
    dead: u64,
    oldest_ms: Option<u64>,
}

#[derive(Deserialize)]
struct DeadLetterPage {
    dead_letters: Vec<Letter>,
    next: Option<i64>,
}

#[derive(Deserialize)]
struct Letter {
    id: String,
    /// The sender.
    plugin: String,
    customer: Option<String>,
    reason: String,
    attempts: u32,
    sent_at: String,
    died_at: String,
    bytes: u64,
}

#[derive(Deserialize)]
struct Whole {
    #[serde(flatten)]
    letter: Letter,
    attributes: Vec<(String, String)>,
    group: Option<String>,
    body: Option<String>,
    body_base64: Option<String>,
}

/// Runs the command.
pub fn run(command: &Command, config: Option<&Path>, out: &mut dyn Write) -> anyhow::Result<()> {
    match command {
        Command::List(args) => list(args, config, out),
        Command::Show(args) => show(args, config, out),
        Command::Redrive(args) => change(args, DeadLetterChange::Redrive, config, out),
        Command::Drop(args) => change(args, DeadLetterChange::Drop, config, out),
    }?;
    Ok(out.flush()?)
}

fn list(args: &List, config: Option<&Path>, out: &mut dyn Write) -> anyhow::Result<()> {
    let Some(queue) = &args.queue else {
        return count(args, config, out);
    };
    admin::check_name(queue)?;
    let mut target = format!("/queues/{queue}/dead-letters?limit={}", args.limit);
    if let Some(before) = args.before {
        target.push_str(&format!("&before={before}"));
    }
    let (text, page) = ask::<DeadLetterPage>(&args.reach, config, Method::GET, &target)?;
    if args.json {
        return Ok(writeln!(out, "{}", text.trim())?);
    }
    if page.dead_letters.is_empty() {
        return Ok(writeln!(out, "no dead letters")?);
    }
    let rows: Vec<[String; 7]> = page.dead_letters.iter().map(row).collect();
    let head = [
        "ID", "FROM", "CUSTOMER", "ATTEMPTS", "DIED", "BYTES", "REASON",
    ];
    table::write(head, &rows, out)?;
    if let Some(next) = page.next {
        writeln!(out, "more: hearth dlq list --queue {queue} --before {next}")?;
    }
    Ok(())
}

fn count(args: &List, config: Option<&Path>, out: &mut dyn Write) -> anyhow::Result<()> {
    let (text, found) = ask::<Queues>(&args.reach, config, Method::GET, "/queues")?;
    if args.json {
        return Ok(writeln!(out, "{}", text.trim())?);
    }
    if found.queues.is_empty() {
        return Ok(writeln!(out, "all queues are empty")?);
    }
    let rows: Vec<[String; 6]> = found.queues.iter().map(depth).collect();
    let head = ["QUEUE", "WAITING", "DELAYED", "LEASED", "DEAD", "OLDEST MS"];
    Ok(table::write(head, &rows, out)?)
}

fn depth(depth: &Depth) -> [String; 6] {
    [
        depth.queue.clone(),
        depth.waiting.to_string(),
        depth.delayed.to_string(),
        depth.leased.to_string(),
        depth.dead.to_string(),
        depth
            .oldest_ms
            .map_or_else(|| "-".into(), |ms| ms.to_string()),
    ]
}

fn row(letter: &Letter) -> [String; 7] {
    [
        letter.id.clone(),
        letter.plugin.clone(),
        letter.customer.clone().unwrap_or_else(|| "-".into()),
        letter.attempts.to_string(),
        time(&letter.died_at),
        letter.bytes.to_string(),
        letter.reason.clone(),
    ]
}

fn show(args: &Show, config: Option<&Path>, out: &mut dyn Write) -> anyhow::Result<()> {
    admin::check_name(&args.queue)?;
    check_id(&args.id)?;
    let target = format!("/queues/{}/dead-letters/{}", args.queue, args.id);
    let (text, whole) = ask::<Whole>(&args.reach, config, Method::GET, &target)?;
    match args.json {
        true => Ok(writeln!(out, "{}", text.trim())?),
        false => Ok(write_whole(&whole, out)?),
    }
}

/// Bodies and attributes are the sender's: nothing in them moves the cursor.
fn write_whole(whole: &Whole, out: &mut dyn Write) -> std::io::Result<()> {
    let letter = &whole.letter;
    let nobody = || "-".to_owned();
    let fields = [
        ("id", letter.id.clone()),
        ("from", letter.plugin.clone()),
        ("customer", letter.customer.clone().unwrap_or_else(nobody)),
        ("group", whole.group.clone().unwrap_or_else(nobody)),
        ("attempts", letter.attempts.to_string()),
        ("sent", time(&letter.sent_at)),
        ("died", time(&letter.died_at)),
        ("reason", letter.reason.clone()),
    ];
    for (name, value) in &fields {
        writeln!(out, "{name:<9} {}", line(value))?;
    }
    for (name, value) in &whole.attributes {
        writeln!(out, "attribute {}: {}", line(name), line(value))?;
    }
    match (&whole.body, &whole.body_base64) {
        (Some(text), _) => writeln!(out, "\n{}", table::plain(text)),
        (None, Some(base64)) => writeln!(out, "\nno text; as base64:\n{}", line(base64)),
        (None, None) => Ok(()),
    }
}

#[derive(Clone, Copy)]
enum DeadLetterChange {
    Redrive,
    Drop,
}

#[derive(Deserialize)]
struct Changed {
    #[serde(alias = "redriven", alias = "dropped")]
    count: u64,
}

fn change(
    args: &Chosen,
    change: DeadLetterChange,
    config: Option<&Path>,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    admin::check_name(&args.queue)?;
    for id in &args.ids {
        check_id(id)?;
    }
    let which: Vec<String> = match args.all {
        true => vec!["all=true".to_owned()],
        false => args.ids.iter().map(|id| format!("id={id}")).collect(),
    };
    let (method, below, done) = match change {
        DeadLetterChange::Redrive => (Method::POST, "/redrive", "put back into the queue"),
        DeadLetterChange::Drop => (Method::DELETE, "", "forgotten"),
    };
    let target = format!(
        "/queues/{}/dead-letters{below}?{}",
        args.queue,
        which.join("&")
    );
    let (text, changed) = ask::<Changed>(&args.reach, config, method, &target)?;
    match args.json {
        true => writeln!(out, "{}", text.trim())?,
        false => writeln!(out, "{} dead letters are {done}", changed.count)?,
    }
    Ok(())
}

fn ask<T: serde::de::DeserializeOwned>(
    reach: &Reach,
    config: Option<&Path>,
    method: Method,
    target: &str,
) -> anyhow::Result<(String, T)> {
    let changes = method != Method::GET;
    admin::block_on(async {
        let mut client = Client::open(reach, config).await?;
        let text = client.json(method, target).await;
        let text = text.map_err(|error| match changes {
            true => error.of_change(),
            false => error,
        })?;
        let answer = client.parse::<T>(&text)?;
        Ok((text, answer))
    })
}

/// An id goes into a URL as it is.
fn check_id(id: &str) -> Result<(), Error> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    match (1..=ID_CHARS_MAX).contains(&id.len()) && id.chars().all(plain) {
        true => Ok(()),
        false => Err(Error::Usage(format!(
            "`{}` is not a valid message id",
            line(id)
        ))),
    }
}
