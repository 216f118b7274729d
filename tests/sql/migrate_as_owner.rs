//! What a migration runs, it runs as the plugin's owner: `session_user` and
//! `current_user`, whichever way and whenever Postgres comes to run it.
//!
//! The corpus goes below the gate, which refuses most of these: a table of the plugin
//! has a trigger, made by a superuser, that runs every line inserted into it. So a
//! migration of the usual path does what no migration may say.

mod ways;

use std::sync::Arc;

use hearth::backend::postgres::{Config as PostgresConfig, Server};
use tokio_postgres::Client;

use super::fixture::{Caller, Fixture, Package, migration};
use crate::harness::postgres::Cluster;
use ways::{REACHES, WAYS, Way};

/// The host's role: it may make roles, and is no superuser.
const KEEPER: &str = "keeper";

/// The tables that some ways leave behind: they have work for the COMMIT.
const SHARED: [&str; 5] = ["seen", "script", "spring", "spring_again", "exclusive"];

const TABLES: &str = "
    CREATE TABLE seen (way text NOT NULL, login text NOT NULL, role text NOT NULL);
    CREATE TABLE script (line text NOT NULL);
    CREATE TABLE spring (id int);
    CREATE TABLE spring_again (id int);
    CREATE TABLE exclusive (id int)";

/// What a superuser makes in the plugin's name, below the gate.
const FUNCTIONS: &str = "
    CREATE FUNCTION plugin_notes.note(way text) RETURNS int LANGUAGE plpgsql AS $$
    BEGIN
        INSERT INTO plugin_notes.seen VALUES ($1, session_user, current_user);
        RETURN 1;
    END $$;
    CREATE FUNCTION plugin_notes.spy(way text, of_row int) RETURNS int IMMUTABLE
    LANGUAGE plpgsql AS $$ BEGIN RETURN plugin_notes.note($1); END $$;
    CREATE FUNCTION plugin_notes.fire() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN PERFORM plugin_notes.note(TG_ARGV[0]); RETURN NEW; END $$;
    CREATE FUNCTION plugin_notes.run() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN EXECUTE NEW.line; RETURN NEW; END $$;
    CREATE TRIGGER run BEFORE INSERT ON plugin_notes.script
    FOR EACH ROW EXECUTE FUNCTION plugin_notes.run()";

/// A cluster whose host has CREATEROLE and a database of its own, and in which every
/// role but the superuser and that one logs in with its password.
async fn start(cluster: Cluster) -> (Fixture, Client) {
    let admin = cluster.connect(None).await;
    let keeper = format!("CREATE ROLE {KEEPER} LOGIN CREATEROLE");
    admin.batch_execute(&keeper).await.unwrap();
    let database = format!("ALTER DATABASE hearth OWNER TO {KEEPER}");
    admin.batch_execute(&database).await.unwrap();
    let rules = format!("local all hearth,{KEEPER} trust\nlocal all all scram-sha-256\n");
    std::fs::write(cluster.dir().join("data/pg_hba.conf"), rules).unwrap();
    let reload = "SELECT pg_reload_conf()";
    admin.batch_execute(reload).await.unwrap();
    let url = cluster.url().replace("hearth@", &format!("{KEEPER}@"));
    let server = Server::open(PostgresConfig::default(), &url).await.unwrap();
    server.prepare_database().await.unwrap();
    let server = Arc::new(server);
    (Fixture::of(cluster, server, Default::default()), admin)
}

fn package(lines: &[&str]) -> Package {
    let run = |line: &&str| format!("INSERT INTO script (line) VALUES ($line${line}$line$)");
    let script: Vec<String> = lines.iter().map(run).collect();
    let texts = std::iter::once(TABLES).chain(script.iter().map(String::as_str));
    Package {
        shared: SHARED.map(str::to_owned).to_vec(),
        ..Package::migrations(&texts.collect::<Vec<_>>())
    }
}

async fn owner(admin: &Client) -> String {
    let text = "SELECT rolname::text FROM pg_roles WHERE rolname LIKE 'hearth\\_owner\\_%\\_notes'";
    admin.query_one(text, &[]).await.unwrap().get(0)
}

/// The tables through the gate, then what only a superuser could add to them.
async fn prepare(fixture: &Fixture, admin: &Client) -> String {
    fixture.lend(package(&[])).await;
    let owner = owner(admin).await;
    let text = format!("SET ROLE {owner}; {FUNCTIONS}; RESET ROLE");
    admin.batch_execute(&text).await.unwrap();
    owner
}

/// Who was seen on each way, and whether nobody can log in as the owner meanwhile.
async fn all_ways(cluster: Cluster) {
    let (fixture, admin) = start(cluster).await;
    let owner = prepare(&fixture, &admin).await;
    let version: String = admin
        .query_one("SHOW server_version_num", &[])
        .await
        .unwrap()
        .get(0);
    let version: u32 = version.parse().unwrap();
    let ways: Vec<&Way> = WAYS.iter().filter(|way| way.since <= version).collect();
    let lines: Vec<&str> = ways.iter().map(|way| way.line).collect();
    fixture.lend(package(&lines)).await;
    let text = "SELECT DISTINCT way, login, role FROM plugin_notes.seen";
    let rows = admin.query(text, &[]).await.unwrap();
    let seen: Vec<[String; 3]> = rows
        .iter()
        .map(|row| [0usize, 1, 2].map(|at| row.get(at)))
        .collect();
    for way in &ways {
        let of_way: Vec<_> = seen.iter().filter(|[name, ..]| name == way.name).collect();
        assert!(!of_way.is_empty(), "{} ran nothing", way.name);
        for [_, login, role] in of_way {
            assert_eq!((login, role), (&owner, &owner), "{}", way.name);
        }
    }
    assert_nobody_logs_in(&admin, &owner).await;
}

