//! `hearth pack`.

use std::fs;
use std::path::Path;

use hearth::capability::sql::gate::definitions;
use hearth::capability::sql::statement::encode;
use hearth::cli::pack::{Args, run};
use hearth::plugin::package::Package;

use super::{HANDLER, MANIFEST, SQL, component, declared};

/// A folder with a plugin to pack.
fn folder(manifest: &str, migration: &str, component: &[u8]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, content: &[u8]| fs::write(folder.path().join(name), content).unwrap();
    write("plugin.toml", manifest.as_bytes());
    write("component.wasm", component);
    fs::create_dir(folder.path().join("migrations")).unwrap();
    write("migrations/0001_create_ticket.sql", migration.as_bytes());
    write("migrations/README.md", b"not SQL");
    folder
}

fn packed(folder: &Path) -> Result<String, String> {
    let args = Args {
        component: folder.join("component.wasm"),
        manifest: folder.join("plugin.toml"),
        out: folder.join("packed.wasm"),
    };
    let mut out = Vec::new();
    run(&args, &mut out).map_err(|error| format!("{error:#}"))?;
    Ok(String::from_utf8(out).unwrap())
}

#[test]
fn the_command_writes_the_file_and_tells_its_digest() {
    let manifest = format!("{MANIFEST}[sql]\nmigrations = \"migrations\"\n");
    let component = component(
        &[SQL],
        &[HANDLER],
        &[encode(&[declared("SELECT id FROM a WHERE x = $1")])],
    );
    let folder = folder(&manifest, "CREATE TABLE a (id uuid)", &component);
    let told = packed(folder.path()).unwrap();
    let package = Package::read(fs::read(folder.path().join("packed.wasm")).unwrap()).unwrap();
    let bytes = package.component.len();
    assert_eq!(
        told,
        format!("tickets 0.1.0, {bytes} bytes, {}\n", package.digest)
    );
    assert_eq!(package.migrations[0].name, "create_ticket");
    assert_eq!(package.migrations.len(), 1);
}

#[test]
fn the_command_tells_what_is_consumed_and_sent_by_the_clock() {
    let more = "[[queues]]\nname = \"letters\"\nwindow_ms = 50\n[[schedule]]\nname = \"daily\"\n\
                cron = \"@daily\"\nqueue = \"letters\"\nmessage = \"[1]\"\nfor = \"each-customer\"\n";
    let manifest = MANIFEST.replace("\"plugin\"", "\"full\"") + more;
    let consumer = "hearth:plugin/consumer@0.1.0";
    let folder = folder(
        &manifest,
        "SELECT 1",
        &component(&[], &[HANDLER, consumer], &[]),
    );
    let told = packed(folder.path()).unwrap();
    let more: Vec<&str> = told.lines().skip(1).collect();
    assert_eq!(
        more,
        [
            "  consumes letters: batches of 10, 4 at once, 5 attempts, 1000 to 300000 ms between \
             them, gathered for 50 ms",
            "  sends daily: @daily UTC to letters, for each-customer: [1]"
        ]
    );
}

#[test]
fn the_command_tells_what_an_operator_must_approve_of_the_sql() {
    let manifest = format!(
        "{MANIFEST}[sql]\nmigrations = \"migrations\"\nshared = [\"country\"]\n\
         functions = [\"touch\", \"pg_sleep\"]\n"
    );
    let sql = "CREATE FUNCTION touch() RETURNS int LANGUAGE sql RETURN 1";
    let folder = folder(&manifest, sql, &component(&[], &[HANDLER], &[]));
    let told = packed(folder.path()).unwrap();
    let [defined] = &definitions([sql])[..] else {
        panic!("{sql} defines one function")
    };
    let more: Vec<&str> = told.lines().skip(1).collect();
    let touch = format!("  needs the SQL function {}", defined.approval);
    assert_eq!(
        more,
        [
            "  needs the SQL function pg_sleep",
            touch.as_str(),
            "  shares the table country among all customers"
        ]
    );
}

#[test]
fn the_command_refuses_what_the_gate_refuses_and_writes_nothing() {
    let manifest = format!("{MANIFEST}[sql]\nmigrations = \"migrations\"\n");
    let section = |text| encode(&[declared(text)]);
    let set_config = "SELECT set_config('a', $1, true) AS id";
    let cases = [
        (
            "CREATE TABLE a (id uuid)",
            set_config,
            "set_config, which plugins may not call",
        ),
        ("SET ROLE x", "SELECT 1 AS id", "migration 1_create_ticket"),
        (
            "SELECT 1",
            "SELECT id FROM a WHERE x = $1 FOR UPDATE",
            "declared to read",
        ),
    ];
    for (migration, statement, reason) in cases {
        let component = component(&[SQL], &[HANDLER], &[section(statement)]);
        let folder = folder(&manifest, migration, &component);
        let error = packed(folder.path()).unwrap_err();
        assert!(error.contains(reason), "{error}");
        assert!(!folder.path().join("packed.wasm").exists());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 3);
    }
}

#[test]
fn missing_files_and_bad_names_are_told() {
    let manifest = format!("{MANIFEST}[sql]\nmigrations = \"migrations\"\n");
    let component = component(&[], &[HANDLER], &[]);
    let folder = folder(&manifest, "SELECT 1", &component);
    fs::write(folder.path().join("migrations/latest.sql"), "SELECT 1").unwrap();
    assert!(
        packed(folder.path())
            .unwrap_err()
            .contains("0001_create_ticket.sql")
    );
    fs::remove_file(folder.path().join("migrations/latest.sql")).unwrap();
    // What is no migration may lie beside them; what was meant as one is not left out.
    fs::write(folder.path().join("migrations/README.md"), "").unwrap();
    assert!(packed(folder.path()).is_ok());
    for wrong in ["0002_more.SQL", "0002_more.sql.txt", "0002_more"] {
        let file = folder.path().join("migrations").join(wrong);
        fs::write(&file, "SELECT 1").unwrap();
        let error = packed(folder.path()).unwrap_err();
        assert!(
            error.contains(&format!("{wrong}: the name of a migration is invalid")),
            "{error}"
        );
        fs::remove_file(file).unwrap();
    }
    let with_openapi = MANIFEST.replace("world", "openapi = \"api.json\"\nworld");
    fs::write(folder.path().join("plugin.toml"), with_openapi).unwrap();
    assert!(packed(folder.path()).unwrap_err().contains("api.json"));
}
