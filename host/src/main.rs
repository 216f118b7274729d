//! `hearth`: parse, run, exit. The wiring of the host is in `cli::serve`.

use std::process::ExitCode;

use clap::Parser;
use hearth::cli::{Cli, exit_code};

fn main() -> ExitCode {
    Cli::parse().run().unwrap_or_else(|error| {
        eprintln!("hearth: {error:#}");
        exit_code(&error)
    })
}
