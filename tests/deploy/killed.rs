//! A host that is killed while it migrates.

use std::time::Duration;

use reqwest::Method;

use super::versions::notes;
use super::{admin, database, deploy};
use crate::harness::host::{Host, Setup, runs};

const COUNTER: &str = "CREATE TABLE counter (customer_id text NOT NULL, n int NOT NULL)";
const ROW: &str = "INSERT INTO counter VALUES ('acme', 0)";
const STEP: &str = "UPDATE counter SET n = n + 1";
/// The migrations before the first step: the table of the notes, and the two above.
const BEFORE: i64 = 3;

/// How often the step ran, and how many of its migrations are recorded.
async fn steps(host: &Host) -> (i64, i64) {
    let database = database(host).await;
    let exists = "SELECT to_regclass('plugin_notes.counter') IS NOT NULL";
    let recorded =
        "SELECT count(*) FROM hearth.plugin_migrations WHERE plugin = 'notes' AND version > $1";
    let recorded: i64 = database
        .query_one(recorded, &[&BEFORE])
        .await
        .unwrap()
        .get(0);
    let ran = match database.query_one(exists, &[]).await.unwrap().get(0) {
        true => {
            let text = "SELECT coalesce(sum(n), 0)::bigint FROM plugin_notes.counter";
            database.query_one(text, &[]).await.unwrap().get(0)
        }
        false => 0,
    };
    (ran, recorded)
}

#[tokio::test]
async fn host_killed_while_it_migrates_runs_each_migration_once() {
    let mut host = Setup::new().guest("echo", &[], "").start();
    let count = runs(6, 60);
    for run in 0..count {
        let all: Vec<&str> = [COUNTER, ROW]
            .into_iter()
            .chain(vec![STEP; 4 * (run + 1)])
            .collect();
        let file = notes("0.2.0", &all, "", &["sql"]);
        let request = admin(&host, Method::POST, "/deployments?approve=sql").body(file);
        let deploying = tokio::spawn(request.send());
        // Spread over the time that a deploy takes here.
        tokio::time::sleep(Duration::from_millis(60 * (run as u64 % 7))).await;
        host.kill();
        deploying.abort();
        host.restart();
        let (ran, recorded) = steps(&host).await;
        assert_eq!(ran, recorded, "run {run}");
    }
    let all: Vec<&str> = [COUNTER, ROW]
        .into_iter()
        .chain(vec![STEP; 4 * count])
        .collect();
    let served = deploy(&host, notes("0.2.0", &all, "", &["sql"]), "sql").await;
    assert_eq!(served["result"], "serving", "{served}");
    let wanted = 4 * count as i64;
    assert_eq!(steps(&host).await, (wanted, wanted));
}
