//! A self-test that fails says why, as far as the host knows it.

use sha2::{Digest, Sha256};
use tokio_postgres::NoTls;

use super::{database, deploy};
use crate::harness::host::{Host, Setup, plugin};
use crate::harness::postgres::until;

/// What the forecasting plugin asks for.
const APPROVE: &str = "sql,cache,log,metrics,queue:webhook-events,queue:notification-events";

/// From now on nobody logs in to the host's cluster as this role.
async fn shut_out(host: &Host, role: &str) {
    let folder = host.data_dir().join("postgres");
    let file = folder.join("data/pg_hba.conf");
    let rules = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, format!("local all {role} reject\n{rules}")).unwrap();
    let reload = "SELECT pg_reload_conf()";
    database(host).await.batch_execute(reload).await.unwrap();
    let url = hearth::embedded::postgres::running_url(&folder).unwrap();
    let mut login: tokio_postgres::Config = url.parse().unwrap();
    login.user(role);
    until(async || {
        let refused = login.connect(NoTls).await.err().unwrap();
        let why = refused.as_db_error().unwrap().message();
        why.contains("pg_hba.conf rejects")
    })
    .await;
}

#[tokio::test]
async fn self_test_that_fails_says_what_the_host_could_not_do_for_it() {
    let host = Setup::new().guest("echo", &[], "").start();
    let database = hex::encode(Sha256::digest(b"hearth"));
    shut_out(&host, &format!("hearth_{}_forecasting", &database[..8])).await;
    let file = std::fs::read(plugin("forecasting")).unwrap();
    let refused = deploy(&host, file, APPROVE).await;
    assert_eq!(refused["step"], "self-test", "{refused}");
    let reason = refused["reasons"][0].as_str().unwrap();
    for part in [
        "GET /costs/budgets was answered 503, expected 200",
        "what the host could not do for it: sql: the database is unavailable",
        "pg_hba.conf rejects connection",
    ] {
        assert!(reason.contains(part), "`{part}` is missing: {reason}");
    }
}
