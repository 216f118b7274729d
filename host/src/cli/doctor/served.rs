//! What the hosts of this database made of it: their connections, the tables, and the
//! statements that were approved although they read whole tables.

use tokio_postgres::{Client, Error};

use super::database::{AREA, finding};
use super::{DoctorReport, Finding, Note};
use hearth_runtime::capability::sql::gate::approved_name;
use hearth_server::config::Config;

/// What one host opens beside `database.connections_max`: one that listens, three while a
/// plugin is deployed, and two while tables are analysed.
const BESIDE: i64 = 6;
/// Rows of a table that wants statistics.
const ROWS_MIN: i64 = 1_000;

/// Connections that are there for hosts, and hosts that beat of late.
const ROOM: &str = "
    SELECT current_setting('max_connections')::bigint
           - (SELECT coalesce(sum(setting::bigint), 0)::bigint FROM pg_settings
              WHERE name IN ('superuser_reserved_connections', 'reserved_connections'))";
const HOSTS: &str =
    "SELECT count(*) FROM hearth.hosts WHERE seen_at > now() - interval '30 seconds'";
const UNANALYSED: &str = "
    SELECT format('%I.%I', n.nspname, c.relname), pg_stat_get_live_tuples(c.oid)
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind = 'r' AND c.reltuples < 0 AND pg_stat_get_live_tuples(c.oid) >= $1
      AND (n.nspname = 'hearth' OR n.nspname LIKE 'plugin\\_%')
    ORDER BY 2 DESC, 1";
const SCANS: &str = "
    SELECT s.plugin, s.serving, unnest(d.scans)
    FROM hearth.slots s JOIN hearth.deployments d ON (d.plugin, d.number) = (s.plugin, s.serving)
    ORDER BY 1, 3";

/// Before the first host there is nothing but connections to look at.
pub(super) async fn look(
    client: &Client,
    config: &Config,
    report: &mut DoctorReport,
) -> Result<(), Error> {
    let room: i64 = client.query_one(ROOM, &[]).await?.try_get(0)?;
    let there = "SELECT to_regclass('hearth.slots') IS NOT NULL \
                 AND to_regclass('hearth.hosts') IS NOT NULL";
    let is_prepared: bool = client.query_one(there, &[]).await?.try_get(0)?;
    let hosts: i64 = match is_prepared {
        true => client.query_one(HOSTS, &[]).await?.try_get(0)?,
        false => 0,
    };
    let each = i64::from(config.database.connections_max) + BESIDE;
    report.findings.extend(connections(room, each, hosts));
    if !is_prepared {
        return Ok(());
    }
    for row in client.query(UNANALYSED, &[&ROWS_MIN]).await? {
        report
            .findings
            .push(unanalysed(row.try_get(0)?, row.try_get(1)?));
    }
    for row in client.query(SCANS, &[]).await? {
        let (plugin, number): (String, i64) = (row.try_get(0)?, row.try_get(1)?);
        report.notes.push(scan(&plugin, number, row.try_get(2)?));
    }
    Ok(())
}

/// One host is about to come where none is there.
fn connections(room: i64, each: i64, hosts: i64) -> Option<Finding> {
    let hosts = hosts.max(1);
    let wanted = each.saturating_mul(hosts);
    let problem = format!(
        "too many connections: {hosts} host(s) may open {wanted} connections, {each} each \
         (database.connections_max and {BESIDE} more), but the server allows {room}: under load \
         some requests are answered 503"
    );
    let remedy = "raise the server's max_connections, or lower database.connections_max of each \
                  host; 8 for each plugin carry nearly all that Postgres can do";
    (wanted > room).then(|| finding("connections", problem, remedy))
}

fn unanalysed(table: String, rows: i64) -> Finding {
    let problem = format!(
        "{table} has {rows} rows and was never analysed: Postgres plans its statements without \
         statistics"
    );
    let remedy = format!(
        "run: ANALYZE {table}. A running host does so within database.analyse_look_ms; its log \
         says why it could not"
    );
    finding("never-analysed", problem, &remedy)
}

fn scan(plugin: &str, number: i64, approval: &str) -> Note {
    let name = approved_name(approval);
    Note {
        area: AREA,
        code: "approved-scan",
        text: format!(
            "the statement {name} of {plugin}@{number} reads all rows of a customer, as an \
             operator approved it: hearth_db_client_operation_duration_seconds shows whether that \
             is still cheap"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_of_all_hosts_have_to_fit() {
        assert!(connections(97, 54, 0).is_none());
        assert!(connections(97, 54, 1).is_none());
        let found = connections(97, 54, 2).unwrap();
        assert_eq!(found.code, "connections");
        assert!(
            found.problem.contains("2 host(s) may open 108"),
            "{found:?}"
        );
        assert!(connections(50, 54, 0).is_some());
    }

    #[test]
    fn approved_scan_is_told_by_its_name() {
        let note = scan("tickets", 3, "all@sha256:00");
        assert!(note.text.contains("statement all of tickets@3"), "{note:?}");
    }
}
