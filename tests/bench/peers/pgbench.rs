//! The rows of the Python handler, written by Postgres's own load program: one prepared
//! transaction in one round trip, with nothing before it. More is not to be had of the
//! database.

use std::io::Write;
use std::process::Stdio;

use tempfile::NamedTempFile;
use tokio::process::Command;

use super::super::frame::settings;
use super::super::frame::wrk::{CONNECTIONS, WrkResult};
use crate::harness::tool::tool;

const ROWS: &str = r#"\set number random(1, 9000000000000000)
\startpipeline
BEGIN;
INSERT INTO tickets (id, customer_id, subject, description, priority, status)
VALUES ('tkt_' || gen_random_uuid(), 'c1', 'Test', 'Load test', 'medium', 'new');
INSERT INTO audits (ticket_id, customer_id, events) VALUES ('tkt_' || :number, 'c1', '[{"type": "created"}]');
INSERT INTO outbox (queue, body) VALUES
('w', '{"subject": "Test", "description": "Load test", "priority": "medium"}'),
('n', '{"subject": "Test", "description": "Load test", "priority": "medium"}');
COMMIT;
\endpipeline
"#;

/// One turn in the guide's database. It tells no percentiles.
pub async fn turn(database: &str) -> WrkResult {
    let mut script = NamedTempFile::new().unwrap();
    script.write_all(ROWS.as_bytes()).unwrap();
    let mut command = Command::from(tool("pgbench"));
    command
        .args(["--no-vacuum", "--protocol", "prepared", "--jobs", "1"])
        .args(["--client", &CONNECTIONS.to_string()])
        .args(["--time", &settings::seconds().to_string()])
        .arg("--file")
        .arg(script.path())
        .arg(database)
        .stdin(Stdio::null())
        .kill_on_drop(true);
    let ended = command.output().await.unwrap();
    let told = String::from_utf8_lossy(&ended.stdout).into_owned();
    let erred = String::from_utf8_lossy(&ended.stderr);
    let rate = told.lines().find_map(|line| line.strip_prefix("tps = "));
    let rate = rate.and_then(|rest| rest.split(' ').next()?.parse().ok());
    match rate {
        Some(rate) if ended.status.success() => WrkResult {
            rate,
            p50_us: f64::NAN,
            p99_us: f64::NAN,
        },
        _ => panic!("pgbench: {}\n{told}{erred}", ended.status),
    }
}
