//! What a Postgres allows a statement to take of its machine, and what it does for its
//! own upkeep.

use anyhow::Context;
use tokio_postgres::Row;

use super::{DoctorReport, Finding, Note, served};
use crate::cli::open::postgres_dir;
use crate::embedded::postgres::running_url;
use hearth_backend::postgres::{OpenError, Server};
use hearth_server::config::Config;

pub(super) const AREA: &str = "database";

/// What is looked at, in one answer. Sizes are in KiB.
const FACTS: &str = "
    SELECT current_user::text, rolsuper,
           (SELECT setting::bigint FROM pg_settings WHERE name = 'temp_file_limit'),
           (SELECT setting::bigint FROM pg_settings WHERE name = 'work_mem'),
           (SELECT setting::float8 FROM pg_settings WHERE name = 'hash_mem_multiplier'),
           (SELECT setting::bigint FROM pg_settings WHERE name = 'max_connections'),
           (SELECT setting::bigint * current_setting('block_size')::bigint / 1024
            FROM pg_settings WHERE name = 'effective_cache_size'),
           current_setting('autovacuum')::boolean AND current_setting('track_counts')::boolean
    FROM pg_roles WHERE rolname = current_user";

#[derive(Clone, Debug)]
struct Facts {
    role: String,
    is_superuser: bool,
    /// -1 is no limit.
    temp_file_limit_kib: i64,
    work_mem_kib: i64,
    hash_mem_multiplier: f64,
    max_connections: i64,
    effective_cache_kib: i64,
    vacuums: bool,
}

/// Adds what is wrong with the configured Postgres, or with the private one of the host
/// that serves.
pub(super) async fn look(config: &Config, report: &mut DoctorReport) -> anyhow::Result<()> {
    let by_url = config.database.url.as_ref();
    let url = match by_url {
        Some(url) => url.expose().to_string(),
        None => running_url(&postgres_dir(config)).context(
            "the private Postgres is not running, so it cannot be checked: start the host first, \
             or name a Postgres in HEARTH_DATABASE_URL",
        )?,
    };
    let server = open(config, &url).await.context("the database")?;
    let client = server.host().get().await.context("the database")?;
    let facts = client.query_one(FACTS, &[]).await.context("the database")?;
    let facts = facts_of(&facts).context("the database")?;
    report.findings.extend(bounds(&facts));
    // The private one is the host's own, and its processes have limits of the kernel.
    if by_url.is_some() {
        report.findings.extend(privileges(&facts));
        report.notes.push(unseen());
    }
    let looked = served::look(&client, config, report).await;
    looked.context("the database")
}

async fn open(config: &Config, url: &str) -> Result<Server, OpenError> {
    let mut limits = config.database.clone();
    // Whoever asks now does not wait for a server that starts.
    limits.start_ms_max = 0;
    Server::open(limits, url).await
}

fn facts_of(row: &Row) -> Result<Facts, tokio_postgres::Error> {
    Ok(Facts {
        role: row.try_get(0)?,
        is_superuser: row.try_get(1)?,
        temp_file_limit_kib: row.try_get(2)?,
        work_mem_kib: row.try_get(3)?,
        hash_mem_multiplier: row.try_get(4)?,
        max_connections: row.try_get(5)?,
        effective_cache_kib: row.try_get(6)?,
        vacuums: row.try_get(7)?,
    })
}

pub(super) fn finding(code: &'static str, problem: String, remedy: &str) -> Finding {
    Finding {
        area: AREA,
        code,
        problem,
        remedy: remedy.to_owned(),
    }
}

fn bounds(facts: &Facts) -> impl Iterator<Item = Finding> {
    let temp_files = (facts.temp_file_limit_kib < 0).then(|| {
        finding(
            "temp-files-unlimited",
            "temp_file_limit is -1: one statement of a plugin may fill the disk with temporary \
             files"
                .to_owned(),
            "set it for the server, for example: ALTER SYSTEM SET temp_file_limit = '1GB'; \
             SELECT pg_reload_conf(); where a service has parameter groups, in its group",
        )
    });
    let autovacuum = (!facts.vacuums).then(|| {
        finding(
            "autovacuum-off",
            "autovacuum or track_counts is off: the tables of queues and deliveries grow without \
             end, and statements get slower"
                .to_owned(),
            "turn both on: ALTER SYSTEM SET autovacuum = on; ALTER SYSTEM SET track_counts = on; \
             SELECT pg_reload_conf()",
        )
    });
    temp_files
        .into_iter()
        .chain(sort_memory(facts))
        .chain(autovacuum)
}

