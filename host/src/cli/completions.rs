//! `hearth completions`: what has a shell complete the commands.

use std::io::Write;

use clap::CommandFactory as _;

/// Prints a script for a shell, for example
/// `hearth completions bash > /etc/bash_completion.d/hearth`.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    shell: clap_complete::Shell,
}

/// Runs the command.
pub fn run(args: &Args, out: &mut dyn Write) -> anyhow::Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(
        args.shell,
        &mut super::Cli::command(),
        "hearth",
        &mut script,
    );
    Ok(out.write_all(&script)?)
}
