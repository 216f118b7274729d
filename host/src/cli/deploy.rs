//! `hearth deploy`: a packed plugin goes to a running host, through its gate,
//! and serves; or the reasons come back.
//!
//! ```text
//! hearth deploy tickets.wasm
//! hearth deploy tickets.wasm --approve queue:mail
//! hearth deploy tickets.wasm --approve-shared country
//! hearth deploy tickets.wasm --replace
//! ```

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use bytes::Bytes;
use http::Method;

use super::admin::steps::{self, DeployOutcome, End, RefusedDeploy};
use super::admin::table::{line, plain};
use super::admin::{self, Client, Error, Reach};
use super::{demo, open};
use hearth_runtime::plugin::package::{COMPONENT_BYTES_MAX, Package};
use hearth_server::deploy::approval::function_approvals;

/// What `asks` writes before an SQL function, a table and a statement.
const FUNCTION: &str = "function:";
const SHARED: &str = "shared:";
const SCAN: &str = "scan:";
/// The step that refuses to take something away of what serves.
const REPLACE: &str = "replace";

/// Sends a packed plugin to a running host. The exit code is 0 if it serves, 1
/// if it is refused, 64 if nothing was sent, 69 if no host answers.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// The packed plugin.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Approve these grants, for example sql,log,queue:mail.
    #[arg(long, value_name = "GRANTS", value_delimiter = ',')]
    pub approve: Vec<String>,
    /// Approve these SQL functions: its own with the digest of their body,
    /// touch@sha256:..., as a rejected deploy shows them.
    #[arg(long, value_name = "FUNCTIONS", value_delimiter = ',')]
    pub approve_function: Vec<String>,
    /// Approve these tables, which all customers share: each sees every row.
    #[arg(long, value_name = "TABLES", value_delimiter = ',')]
    pub approve_shared: Vec<String>,
    /// Approve these statements, which read all rows of a customer, with the digest of
    /// their text, all_notes@sha256:..., as a rejected deploy shows them.
    #[arg(long, value_name = "STATEMENTS", value_delimiter = ',')]
    pub approve_scan: Vec<String>,
    /// Replace the version that serves even if something of it is removed or changed:
    /// mount, world, routes, queues or schedules, as a rejected deploy shows it.
    #[arg(long)]
    pub replace: bool,
    /// Print the result as JSON.
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub reach: Reach,
}

/// Runs the command. Steps and refusals go to standard error.
pub fn run(args: &Args, config: Option<&Path>, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    let outcome = admin::block_on(send(args, config))?;
    tell(&outcome, args.json, "deployed", out)?;
    match &outcome.end {
        End::Refused(refused) => eprint!("{}", advice(args, config, refused)),
        End::Serving(_) if !args.json => eprint!("{}", request(args, config).unwrap_or_default()),
        End::Serving(_) => {}
    }
    Ok(exit_code(&outcome))
}

/// How to ask it: the request of its self-test, where that reads and the host is the one of
/// the configuration.
fn request(args: &Args, config: Option<&Path>) -> Option<String> {
    let bytes = admin::read_bounded(&args.file, COMPONENT_BYTES_MAX).ok()?;
    let test = Package::read(bytes).ok()?.manifest.self_test?;
    let config = open::config(config).ok()?;
    if args.reach.admin.is_some() || test.method != "GET" {
        return None;
    }
    let demo_key = config.data_dir.join(demo::FILE);
    let key = match demo_key.exists() {
        true => format!("$(cat {})", quote(&demo_key.display().to_string())),
        false => "KEY".into(),
    };
    Some(format!(
        "\nSend a request (`hearth keys create --customer NAME` creates a key):\n  curl -s \
         'http://{}{}' -H \"X-API-Key: {key}\"\n",
        config.listen, test.path
    ))
}

/// The command that would not be refused for this, where there is one.
fn advice(args: &Args, config: Option<&Path>, refused: &RefusedDeploy) -> String {
    if refused.step == REPLACE {
        let replacing = Args {
            replace: true,
            ..args.clone()
        };
        let command = approving(&replacing, config, &[]);
        return format!("\nIf all of that is intended:\n  {command}\n");
    }
    match refused.asks.as_slice() {
        [] => String::new(),
        asks => format!(
            "\nIt asks for permissions that are not approved. To approve them:\n  {}\n",
            approving(args, config, asks)
        ),
    }
}

async fn send(args: &Args, config: Option<&Path>) -> anyhow::Result<DeployOutcome> {
    let bytes = admin::read_bounded(&args.file, COMPONENT_BYTES_MAX)
        .map_err(|error| Error::Usage(format!("{}: {error}", args.file.display())))?;
    let mut client = Client::open(&args.reach, config).await?;
    let target = target(args);
    Ok(steps::follow(&mut client, Method::POST, &target, Bytes::from(bytes)).await?)
}

