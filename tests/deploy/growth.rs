//! A host that serves makes statistics of what grows.

use crate::harness::host::Setup;
use crate::harness::postgres::{Cluster, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn table_that_grows_from_nothing_is_analysed_while_the_host_serves() {
    let cluster = Cluster::start().await;
    let database = cluster.connect(None).await;
    for text in [
        "ALTER SYSTEM SET autovacuum = off",
        "SELECT pg_reload_conf()",
    ] {
        database.batch_execute(text).await.unwrap();
    }
    let config = format!(
        "[database]\nurl = {:?}\nanalyse_look_ms = 100",
        cluster.url()
    );
    let _host = Setup::new().config(&config).guest("echo", &[], "").start();
    let believed = async || -> i64 {
        let text =
            "SELECT reltuples::bigint FROM pg_class WHERE oid = 'hearth.rate_buckets'::regclass";
        database.query_one(text, &[]).await.unwrap().get(0)
    };
    assert_eq!(believed().await, -1);
    let rows = "INSERT INTO hearth.rate_buckets (customer_id, full_at, asked)
        SELECT n, now() + interval '1 hour', 0 FROM generate_series(1, 1500) AS n";
    for text in [rows, "SELECT pg_stat_force_next_flush()"] {
        database.batch_execute(text).await.unwrap();
    }
    until(async || believed().await >= 1_000).await;
}
