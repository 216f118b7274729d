//! `hearth compile`: the child process in which components are compiled. Not
//! meant for people; the host runs it.

use std::io::{Read, Write};

use anyhow::Context;
use rustix::process::{Resource, Rlimit, Signal, getrlimit, setrlimit};

use hearth_runtime::engine::config::Config as Limits;
use hearth_runtime::engine::{Family, Layout, compiling};

/// Reads a component from stdin and writes its compiled form to stdout.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The family of the component's world.
    #[arg(long)]
    family: Family,
    /// How the memories of its instances will lie in the process that serves.
    #[arg(long)]
    layout: Layout,
    /// Address space that this process may take.
    #[arg(long)]
    memory_bytes_max: u64,
    /// CPU time that this process may take.
    #[arg(long)]
    cpu_ms_max: u64,
    /// The guest's stack, which is part of the engine's configuration.
    #[arg(long)]
    stack_bytes_max: usize,
}

/// Bounds itself first, then looks at its input.
pub fn run(args: &Args) -> anyhow::Result<()> {
    // A compiler that panics says why; where in its source is nobody's concern.
    std::panic::set_hook(Box::new(|panic| {
        let payload = panic.payload_as_str().unwrap_or("without a message");
        eprintln!("the compiler panicked: {payload}");
    }));
    confine(args).context("this process cannot be confined")?;
    let mut component = Vec::new();
    std::io::stdin().lock().read_to_end(&mut component)?;
    let limits = Limits {
        stack_bytes_max: args.stack_bytes_max,
        ..Limits::default()
    };
    let engine = compiling(&limits, args.family, args.layout)?;
    let code = engine.precompile_component(&component)?;
    std::io::stdout().lock().write_all(&code)?;
    Ok(())
}

/// Ends with its parent, yields to the process that serves, and is killed by the
/// kernel past its memory or its CPU time (setrlimit(2); CPU in whole seconds).
fn confine(args: &Args) -> anyhow::Result<()> {
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
    rustix::process::nice(10)?;
    let seconds = args.cpu_ms_max.div_ceil(1000);
    limit(Resource::As, args.memory_bytes_max)?;
    limit(Resource::Cpu, seconds)?;
    limit(Resource::Core, 0)
}

/// No higher than this process may go already.
fn limit(resource: Resource, to: u64) -> anyhow::Result<()> {
    let most = getrlimit(resource).maximum.unwrap_or(u64::MAX);
    let to = Some(to.min(most));
    Ok(setrlimit(
        resource,
        Rlimit {
            current: to,
            maximum: to,
        },
    )?)
}
