//! Hosts that are killed while they work on a request with a key.

use std::time::Duration;

use reqwest::StatusCode;
use tokio_postgres::Client;

use super::{QUICK, keyed, kind, post, replayed, rows};
use crate::harness::fleet::Fleet;
use crate::harness::host::{Host, runs};
use crate::harness::postgres::until;

fn host(fleet: &Fleet) -> Host {
    fleet.host(|setup| setup.config(QUICK).guest("effects", &["sql"], ""))
}

/// Asks again until the key is no longer held by somebody who might still answer.
async fn settled(host: &Host, api_key: &str, key: &str) -> (StatusCode, String) {
    for _ in 0..600 {
        let answer = post(host, "/effects/transaction", api_key, key).await;
        if answer.status() == StatusCode::CREATED {
            let told = if replayed(&answer) { "replayed" } else { "ran" };
            return (StatusCode::CREATED, told.into());
        }
        match kind(answer).await {
            (StatusCode::CONFLICT, kind) if kind == "already-applied" => {
                return (StatusCode::CONFLICT, kind);
            }
            (StatusCode::CONFLICT | StatusCode::SERVICE_UNAVAILABLE, _) => {}
            other => panic!("{other:?}"),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the key was never let go")
}

/// From now on the answer of a request cannot be kept: who tries waits.
pub async fn hold_answers(database: &Client) {
    let text = "
        CREATE FUNCTION hearth.wait() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN PERFORM pg_sleep(60); RETURN NEW; END $$;
        CREATE TRIGGER wait BEFORE UPDATE OF answer ON hearth.idempotency
            FOR EACH ROW EXECUTE FUNCTION hearth.wait()";
    database.batch_execute(text).await.unwrap();
}

/// Ends what waits, too: a killed host's statement goes on in Postgres.
pub async fn let_answers_go(database: &Client) {
    let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
               WHERE query LIKE 'UPDATE hearth.idempotency%' AND pid <> pg_backend_pid()";
    until(async || {
        database.query(end, &[]).await.unwrap();
        let drop = "SET lock_timeout = '200ms'; DROP FUNCTION IF EXISTS hearth.wait CASCADE";
        database.batch_execute(drop).await.is_ok()
    })
    .await;
}

async fn applied(database: &Client, key: &str) -> bool {
    let text = "SELECT applied FROM hearth.idempotency WHERE key = $1";
    let row = database.query_opt(text, &[&key]).await.unwrap();
    row.is_some_and(|row| row.get(0))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kill_between_commit_and_kept_answer_never_lets_a_second_effect_through() {
    let fleet = Fleet::start().await;
    let mut host = host(&fleet);
    let api_key = host.key("acme", &[]);
    let database = fleet.cluster.connect(None).await;
    for run in 0..runs(20, 200) {
        let key = format!("k{run}");
        hold_answers(&database).await;
        let request = keyed(host.post("/effects/transaction", &api_key), &key);
        let asked = tokio::spawn(request.send());
        // The effect is committed, the answer is not kept: this is the window.
        until(async || applied(&database, &key).await).await;
        host.kill();
        assert!(asked.await.unwrap().is_err(), "nobody got an answer");
        let_answers_go(&database).await;
        host.restart();
        let settled = settled(&host, &api_key, &key).await;
        assert_eq!(settled.1, "already-applied");
        assert_eq!(rows(&host, &api_key).await, run as i64 + 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kill_at_any_instant_has_one_effect_once_it_was_asked_again() {
    let fleet = Fleet::start().await;
    let mut host = host(&fleet);
    let api_key = host.key("acme", &[]);
    for run in 0..runs(5, 100) {
        let key = format!("k{run}");
        let request = keyed(host.post("/effects/transaction", &api_key), &key);
        let asked = tokio::spawn(request.send());
        // From before the claim to after the answer.
        tokio::time::sleep(Duration::from_micros(300 * (run as u64 % 20))).await;
        host.kill();
        let _ = asked.await.unwrap();
        host.restart();
        settled(&host, &api_key, &key).await;
        assert_eq!(rows(&host, &api_key).await, run as i64 + 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn client_that_goes_away_finds_its_answer_when_it_asks_again() {
    let fleet = Fleet::start().await;
    let host = host(&fleet);
    let api_key = host.key("acme", &[]);
    let database = fleet.cluster.connect(None).await;
    // The row that the guest writes cannot be written yet.
    let lock = "BEGIN; LOCK TABLE plugin_effects.rows IN SHARE MODE";
    database.batch_execute(lock).await.unwrap();
    let request = keyed(host.post("/effects/transaction", &api_key), "k");
    let asked = tokio::spawn(request.send());
    let other = fleet.cluster.connect(None).await;
    until(async || {
        let waiting = "SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock'";
        other.query_opt(waiting, &[]).await.unwrap().is_some()
    })
    .await;
    asked.abort();
    let _ = asked.await;
    database.batch_execute("ROLLBACK").await.unwrap();
    assert_eq!(settled(&host, &api_key, "k").await.1, "replayed");
    assert_eq!(rows(&host, &api_key).await, 1);
}