fn target(args: &Args) -> String {
    let lists = [
        ("approve", &args.approve),
        ("approve-functions", &args.approve_function),
        ("approve-shared", &args.approve_shared),
        ("approve-scans", &args.approve_scan),
    ];
    let mut query = form_urlencoded::Serializer::new(String::new());
    for (name, list) in lists.iter().filter(|(_, list)| !list.is_empty()) {
        query.append_pair(name, &list.join(","));
    }
    if args.replace {
        query.append_pair("replace", "true");
    }
    match query.finish() {
        query if query.is_empty() => "/deployments".into(),
        query => format!("/deployments?{query}"),
    }
}

/// Tells how a change ended; `done` is what would have been done.
pub fn tell(
    outcome: &DeployOutcome,
    json: bool,
    done: &str,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    if let End::Refused(refused) = &outcome.end {
        eprint!("{}", refusal(refused, done));
    }
    match (&outcome.end, json) {
        (_, true) => writeln!(out, "{}", outcome.text)?,
        (End::Serving(now), false) => {
            let (label, version) = (line(&now.label), line(&now.version));
            writeln!(
                out,
                "{label} serves: version {version}, {}",
                line(&now.digest)
            )?;
        }
        (End::Refused(_), false) => {}
    }
    Ok(out.flush()?)
}

/// 0 for a deployment that serves, 1 for one that was refused.
pub fn exit_code(outcome: &DeployOutcome) -> ExitCode {
    match outcome.end {
        End::Serving(_) => ExitCode::SUCCESS,
        End::Refused(_) => ExitCode::FAILURE,
    }
}

/// What was not done and why, with every reason.
pub fn rejection(plugin: &str, step: &str, reasons: &[String], done: &str) -> String {
    let plugin = match plugin {
        "" => "the file",
        plugin => plugin,
    };
    let step = line(step);
    let mut text = format!(
        "{} was not {done}, because the step `{step}`{} failed:\n",
        line(plugin),
        meaning(&step)
    );
    for reason in reasons {
        let indented = plain(reason).replace('\n', "\n    ");
        text.push_str(&format!("  - {indented}\n"));
    }
    text
}

fn refusal(refused: &RefusedDeploy, done: &str) -> String {
    let (plugin, step) = (&refused.plugin, &refused.step);
    let mut text = format!(
        "hearth: {}",
        rejection(plugin, step, &refused.reasons, done)
    );
    for function in &refused.functions {
        let body = plain(&function.text).replace('\n', "\n    ");
        let approval = line(&function.approval);
        text.push_str(&format!("The function {approval}:\n    {body}\n"));
    }
    for scan in &refused.scans {
        let shown = plain(&format!("{}\n{}", scan.text, scan.plan)).replace('\n', "\n    ");
        let approval = line(&scan.approval);
        text.push_str(&format!("The plan of {approval}:\n    {shown}\n"));
    }
    text.push_str("What served before still serves.\n");
    text
}

/// What a step looks at.
fn meaning(step: &str) -> &'static str {
    match step {
        "read" => " (whether the file is a complete plugin of the right world)",
        "grants" => " (whether what it asks for is approved)",
        "openapi" => " (whether its OpenAPI document is valid)",
        "compile" => " (compiling the component to machine code within the limits)",
        "link" => " (linking its imports to the host)",
        REPLACE => " (whether it lacks anything of the version that serves)",
        "migrate" => {
            " (its migrations, and whether the statements of the version that serves still work)"
        }
        "statements" => " (each SQL statement and its plan, in the real database)",
        "self-test" => " (the self-test request of its manifest)",
        "swap" => " (sending new requests to it)",
        "drain" => " (waiting for the requests of the version before)",
        _ => "",
    }
}

/// The command that deploys a file and approves all that is known to be asked for. Which
/// statements want an approval, the host says once Postgres has planned them.
pub fn command(file: &Path, package: &Package) -> String {
    let args = Args {
        file: file.to_owned(),
        approve: package
            .manifest
            .grants
            .iter()
            .map(ToString::to_string)
            .collect(),
        approve_function: function_approvals(package),
        approve_shared: package.manifest.sql.shared.iter().cloned().collect(),
        approve_scan: Vec::new(),
        replace: false,
        json: false,
        reach: Reach::default(),
    };
    approving(&args, None, &[])
}

