//! `hearth doctor`: looks at what the host stands on and says what is wrong there. It
//! changes nothing, so it can be run beside a host that serves, or before the first.

mod database;
mod served;

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use serde::Serialize;

use super::admin::table::line;
use super::open;
use hearth_server::config::Config;

/// Exit status where something was found.
const FOUND: u8 = 1;
/// Exit status where it could not look.
const UNSEEN: u8 = 2;

/// Exits with 0 where nothing was found, with 1 where something was, and with 2 where it
/// could not look.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Print the findings as JSON.
    #[arg(long)]
    json: bool,
}

/// Something that an operator should change.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Finding {
    /// What of the host it is about, for example `database`.
    area: &'static str,
    /// For programs. It stays when the texts are changed.
    code: &'static str,
    /// What is wrong, and where.
    problem: String,
    /// What to do about it.
    remedy: String,
}

/// Something that cannot be seen from here, and that an operator should look at.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Note {
    area: &'static str,
    code: &'static str,
    text: String,
}

#[derive(Debug, Default, PartialEq, Eq, Serialize)]
struct DoctorReport {
    findings: Vec<Finding>,
    notes: Vec<Note>,
}

/// Runs the command.
pub fn run(args: &Args, config: Option<&Path>, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    let config = open::config(config)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let report = match runtime.block_on(look(&config)) {
        Ok(report) => report,
        Err(error) => {
            eprintln!("hearth: {error:#}");
            return Ok(ExitCode::from(UNSEEN));
        }
    };
    match args.json {
        true => writeln!(out, "{}", serde_json::to_string(&report)?)?,
        false => write(&report, out)?,
    }
    out.flush()?;
    Ok(match report.findings.is_empty() {
        true => ExitCode::SUCCESS,
        false => ExitCode::from(FOUND),
    })
}

/// One line for each area that there is to look at.
async fn look(config: &Config) -> anyhow::Result<DoctorReport> {
    let mut report = DoctorReport::default();
    database::look(config, &mut report).await?;
    Ok(report)
}

fn write(report: &DoctorReport, out: &mut dyn Write) -> std::io::Result<()> {
    for finding in &report.findings {
        writeln!(
            out,
            "{}: {} ({})",
            finding.area,
            line(&finding.problem),
            finding.code
        )?;
        writeln!(out, "    {}", line(&finding.remedy))?;
    }
    for note in &report.notes {
        writeln!(
            out,
            "note: {}: {} ({})",
            note.area,
            line(&note.text),
            note.code
        )?;
    }
    match report.findings.len() {
        0 => writeln!(out, "no problems found"),
        1 => writeln!(out, "1 finding"),
        count => writeln!(out, "{count} findings"),
    }
}
