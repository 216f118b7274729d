//! `hearth doctor`: what it finds, what it says to do, and that it changes nothing.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;
use tokio_postgres::{Client, NoTls};

use crate::harness::fleet::Fleet;
use crate::harness::host::{Setup, binary};
use crate::harness::postgres::{External, free_port};

const PASSWORD: &str = "let me in";

/// Runs it in that folder, with that Postgres.
fn doctor(folder: &Path, url: Option<&str>, args: &[&str]) -> Output {
    let mut command = Command::new(binary());
    command.arg("doctor").args(args).current_dir(folder);
    let hearths = std::env::vars().filter(|(name, _)| name.starts_with("HEARTH_"));
    for (name, _) in hearths {
        command.env_remove(name);
    }
    if let Some(url) = url {
        command.env("HEARTH_DATABASE_URL", url);
    }
    command.output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The exit status, and the codes of what was found and noted.
fn codes(output: &Output) -> (i32, Vec<String>, Vec<String>) {
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let of = |list: &str| -> Vec<String> {
        let entries = report[list].as_array().unwrap().iter();
        entries
            .map(|one| one["code"].as_str().unwrap().to_owned())
            .collect()
    };
    (output.status.code().unwrap(), of("findings"), of("notes"))
}

async fn connect(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

/// Changes settings of a server, and waits until they hold.
async fn set(client: &Client, settings: &[(&str, &str)]) {
    for (name, value) in settings {
        let text = format!("ALTER SYSTEM SET {name} = '{value}'");
        client.batch_execute(&text).await.unwrap();
    }
    client
        .batch_execute("SELECT pg_reload_conf()")
        .await
        .unwrap();
    for (name, value) in settings {
        let text = format!("SHOW {name}");
        crate::harness::postgres::until(async || {
            let row = client.query_one(&text, &[]).await.unwrap();
            row.get::<_, &str>(0) == *value
        })
        .await;
    }
}

#[tokio::test]
async fn each_thing_that_a_database_by_url_lets_happen_is_found_with_what_to_do() {
    let (server, folder) = (External::start().await, tempfile::tempdir().unwrap());
    let url = server.url("127.0.0.1", "?sslmode=disable");
    crate::harness::postgres::until(async || tokio_postgres::connect(&url, NoTls).await.is_ok())
        .await;
    let client = connect(&url).await;
    let found = codes(&doctor(folder.path(), Some(&url), &["--json"]));
    let notes = vec!["statement-memory".to_owned()];
    let expected = ["temp-files-unlimited", "superuser"]
        .map(String::from)
        .to_vec();
    assert_eq!(found, (1, expected, notes.clone()));
    set(&client, &[("work_mem", "64MB"), ("autovacuum", "off")]).await;
    let found = codes(&doctor(folder.path(), Some(&url), &["--json"]));
    let expected = [
        "temp-files-unlimited",
        "sort-memory",
        "autovacuum-off",
        "superuser",
    ];
    assert_eq!(found, (1, expected.map(String::from).to_vec(), notes));
    let output = doctor(folder.path(), Some(&url), &[]);
    let told = text(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{told}");
    for part in [
        "database: temp_file_limit is -1",
        "ALTER SYSTEM SET temp_file_limit = '1GB'",
        "the role owner is a superuser",
        "CREATEROLE",
        "work_mem (64 MiB)",
        "autovacuum",
        "note: database: the memory of one statement",
        "4 findings",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
    assert!(!told.contains(PASSWORD), "{told}");
    // It looked, and that is all: there is no schema of the host's.
    let schemas = "SELECT FROM pg_namespace WHERE nspname = 'hearth'";
    assert!(client.query(schemas, &[]).await.unwrap().is_empty());
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn sound_database_by_url_has_no_finding_and_what_sql_cannot_see_is_noted() {
    let (server, folder) = (External::start().await, tempfile::tempdir().unwrap());
    let url = server.url("127.0.0.1", "?sslmode=disable");
    crate::harness::postgres::until(async || tokio_postgres::connect(&url, NoTls).await.is_ok())
        .await;
    let client = connect(&url).await;
    set(&client, &[("temp_file_limit", "1GB")]).await;
    let role = "CREATE ROLE modest LOGIN CREATEROLE PASSWORD 'let me in'";
    client.batch_execute(role).await.unwrap();
    let url = url.replace("owner:", "modest:");
    let found = codes(&doctor(folder.path(), Some(&url), &["--json"]));
    assert_eq!(found, (0, vec![], vec!["statement-memory".to_owned()]));
    let output = doctor(folder.path(), Some(&url), &[]);
    assert!(
        text(&output.stdout).ends_with("no problems found\n"),
        "{output:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn private_database_of_a_host_that_serves_is_sound() {
    let host = Setup::new().start();
    let output = host.cli(&["doctor", "--json"]);
    assert_eq!(codes(&output), (0, vec![], vec![]), "{output:?}");
}

#[test]
fn what_cannot_be_looked_at_is_told_with_a_status_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let away = format!(
        "postgres://owner:hunter2@127.0.0.1:{}/postgres",
        free_port()
    );
    let output = doctor(folder.path(), Some(&away), &["--json"]);
    let told = text(&output.stderr);
    assert_eq!(
        (output.status.code(), output.stdout.len()),
        (Some(2), 0),
        "{told}"
    );
    assert!(told.contains("Postgres did not answer"), "{told}");
    assert!(!told.contains("hunter2"), "{told}");
    let output = doctor(folder.path(), None, &[]);
    let told = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{told}");
    assert!(told.contains("start the host first"), "{told}");
    assert_eq!(
        std::fs::read_dir(folder.path()).unwrap().count(),
        0,
        "it made nothing"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_hosts_made_of_a_database_is_found_and_approved_scans_are_noted() {
    let fleet = Fleet::start().await;
    let host = fleet.host(|setup| {
        setup
            .config("[telemetry]\nlog_format = \"json\"")
            .guest("effects", &["sql"], "")
    });
    let admin = fleet.cluster.connect(None).await;
    let found = codes(&host.cli(&["doctor", "--json"])).1;
    assert!(!found.contains(&"never-analysed".to_owned()), "{found:?}");
    admin
        .batch_execute(
            "ALTER TABLE plugin_effects.rows SET (autovacuum_enabled = false);
             INSERT INTO plugin_effects.rows (customer_id, id)
             SELECT 'acme', n::text FROM generate_series(1, 2000) n",
        )
        .await
        .unwrap();
    crate::harness::postgres::until(async || {
        let found = codes(&host.cli(&["doctor", "--json"])).1;
        found.contains(&"never-analysed".to_owned())
    })
    .await;
    let told = text(&host.cli(&["doctor"]).stdout);
    for part in [
        "plugin_effects.rows has 2000 rows and was never analysed",
        "ANALYZE plugin_effects.rows",
        "note: database: the statement count of effects@1 reads all rows of a customer",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
    let analyse = "ANALYZE plugin_effects.rows";
    admin.batch_execute(analyse).await.unwrap();
    let (_, found, notes) = codes(&host.cli(&["doctor", "--json"]));
    assert!(!found.contains(&"never-analysed".to_owned()), "{found:?}");
    assert!(notes.contains(&"approved-scan".to_owned()), "{notes:?}");
}

#[tokio::test]
async fn hosts_that_want_more_connections_than_there_are_are_found() {
    let (server, folder) = (External::start().await, tempfile::tempdir().unwrap());
    let url = server.url("127.0.0.1", "?sslmode=disable");
    crate::harness::postgres::until(async || tokio_postgres::connect(&url, NoTls).await.is_ok())
        .await;
    let config = "[database]\nconnections_max = 5_000\n";
    std::fs::write(folder.path().join("hearth.toml"), config).unwrap();
    let found = codes(&doctor(folder.path(), Some(&url), &["--json"]));
    assert!(found.1.contains(&"connections".to_owned()), "{found:?}");
}
