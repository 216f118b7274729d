//! The commands, one file each.

pub mod admin;
pub mod build;
pub mod compile;
pub mod completions;
pub mod demo;
pub mod deploy;
pub mod dev;
pub mod diff;
pub mod dlq;
pub mod doctor;
pub mod history;
pub mod inspect;
pub mod keys;
pub mod load;
pub mod logs;
pub mod new;
pub mod open;
pub mod open_files;
pub mod pack;
pub mod rollback;
pub mod secret;
pub mod serve;
pub mod status;
pub mod top;
pub mod undeploy;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use hearth_server::config::ConfigErrors;

/// EX_USAGE of sysexits(3): the configuration or the command line is wrong.
pub const USAGE: u8 = 64;

/// Hearth: a host for WebAssembly plugins.
#[derive(Debug, Parser)]
#[command(name = "hearth", version, about, arg_required_else_help = true)]
pub struct Cli {
    /// The configuration file. Default: `hearth.toml` in this folder, if it exists.
    #[arg(long, global = true, env = "HEARTH_CONFIG")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Create a plugin that builds and runs as it is.
    New(new::Args),
    /// Compile a plugin and pack it into one file.
    Build(build::Args),
    /// Serve a plugin while it is written: each saved version is built and deployed.
    Dev(dev::Args),
    /// Show what a packed plugin consists of and what it asks for.
    Inspect(inspect::Args),
    /// Serve the plugins that the configuration names.
    Serve(serve::Args),
    /// API keys of customers.
    #[command(subcommand)]
    Keys(keys::Command),
    /// The root secret, from which all other keys are derived.
    #[command(subcommand)]
    Secret(secret::Command),
    /// Load-test a running host and show how long its answers took.
    Load(Box<load::Args>),
    /// Pack component, manifest, migrations, statements and OpenAPI document into one
    /// file.
    Pack(pack::Args),
    /// Deploy a packed plugin to the running host.
    Deploy(deploy::Args),
    /// Return to an earlier deployment of a plugin.
    Rollback(rollback::Args),
    /// Show what the running host serves.
    Status(status::Args),
    /// Show every deployment of a plugin, the newest first.
    History(history::Args),
    /// Show the latest lines of the running host's log, and those that follow.
    Logs(logs::Args),
    /// Show what the plugins of the running host do, every few seconds.
    Top(top::Args),
    /// Show what changes between two versions of a plugin.
    Diff(diff::Args),
    /// Dead letters: messages that could not be consumed.
    #[command(subcommand)]
    Dlq(dlq::Command),
    /// Remove a plugin from the running host. Its data and its history are kept.
    Undeploy(undeploy::Args),
    /// Check the host's database, and say what is wrong and what to do.
    Doctor(doctor::Args),
    /// Print a completion script for a shell.
    Completions(completions::Args),
    #[command(hide = true)]
    Compile(compile::Args),
}

impl Cli {
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let config = self.config.as_deref();
        let out = &mut std::io::stdout();
        match self.command {
            Command::Load(args) => return load::run(*args, out),
            Command::Deploy(args) => return deploy::run(&args, config, out),
            Command::Doctor(args) => return doctor::run(&args, config, out),
            Command::Rollback(args) => return rollback::run(&args, config, out),
            Command::Status(args) => status::run(&args, config, out),
            Command::History(args) => history::run(&args, config, out),
            Command::Logs(args) => logs::run(&args, config, out),
            Command::Top(args) => top::run(&args, config, out),
            Command::Diff(args) => diff::run(&args, config, out),
            Command::Dlq(command) => dlq::run(&command, config, out),
            Command::Undeploy(args) => undeploy::run(&args, config, out),
            Command::Serve(args) => serve::run(args, config),
            Command::Keys(command) => open::with_secret(config, async |server, secret| {
                keys::run(command, server, secret, out).await
            }),
            Command::Secret(command) => open::with_database(config, async |config, server| {
                secret::run(command, config, server, out).await
            }),
            Command::Pack(args) => pack::run(&args, out),
            Command::New(args) => new::run(&args, out),
            Command::Build(args) => build::run(&args, out),
            Command::Dev(args) => dev::run(&args, config),
            Command::Inspect(args) => inspect::run(&args, out),
            Command::Completions(args) => completions::run(&args, out),
            Command::Compile(args) => compile::run(&args),
        }
        .map(|()| ExitCode::SUCCESS)
    }
}

/// 64 for a wrong configuration, what an admin command says of itself, 1 for
/// everything else.
pub fn exit_code(error: &anyhow::Error) -> ExitCode {
    if let Some(error) = error.downcast_ref::<admin::Error>() {
        return ExitCode::from(error.exit_code());
    }
    match error.is::<ConfigErrors>() {
        true => ExitCode::from(USAGE),
        false => ExitCode::FAILURE,
    }
}
