//! `hearth`: parse, run, exit. The wiring of the host is in `cli::serve`.

use std::process::ExitCode;

use clap::Parser;
use hearth::cli::{Cli, USAGE, exit_code};

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(told) => return refuse(&told),
    };
    cli.run().unwrap_or_else(|error| {
        eprintln!("hearth: {error:#}");
        exit_code(&error)
    })
}

/// Help and version are answers; everything else is a wrong command line.
fn refuse(told: &clap::Error) -> ExitCode {
    // Nobody is left to tell where the terminal is gone.
    let _ = told.print();
    match told.use_stderr() {
        true => ExitCode::from(USAGE),
        false => ExitCode::SUCCESS,
    }
}