/// The same command, which approves what was asked for as well.
fn approving(args: &Args, config: Option<&Path>, asks: &[String]) -> String {
    let (mut grants, mut functions) = (args.approve.clone(), args.approve_function.clone());
    let (mut shared, mut scans) = (args.approve_shared.clone(), args.approve_scan.clone());
    for ask in asks {
        let kinds = [
            (FUNCTION, &mut functions),
            (SHARED, &mut shared),
            (SCAN, &mut scans),
        ];
        let mut of = kinds
            .into_iter()
            .filter_map(|(kind, list)| Some((ask.strip_prefix(kind)?, list)));
        match of.next() {
            Some((name, list)) => list.push(name.to_owned()),
            None => grants.push(ask.clone()),
        }
    }
    let lists = [
        ("--approve", grants),
        ("--approve-function", functions),
        ("--approve-shared", shared),
        ("--approve-scan", scans),
    ];
    let mut words = vec!["hearth".to_owned()];
    if let Some(config) = config.filter(|_| super::open::environment("HEARTH_CONFIG").is_none()) {
        words.extend(["--config".into(), config.display().to_string()]);
    }
    words.extend(["deploy".into(), args.file.display().to_string()]);
    for (option, list) in lists {
        if !list.is_empty() {
            words.extend([option.into(), list.join(",")]);
        }
    }
    if args.replace {
        words.push("--replace".into());
    }
    words.extend(args.reach.shown());
    let quoted: Vec<String> = words.iter().map(|word| quote(word)).collect();
    quoted.join(" ")
}

/// A word as a shell takes it.
pub fn quote(word: &str) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || "-_./:,=@+".contains(c);
    match !word.is_empty() && word.chars().all(bare) {
        true => word.to_owned(),
        false => format!("'{}'", line(word).replace('\'', r"'\''")),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Arguments {
        #[command(flatten)]
        args: Args,
    }

    fn args(words: &str) -> Args {
        Arguments::parse_from(format!("deploy {words}").split(' ')).args
    }

    #[test]
    fn approvals_go_into_the_query_and_no_character_breaks_out() {
        assert_eq!(target(&args("a.wasm")), "/deployments");
        let two = target(&args("a.wasm --approve sql,queue:x --approve-function f"));
        assert_eq!(
            two,
            "/deployments?approve=sql%2Cqueue%3Ax&approve-functions=f"
        );
        assert_eq!(
            target(&args("a.wasm --approve a&b=c#d")),
            "/deployments?approve=a%26b%3Dc%23d"
        );
        let replacing = target(&args("a.wasm --approve sql --replace"));
        assert_eq!(replacing, "/deployments?approve=sql&replace=true");
    }

    #[test]
    fn the_command_shown_keeps_what_was_said_and_adds_what_is_asked_for() {
        let said = args("my.wasm --approve sql --admin http://127.0.0.1:9");
        let asks = [
            "outbound:https://*.example.com",
            "consume:letters",
            "reuse:shared",
            "function:lower_title@sha256:00",
            "function:f",
            "shared:country",
            "scan:all_notes@sha256:00",
        ];
        assert_eq!(
            approving(&said, None, &asks.map(str::to_owned)),
            "hearth deploy my.wasm --approve 'sql,outbound:https://*.example.com,consume:letters,reuse:shared' \
             --approve-function lower_title@sha256:00,f --approve-shared country \
             --approve-scan all_notes@sha256:00 --admin http://127.0.0.1:9"
        );
    }

    #[test]
    fn a_refused_replacement_is_answered_with_the_command_that_means_it() {
        let said = args("my.wasm --approve sql");
        let refused = |step: &str, asks: &[&str]| RefusedDeploy {
            plugin: "tickets".into(),
            step: step.into(),
            reasons: vec!["it is mounted elsewhere".into()],
            asks: asks.iter().map(|ask| (*ask).to_owned()).collect(),
            functions: Vec::new(),
            scans: Vec::new(),
        };
        let replacing = advice(&said, None, &refused(REPLACE, &[]));
        assert!(replacing.ends_with("\n  hearth deploy my.wasm --approve sql --replace\n"));
        assert_eq!(advice(&said, None, &refused("compile", &[])), "");
        // What was meant once stays said when something else is asked for.
        let meant = args("my.wasm --replace");
        let asked = advice(&meant, None, &refused("grants", &["log"]));
        assert!(asked.ends_with("\n  hearth deploy my.wasm --approve log --replace\n"));
    }

    #[test]
    fn a_word_reaches_the_shell_as_it_is() {
        assert_eq!(quote("a b'c"), r"'a b'\''c'");
        assert_eq!(quote(""), "''");
        assert_eq!(quote("$(x)"), "'$(x)'");
    }
}
