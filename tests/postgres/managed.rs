//! A Postgres that is run as a service: who has it is no superuser, PUBLIC keeps what it
//! has from the start, and the host gets the rights that docs/operate/postgres.md names.

use std::path::Path;

use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio_postgres::Client;

use crate::harness::host::{Host, Setup};
use crate::harness::postgres::{Cluster, until};

/// What such a service gives whoever has it (`rds_superuser`, `cloudsqlsuperuser`,
/// `azure_pg_admin`): roles and databases may be made, and the server be looked at.
const SERVICE: &str = "
    CREATE ROLE rds_superuser NOLOGIN;
    GRANT pg_monitor, pg_signal_backend TO rds_superuser WITH ADMIN OPTION;
    CREATE ROLE master LOGIN CREATEROLE CREATEDB IN ROLE rds_superuser";

/// The document's line of SQL that contains this, for the role `tenant` and the database
/// `theirs`.
fn rights(part: &str) -> String {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/operate/postgres.md");
    let page = std::fs::read_to_string(page).unwrap();
    let line = page
        .lines()
        .find(|line| line.starts_with("CREATE ROLE hearth ") && line.contains(part))
        .unwrap();
    line.replace("DATABASE hearth", "DATABASE theirs")
        .replace("DATABASE app", "DATABASE theirs")
        .replace("hearth", "tenant")
        .replace("SECRET", "let me in")
}

async fn run(client: &Client, line: &str) {
    for statement in line.split(';').filter(|text| !text.trim().is_empty()) {
        client.batch_execute(statement).await.unwrap();
    }
}

/// Plugins log in with their passwords; the host and who has the server need none here.
async fn want_passwords(cluster: &Cluster, admin: &Client) {
    let rules = "local all hearth,master,tenant trust\nlocal all all scram-sha-256\n";
    std::fs::write(cluster.dir().join("data/pg_hba.conf"), rules).unwrap();
    admin
        .batch_execute("SELECT pg_reload_conf()")
        .await
        .unwrap();
}

fn start(cluster: &Cluster) -> Host {
    let url = cluster.url_of("theirs").replace("hearth@", "tenant@");
    Setup::new()
        .config(&format!("[database]\nurl = {url:?}"))
        .tickets()
        .forecasting()
        .start()
}

/// A ticket is made, and is there after another start of the host.
async fn serves(mut host: Host) {
    let key = host.key("acme", &["--scope", "agent"]);
    let ticket = json!({"subject": "Printer", "description": "It prints in green."});
    let made = host.post("/support/tickets", &key).json(&ticket);
    assert_eq!(made.send().await.unwrap().status(), StatusCode::CREATED);
    host.kill();
    host.restart();
    let list = host.get("/support/tickets", &key).send().await.unwrap();
    let list: Value = list.json().await.unwrap();
    assert_eq!(list["tickets"].as_array().unwrap().len(), 1, "{list}");
    let budgets = host.get("/costs/budgets", &key).send().await.unwrap();
    assert_eq!(budgets.status(), StatusCode::OK);
}

async fn with_a_database_of_its_own(cluster: Cluster) {
    let admin = cluster.connect(None).await;
    run(&admin, SERVICE).await;
    want_passwords(&cluster, &admin).await;
    let master = cluster.connect(Some("master")).await;
    run(&master, &rights("OWNER hearth")).await;
    let host = start(&cluster);
    let kept = "did not let Hearth revoke some privileges of PUBLIC";
    until(async || host.log().contains(kept)).await;
    serves(host).await;
}

#[tokio::test]
async fn rights_of_the_readme_are_enough_on_the_machines_postgres() {
    with_a_database_of_its_own(Cluster::start().await).await;
}

#[tokio::test]
async fn rights_of_the_readme_are_enough_on_postgres_14() {
    with_a_database_of_its_own(Cluster::of_version(14).await).await;
}

#[tokio::test]
async fn rights_of_the_readme_are_enough_on_postgres_16() {
    with_a_database_of_its_own(Cluster::of_version(16).await).await;
}

#[tokio::test]
async fn rights_of_the_readme_are_enough_on_postgres_17() {
    with_a_database_of_its_own(Cluster::of_version(17).await).await;
}

#[tokio::test]
async fn rights_of_the_readme_are_enough_on_postgres_18() {
    with_a_database_of_its_own(Cluster::of_version(18).await).await;
}

/// As where another program has the database already.
#[tokio::test]
async fn right_to_create_in_a_database_of_others_is_enough_on_postgres_18() {
    let cluster = Cluster::of_version(18).await;
    let admin = cluster.connect(None).await;
    run(&admin, "CREATE DATABASE theirs").await;
    want_passwords(&cluster, &admin).await;
    run(&admin, &rights("GRANT CREATE ON DATABASE app")).await;
    serves(start(&cluster)).await;
}