async fn assert_nobody_logs_in(admin: &Client, owner: &str) {
    let text = "SELECT rolcanlogin OR rolpassword IS NOT NULL FROM pg_authid WHERE rolname = $1";
    let open: bool = admin.query_one(text, &[&owner]).await.unwrap().get(0);
    assert!(!open, "{owner} can log in");
}

#[tokio::test]
async fn every_way_to_run_code_is_the_owners_on_the_machines_postgres() {
    all_ways(Cluster::start().await).await;
}

#[tokio::test]
async fn every_way_to_run_code_is_the_owners_on_postgres_16() {
    all_ways(Cluster::of_version(16).await).await;
}

#[tokio::test]
async fn every_way_to_run_code_is_the_owners_on_postgres_18() {
    all_ways(Cluster::of_version(18).await).await;
}

/// What the owner's session refuses, on one Postgres.
async fn no_reach(cluster: Cluster) {
    let (fixture, admin) = start(cluster).await;
    let owner = prepare(&fixture, &admin).await;
    let other = Package {
        plugin: "other",
        ..Package::migrations(&["CREATE TABLE note (customer_id text)"])
    };
    fixture.lend(other).await;
    for line in REACHES {
        let line = line.replace("OWNER", &owner);
        let refusals = fixture.refusals(package(&[&line])).await;
        let denied = refusals
            .iter()
            .any(|refusal| refusal.contains("SQLSTATE 42501"));
        assert!(denied, "{line}: {refusals:?}");
        assert_nobody_logs_in(&admin, &owner).await;
    }
    let text = "SELECT count(*) FROM hearth.plugin_migrations WHERE plugin = 'notes'";
    let recorded: i64 = admin.query_one(text, &[]).await.unwrap().get(0);
    assert_eq!(recorded, 1);
}

#[tokio::test]
async fn a_migration_reaches_nothing_of_the_hosts_on_the_machines_postgres() {
    no_reach(Cluster::start().await).await;
}

#[tokio::test]
async fn a_migration_reaches_nothing_of_the_hosts_on_postgres_16() {
    no_reach(Cluster::of_version(16).await).await;
}

#[tokio::test]
async fn a_migration_reaches_nothing_of_the_hosts_on_postgres_18() {
    no_reach(Cluster::of_version(18).await).await;
}

/// A whole deployment with requests, under a host that may make roles and no more.
async fn serves(cluster: Cluster) {
    let (fixture, admin) = start(cluster).await;
    let lent = fixture.notes().await;
    Caller::of(&lent, "acme").insert(1, "one").await.unwrap();
    let mut package = Package {
        number: 2,
        ..Package::notes()
    };
    package
        .migrations
        .push(migration(2, "UPDATE note SET body = body || ' moved'"));
    let lent = fixture.lend(package).await;
    assert_eq!(Caller::of(&lent, "acme").bodies().await, ["one moved"]);
    assert!(Caller::of(&lent, "bolt").bodies().await.is_empty());
    let text = "SELECT count(*) FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.member \
                WHERE r.rolname = $1 AND NOT m.admin_option";
    let joined: i64 = admin.query_one(text, &[&KEEPER]).await.unwrap().get(0);
    assert_eq!(joined, 0, "the host is a member of a plugin's role");
}

#[tokio::test]
async fn a_host_with_createrole_alone_deploys_on_the_machines_postgres() {
    serves(Cluster::start().await).await;
}

#[tokio::test]
async fn a_host_with_createrole_alone_deploys_on_postgres_14() {
    serves(Cluster::of_version(14).await).await;
}

#[tokio::test]
async fn a_host_with_createrole_alone_deploys_on_postgres_16() {
    serves(Cluster::of_version(16).await).await;
}

#[tokio::test]
async fn a_host_with_createrole_alone_deploys_on_postgres_17() {
    serves(Cluster::of_version(17).await).await;
}

#[tokio::test]
async fn a_host_with_createrole_alone_deploys_on_postgres_18() {
    serves(Cluster::of_version(18).await).await;
}

#[tokio::test]
async fn a_plugins_role_that_somebody_gave_more_rights_migrates_nothing() {
    let (fixture, admin) = start(Cluster::start().await).await;
    let owner = prepare(&fixture, &admin).await;
    for (give, take, wanted) in [
        (
            "ALTER ROLE OWNER SUPERUSER",
            "ALTER ROLE OWNER NOSUPERUSER",
            "may more than its database",
        ),
        (
            "GRANT keeper TO OWNER",
            "REVOKE keeper FROM OWNER",
            "is a member of keeper",
        ),
    ] {
        admin
            .batch_execute(&give.replace("OWNER", &owner))
            .await
            .unwrap();
        let lent = fixture.client.lend(package(&[]).deployment()).await;
        let error = lent.err().unwrap().to_string();
        assert!(error.contains(wanted), "{error}");
        admin
            .batch_execute(&take.replace("OWNER", &owner))
            .await
            .unwrap();
    }
    fixture.lend(package(&[])).await;
}

#[tokio::test]
async fn a_login_that_a_killed_host_left_behind_ends_with_the_next_start() {
    let (fixture, admin) = start(Cluster::start().await).await;
    let owner = prepare(&fixture, &admin).await;
    let left = format!("ALTER ROLE {owner} LOGIN PASSWORD 'left behind'");
    admin.batch_execute(&left).await.unwrap();
    fixture.lend(package(&[])).await;
    assert_nobody_logs_in(&admin, &owner).await;
}
