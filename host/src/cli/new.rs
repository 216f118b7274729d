//! `hearth new`: a folder with a plugin that is built, tested and served as it stands.
//!
//! ```text
//! hearth new notes
//! hearth new letters --template worker
//! ```

mod embedded;
mod sdk;

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::ValueEnum;

use self::sdk::Sdk;
use super::admin::Error;
use super::admin::table::line;
use hearth_runtime::plugin::manifest::{NAME_RULE, is_name};

/// How a template names the SDK's folder.
const SDK_PATH: &str = "path = \"../../sdk\"";
/// The SDK's own crate: a plugin of that name could not depend on it.
const SDK_NAME: &str = "hearth-plugin";
const WORKSPACE: &str =
    "\n# A project of its own, whatever workspace lies around it.\n[workspace]\n";

/// Makes a folder with a plugin in Rust: its code, a test, a migration, its manifest, and a
/// configuration with which a host serves it.
#[derive(Clone, Debug, clap::Args)]
#[command(
    after_help = "Then `hearth build NAME`, and `hearth deploy` or, in its folder, `hearth \
                        serve --demo`."
)]
pub struct Args {
    /// The name of the plugin and of its folder, for example `notes`.
    #[arg(value_name = "NAME")]
    pub name: String,
    /// The template that it is created from.
    #[arg(long, value_enum, default_value_t = Template::Http)]
    pub template: Template,
    /// The folder of the SDK (plugins/sdk of a checkout). Default: that of the checkout
    /// around this folder; outside a checkout, a copy is written into the project.
    #[arg(long, value_name = "PATH")]
    pub sdk: Option<PathBuf>,
}

/// What a new plugin begins as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Template {
    /// Answers HTTP requests, and keeps notes in SQL.
    Http,
    /// Consumes messages of a queue, which the host sends on a schedule.
    Worker,
    /// Does both, with an OpenAPI document.
    Full,
}

impl Template {
    fn name(self) -> &'static str {
        match self {
            Template::Http => "http",
            Template::Worker => "worker",
            Template::Full => "full",
        }
    }
}

/// Runs the command in the current folder.
pub fn run(args: &Args, out: &mut dyn Write) -> anyhow::Result<()> {
    make(args, &std::env::current_dir()?, out)
}

/// Makes the folder within another one, and tells what is in it and what comes next.
pub fn make(args: &Args, within: &Path, out: &mut dyn Write) -> anyhow::Result<()> {
    check_name(&args.name)?;
    let folder = within.join(&args.name);
    check_folder(&folder, &args.name)?;
    let sdk = Sdk::find(args.sdk.as_deref(), within)?;
    let files = files(args, &sdk);
    for (name, text) in files.iter().chain(&sdk.files()?) {
        write(&folder.join(name), text)?;
    }
    let (name, template) = (&args.name, args.template.name());
    writeln!(out, "created {name} from the template {template}:")?;
    for (file, _) in &files {
        writeln!(out, "  {name}/{file}")?;
    }
    writeln!(out, "  {}", sdk.describe(name))?;
    writeln!(out, "next:\n  hearth build {name}")?;
    writeln!(out, "or, served while you write it:\n  hearth dev {name}")?;
    Ok(out.flush()?)
}

fn check_name(name: &str) -> Result<(), Error> {
    let wrong = match name {
        SDK_NAME => "must not be the SDK's own",
        name if is_name(name) => return Ok(()),
        _ => NAME_RULE,
    };
    Err(Error::Usage(format!(
        "`{}` is not a valid plugin name, which {wrong}: choose another one",
        line(name)
    )))
}

/// One that is empty will do.
fn check_folder(folder: &Path, name: &str) -> Result<(), Error> {
    let taken = match fs::read_dir(folder) {
        Ok(mut entries) => entries.next().is_some(),
        Err(_) => folder.exists(),
    };
    match taken {
        false => Ok(()),
        true => Err(Error::Usage(format!(
            "{name} already exists and is not an empty folder: choose another name or another \
             folder; nothing was changed"
        ))),
    }
}

/// The template's files under the plugin's name.
fn files(args: &Args, sdk: &Sdk) -> Vec<(String, String)> {
    let template = args.template.name();
    let called = format!("template-{template}");
    let prefix = format!("{template}/");
    let named = embedded::TEMPLATES.iter().filter_map(|(path, text)| {
        let path = path.strip_prefix(&prefix)?;
        let mut text = text.replace(&called, &args.name);
        if path == "Cargo.toml" {
            let at = format!("path = {:?}", sdk.path());
            text = text.replace(SDK_PATH, &at) + WORKSPACE;
        }
        Some((path.to_owned(), text))
    });
    // The versions of crates with which this host's own plugins were built. Cargo takes out
    // of it what the project does not use.
    let lock = ("Cargo.lock".to_owned(), embedded::LOCK.to_owned());
    named.chain([lock]).collect()
}

fn write(file: &Path, text: &str) -> anyhow::Result<()> {
    let folder = file.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder)
        .and_then(|()| fs::write(file, text))
        .with_context(|| format!("cannot write {}", file.display()))
}
