//! The commands, one file each.

pub mod compile;
pub mod demo;
pub mod keys;
pub mod load;
pub mod open;
pub mod pack;
pub mod serve;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::config::ConfigErrors;

/// EX_USAGE of sysexits(3): the configuration or the command line is wrong.
const USAGE: u8 = 64;

/// Hearth: a host for WebAssembly plugins.
#[derive(Debug, Parser)]
#[command(name = "hearth", version, about, arg_required_else_help = true)]
pub struct Cli {
    /// The configuration file; `hearth.toml` here, where there is one.
    #[arg(long, global = true, env = "HEARTH_CONFIG")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve the plugins that the configuration names.
    Serve(serve::Args),
    /// API keys of customers.
    #[command(subcommand)]
    Keys(keys::Command),
    /// Send many requests at once to a running host and tell how long they took.
    Load(Box<load::Args>),
    /// Put component, manifest, migrations, statements and OpenAPI into one file.
    Pack(pack::Args),
    #[command(hide = true)]
    Compile(compile::Args),
}

impl Cli {
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let config = self.config.as_deref();
        match self.command {
            Command::Load(args) => return load::run(*args, &mut std::io::stdout()),
            Command::Serve(args) => serve::run(args, config),
            Command::Keys(command) => open::with_database(config, async |server, secret| {
                keys::run(command, server, secret, &mut std::io::stdout()).await
            }),
            Command::Pack(args) => pack::run(&args, &mut std::io::stdout()),
            Command::Compile(args) => compile::run(&args),
        }
        .map(|()| ExitCode::SUCCESS)
    }
}

/// 64 for a wrong configuration, 1 for everything else.
pub fn exit_code(error: &anyhow::Error) -> ExitCode {
    match error.is::<ConfigErrors>() {
        true => ExitCode::from(USAGE),
        false => ExitCode::FAILURE,
    }
}
