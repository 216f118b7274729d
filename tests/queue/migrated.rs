//! Migration 13: messages of the version before come along, and its hosts go on.

use std::path::Path;

use hearth::backend::queue::Settlement;
use tokio_postgres::Client;
use uuid::Uuid;

use super::bench::{Bench, HOUR, On, PATIENCE, body, message};
use crate::harness::postgres::Cluster;

const LEDGER: &str = "
    CREATE SCHEMA hearth;
    GRANT USAGE ON SCHEMA hearth TO PUBLIC;
    CREATE TABLE hearth.migrations (
        version integer PRIMARY KEY,
        checksum text NOT NULL,
        applied_at timestamptz NOT NULL DEFAULT now())";

/// The schema as a host of the version before has left it.
async fn migrate_until_12(database: &Client) {
    database.batch_execute(LEDGER).await.unwrap();
    let folder = "../host/backend/src/postgres/migrations";
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let files = std::fs::read_dir(folder).unwrap();
    let mut files: Vec<_> = files.map(|file| file.unwrap().path()).collect();
    files.sort();
    for file in files {
        let name = file.file_name().unwrap().to_str().unwrap();
        let version: i32 = name.split('_').next().unwrap().parse().unwrap();
        if version >= 13 {
            continue;
        }
        let text = std::fs::read_to_string(&file).unwrap();
        database.batch_execute(&text).await.unwrap();
        let done = "INSERT INTO hearth.migrations (version, checksum)
                    VALUES ($1, encode(sha256(convert_to($2, 'utf8')), 'hex'))";
        database.execute(done, &[&version, &text]).await.unwrap();
    }
}

const OLD_INSERT: &str = "
    INSERT INTO hearth.outbox (id, message, queue, plugin, customer, group_key, body, attributes,
                               attempts, sent_at, state, due_at)
    SELECT gen_random_uuid(), gen_random_uuid(), $1, 'tickets', 'acme', $2,
           convert_to($3, 'utf8'), '[]', 0, now(), $4::int::smallint,
           now() + $5::int * interval '1 second'";

async fn insert(database: &Client, queue: &str, group: Option<&str>, text: &str, state: i32) {
    let due_in = if state == 1 { 3_600 } else { 0 };
    let params: [&(dyn tokio_postgres::types::ToSql + Sync); 5] =
        [&queue, &group, &text, &state, &due_in];
    database.execute(OLD_INSERT, &params).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_of_the_version_before_keep_their_state_and_order() {
    let cluster = Cluster::start().await;
    let database = cluster.connect(None).await;
    migrate_until_12(&database).await;
    for text in ["1", "2"] {
        insert(&database, "plain", None, text, 0).await;
    }
    insert(&database, "plain", None, "later", 1).await;
    for (text, state) in [("first", 0), ("second", 2), ("third", 0)] {
        insert(&database, "ordered", Some("g"), text, state).await;
    }
    insert(&database, "plain", None, "leased", 0).await;
    let lease = "UPDATE hearth.outbox SET state = 1, lease = $1, attempts = 1,
                        due_at = now() + interval '1 hour'
                 WHERE body = 'leased' RETURNING id";
    let own = Uuid::new_v4();
    let leased: Uuid = database.query_one(lease, &[&own]).await.unwrap().get(0);

    let bench = Bench::on(cluster).await;
    let received = bench.receive("plain", 10).await;
    let bodies: Vec<_> = received.iter().map(body).collect();
    assert_eq!(bodies, ["1", "2"]);
    for text in ["first", "second", "third"] {
        let received = bench.one("ordered").await;
        assert_eq!(body(&received), text);
        bench.done(received).await;
    }
    // A lease that a host of the version before took is settled by it.
    let settle = "SELECT hearth.settle_messages($1, $2, '{0}', '{0}', '{\"\"}', 0)";
    let settled = database
        .query(settle, &[&vec![leased], &vec![own]])
        .await
        .unwrap();
    assert_eq!(settled.len(), 1);
    bench.forward(2 * HOUR);
    let mut bodies = Vec::new();
    while bodies.len() < 3 {
        let received = bench.receive("plain", 10).await;
        bodies.extend(received.iter().map(|message| body(message).to_owned()));
    }
    bodies.sort();
    assert_eq!(bodies, ["1", "2", "later"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn host_of_the_version_before_sends_receives_extends_and_settles() {
    let bench = Bench::start(On::Postgres).await;
    let database = bench.cluster.connect(None).await;
    // It sends to us, and we to it.
    insert(&database, "plain", None, "theirs", 0).await;
    let received = bench.one("plain").await;
    assert_eq!(body(&received), "theirs");
    bench.settle(received, Settlement::Done).await;
    bench.send(message("plain", "ours")).await;
    let receive = "SELECT id, convert_from(body, 'utf8') FROM
        hearth.receive_messages('plain', '', 10, 60000, 0, $1, true) WHERE id IS NOT NULL";
    let lease = Uuid::new_v4();
    // A sweep that has the row at that moment lets it be received by the next call.
    let row = loop {
        if let Some(row) = database.query_opt(receive, &[&lease]).await.unwrap() {
            break row;
        }
        tokio::time::sleep(PATIENCE / 100).await;
    };
    let (id, text): (Uuid, String) = (row.get(0), row.get(1));
    assert_eq!(text, "ours");
    let extend = "
        UPDATE hearth.outbox AS o
        SET due_at = clock_timestamp() + (3600000::bigint + 0::bigint) * interval '1 millisecond'
        WHERE o.id = ANY ($1::uuid[]) AND o.lease = ($2::uuid[])[array_position($1::uuid[], o.id)]
        RETURNING o.id";
    let extended = database.query(extend, &[&vec![id], &vec![lease]]).await;
    assert_eq!(extended.unwrap().len(), 1);
    let wrong = vec![Uuid::new_v4()];
    let extended = database.query(extend, &[&vec![id], &wrong]).await;
    assert!(extended.unwrap().is_empty());
    let nothing = bench.queues.receive("plain", 10, PATIENCE / 20, HOUR).await;
    assert!(nothing.unwrap().is_empty());
    let settle = "SELECT hearth.settle_messages($1, $2, '{2}', '{0}', '{\"\"}', 0)";
    let settled = database.query(settle, &[&vec![id], &vec![lease]]).await;
    assert_eq!(settled.unwrap().len(), 1);
    let received = bench.one("plain").await;
    assert_eq!((body(&received), received.attempt), ("ours", 1));
}
