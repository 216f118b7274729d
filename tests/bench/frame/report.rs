//! The rows of a run, in a file that each benchmark adds its own to: so one subject can
//! be measured anew alone, and the table is still whole.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::row::Measurement;
use super::settings;
use crate::harness::host::target;

/// Where the bars' rows are, and those of growing tables.
pub const BENCH: &str = "bench";
pub const GROWTH: &str = "growth";

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Report {
    pub machine: String,
    pub measured_at: String,
    pub rounds: usize,
    pub seconds: u64,
    pub rows: Vec<Measurement>,
}

fn file(name: &str) -> PathBuf {
    target().join("bench").join(format!("{name}.json"))
}

/// Prints rows and keeps them, in place of those of the same names.
pub fn keep(name: &str, rows: Vec<Measurement>) {
    print!("{}", table(&rows));
    let mut report = read(name).unwrap_or_default();
    for row in rows {
        match report.rows.iter_mut().find(|old| old.name == row.name) {
            Some(old) => *old = row,
            None => report.rows.push(row),
        }
    }
    report.machine = machine();
    report.measured_at = jiff::Timestamp::now()
        .strftime("%Y-%m-%d %H:%M UTC")
        .to_string();
    (report.rounds, report.seconds) = (settings::rounds(), settings::seconds());
    let file = file(name);
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(file, serde_json::to_vec_pretty(&report).unwrap()).unwrap();
}

pub fn read(name: &str) -> Option<Report> {
    let bytes = std::fs::read(file(name)).ok()?;
    Some(serde_json::from_slice(&bytes).expect("a report of this version"))
}

/// For a terminal.
pub fn table(rows: &[Measurement]) -> String {
    let lines: Vec<[String; 6]> = std::iter::once(HEAD.map(String::from))
        .chain(rows.iter().map(Measurement::columns))
        .collect();
    let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max();
    let widths: [usize; 6] = std::array::from_fn(|column| width(column).unwrap_or(0));
    let line = |line: &[String; 6]| {
        let cells = line.iter().zip(widths);
        let cells = cells.map(|(cell, width)| format!("{cell:<width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_string() + "\n"
    };
    format!("\n{}", lines.iter().map(line).collect::<String>())
}

pub const HEAD: [&str; 6] = ["what", "ours", "beside", "ratio", "bar", ""];

/// Processors, memory and kernel, as Linux tells of them.
fn machine() -> String {
    let read = |path| std::fs::read_to_string(path).unwrap_or_default();
    let value = |text: &str, name: &str| {
        let line = text.lines().find(|line| line.starts_with(name));
        let value = line.and_then(|line| line.split_once(':'));
        value.map_or(String::from("?"), |(_, value)| value.trim().into())
    };
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let processor = value(&read("/proc/cpuinfo"), "model name");
    let memory = value(&read("/proc/meminfo"), "MemTotal");
    let memory: u64 = memory.trim_end_matches(" kB").parse().unwrap_or_default();
    let kernel = read("/proc/sys/kernel/osrelease");
    format!(
        "{cores} cores of {processor}, {} GiB, Linux {}",
        memory >> 20,
        kernel.trim()
    )
}