/// `effective_cache_size` is the server's own idea of the memory that it may count on.
fn sort_memory(facts: &Facts) -> Option<Finding> {
    let connections = facts.max_connections as f64;
    let kib = facts.work_mem_kib as f64 * facts.hash_mem_multiplier.max(1.0) * connections;
    let problem = format!(
        "work_mem ({} MiB) times hash_mem_multiplier ({}) times max_connections ({}) is {:.0} MiB, \
         more than effective_cache_size ({} MiB): with one sort or hash on each connection the \
         machine may be out of memory",
        facts.work_mem_kib >> 10,
        facts.hash_mem_multiplier,
        facts.max_connections,
        kib / 1024.0,
        facts.effective_cache_kib >> 10,
    );
    let remedy = "lower work_mem, hash_mem_multiplier or max_connections (Hearth opens \
                  database.connections_max of them for each host), or set effective_cache_size to \
                  what the machine has for caches";
    (kib > facts.effective_cache_kib as f64).then(|| finding("sort-memory", problem, remedy))
}

fn privileges(facts: &Facts) -> Option<Finding> {
    let problem = format!(
        "the role {} is a superuser: an attacker who gets past the host controls the whole \
         database server and its machine",
        facts.role
    );
    let remedy = "give the host its own role that owns its database and has CREATEROLE only: \
                  CREATE ROLE name LOGIN CREATEROLE PASSWORD '...'; GRANT name TO CURRENT_USER; \
                  CREATE DATABASE name OWNER name";
    facts
        .is_superuser
        .then(|| finding("superuser", problem, remedy))
}

/// There is no setting of Postgres for it, and SQL does not show the machine.
fn unseen() -> Note {
    Note {
        area: AREA,
        code: "statement-memory",
        text: "the memory of one statement has no limit in Postgres, and SQL cannot show limits \
               outside it: give the server's service or container a limit of memory (MemoryMax, \
               --memory) and LimitAS for each process, let the kernel end a backend before the \
               postmaster (PG_OOM_ADJUST_FILE=/proc/self/oom_score_adj, PG_OOM_ADJUST_VALUE=500), \
               and turn overcommit off (vm.overcommit_memory = 2) where nothing else runs there"
            .to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sound() -> Facts {
        Facts {
            role: "hearth".into(),
            is_superuser: false,
            temp_file_limit_kib: 1 << 20,
            work_mem_kib: 4 << 10,
            hash_mem_multiplier: 2.0,
            max_connections: 100,
            effective_cache_kib: 4 << 20,
            vacuums: true,
        }
    }

    fn codes(facts: &Facts) -> Vec<&'static str> {
        let all = bounds(facts).chain(privileges(facts));
        all.map(|finding| finding.code).collect()
    }

    #[test]
    fn defaults_with_a_limit_of_temporary_files_are_sound() {
        assert!(codes(&sound()).is_empty());
    }

    #[test]
    fn each_fact_has_a_finding_of_its_own() {
        let temp = Facts {
            temp_file_limit_kib: -1,
            ..sound()
        };
        assert_eq!(codes(&temp), ["temp-files-unlimited"]);
        let memory = Facts {
            work_mem_kib: 64 << 10,
            ..sound()
        };
        assert_eq!(codes(&memory), ["sort-memory"]);
        let told = bounds(&memory).next().unwrap().problem;
        assert!(
            told.contains("is 12800 MiB, more than effective_cache_size (4096 MiB)"),
            "{told}"
        );
        let vacuum = Facts {
            vacuums: false,
            ..sound()
        };
        assert_eq!(codes(&vacuum), ["autovacuum-off"]);
        let role = Facts {
            is_superuser: true,
            ..sound()
        };
        assert_eq!(codes(&role), ["superuser"]);
    }
}
