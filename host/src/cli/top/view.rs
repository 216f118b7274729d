//! The tables of `hearth top`.

use std::io::{self, Write};

use super::page::{Label, Page, quantile};
use crate::cli::admin::table;

const PLUGINS: [&str; 9] = [
    "PLUGIN", "REQ/S", "5XX/S", "P50 MS", "P99 MS", "CPU %", "SQL/S", "SQL %", "RUNNING",
];
const QUEUES: [&str; 6] = ["QUEUE", "WAITING", "DELAYED", "LEASED", "DEAD", "OLDEST S"];

/// What two pages tell of the time between them.
struct Interval<'p> {
    before: &'p Page,
    now: &'p Page,
    seconds: f64,
}

/// Writes what happened between two pages, so many seconds apart.
pub fn write(before: &Page, now: &Page, seconds: f64, out: &mut dyn Write) -> io::Result<()> {
    let interval = Interval {
        before,
        now,
        seconds,
    };
    writeln!(out, "{}\n", interval.summary())?;
    let plugins = now.values("hearth_instances_in_flight", "plugin");
    let rows: Vec<_> = plugins.iter().map(|name| interval.plugin(name)).collect();
    table::write(PLUGINS, &rows, out)?;
    let queues = now.values("hearth_queue_depth", "queue");
    if queues.is_empty() {
        return Ok(());
    }
    writeln!(out)?;
    let rows: Vec<_> = queues.iter().map(|name| interval.queue(name)).collect();
    table::write(QUEUES, &rows, out)
}

impl Interval<'_> {
    fn summary(&self) -> String {
        let (requests, now) = (self.rate("hearth_requests_total", &[]), self.now);
        let resident = now.sum("hearth_process_resident_bytes", &[]) / f64::from(1 << 20);
        let connections = now.sum("hearth_connections", &[]);
        let count = "hearth_db_client_connection_count";
        let used = now.sum(count, &[("state", "used")]);
        let pending = now.sum("hearth_db_client_connection_pending_requests", &[]);
        format!(
            "{requests:.0} requests/s, {connections:.0} connections, {resident:.0} MiB; Postgres: \
             {used:.0} connections used, {pending:.0} calls waiting for one"
        )
    }

    /// By how much a number grew in a second.
    fn rate(&self, name: &str, labels: &[Label<'_>]) -> f64 {
        // A host that was started anew counts from zero.
        let grown = self.now.sum(name, labels) - self.before.sum(name, labels);
        grown.max(0.0) / self.seconds
    }

    fn plugin(&self, name: &str) -> [String; PLUGINS.len()] {
        let labels = [("plugin", name)];
        let percent = |name| format!("{:.1}", 100.0 * self.rate(name, &labels));
        let milliseconds = |part| {
            let name = "hearth_request_seconds";
            let bound = quantile(self.before, self.now, name, &labels, part);
            bound.map_or_else(|| "-".to_owned(), |bound| format!("{}", bound * 1_000.0))
        };
        let sql = "hearth_db_client_operation_duration_seconds_count";
        [
            name.to_owned(),
            format!("{:.1}", self.rate("hearth_requests_total", &labels)),
            format!("{:.1}", self.failures(name)),
            milliseconds(0.5),
            milliseconds(0.99),
            percent("hearth_guest_cpu_seconds_sum"),
            format!("{:.1}", self.rate(sql, &labels)),
            percent("hearth_db_client_operation_duration_seconds_sum"),
            format!("{}", self.now.sum("hearth_instances_in_flight", &labels)),
        ]
    }

    fn failures(&self, plugin: &str) -> f64 {
        let name = "hearth_requests_total";
        let statuses = self.now.values(name, "status").into_iter();
        let failures = statuses.filter(|status| status.starts_with('5'));
        let each =
            failures.map(|status| self.rate(name, &[("plugin", plugin), ("status", status)]));
        each.fold(0.0, |sum, rate| sum + rate)
    }

    fn queue(&self, name: &str) -> [String; QUEUES.len()] {
        let depth = |state| {
            let labels = [("queue", name), ("state", state)];
            format!("{}", self.now.sum("hearth_queue_depth", &labels))
        };
        let age = "hearth_queue_oldest_age_seconds";
        let age = self.now.sum(age, &[("queue", name)]);
        [
            name.to_owned(),
            depth("waiting"),
            depth("delayed"),
            depth("leased"),
            depth("dead"),
            format!("{age:.0}"),
        ]
    }
}
