//! Messages of transactions: sent if, and only if, they commit.

use reqwest::StatusCode;

use super::bench::{HOUR, PATIENCE};
use super::guest::Stage;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn committed_transaction_sends_exactly_once() {
    let stage = Stage::start().await;
    for way in [
        "/transaction/commit",
        "/batch/plain",
        "/batch/rows",
        "/batch/alone",
    ] {
        let told = stage.post(way, way).await;
        let received = stage.queues.receive("orders", 10, PATIENCE, HOUR).await;
        let received = received.unwrap();
        assert_eq!(told, format!("Ok({:?})", received[0].id), "{way}");
        assert_eq!(received.len(), 1);
        assert_eq!(&received[0].body[..], way.as_bytes());
        assert!(received[0].customer.is_some(), "{way}");
    }
    assert!(stage.all().await.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn transaction_that_does_not_commit_sends_nothing() {
    let stage = Stage::start().await;
    let told = stage.post("/transaction/rollback", "x").await;
    assert_eq!(told, "Err(Invalid(\"told to\"))");
    for way in ["/transaction/conflict", "/batch/conflict"] {
        let told = stage.post(way, "x").await;
        assert!(told.starts_with("Err(UniqueViolation("), "{told}");
    }
    for way in ["/transaction/trap", "/transaction/wait"] {
        let post = stage.host.post(&format!("/queued{way}"), &stage.key);
        let status = post.send().await.unwrap().status();
        assert!(status.is_server_error(), "{way}: {status}");
    }
    assert!(stage.all().await.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hundred_messages_commit_together_and_one_more_is_refused() {
    let stage = Stage::with("[queue]\ncall_messages_max = 100").await;
    let told = stage.post("/many/100", "x").await;
    let ids: std::collections::HashSet<&str> = told
        .split('"')
        .filter(|id| id.starts_with("msg_"))
        .collect();
    assert_eq!(ids.len(), 100, "{told}");
    let all = stage.all().await;
    let came: Vec<&str> = all.iter().map(|message| &*message.id).collect();
    assert_eq!(came.len(), 100);
    assert!(came.iter().all(|id| ids.contains(id)));
    assert_eq!(stage.post("/many/101", "x").await, "Err(TooLarge)");
    assert!(stage.all().await.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_of_a_transaction_are_written_by_one_statement_in_their_order() {
    let stage = Stage::start().await;
    let told = stage.post("/many/20", "x").await;
    let database = stage.fleet.cluster.connect(None).await;
    let statements = "SELECT count(DISTINCT cmin::text), count(*) FROM hearth.messages";
    let row = database.query_one(statements, &[]).await.unwrap();
    assert_eq!((row.get::<_, i64>(0), row.get::<_, i64>(1)), (1, 20));
    let order = "SELECT message::text FROM hearth.messages ORDER BY place";
    let rows = database.query(order, &[]).await.unwrap();
    let written = rows
        .iter()
        .map(|row| row.get::<_, String>(0).replace('-', ""));
    let ids = told.split('"').filter_map(|id| id.strip_prefix("msg_"));
    assert!(written.eq(ids.map(|id| id.replace('-', ""))), "{told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_of_a_transaction_have_so_many_bytes_together() {
    let stage = Stage::with("[queue]\ncall_bytes_max = 262_144").await;
    let large = "x".repeat(100_000);
    assert_eq!(stage.post("/many/3", &large).await, "Err(TooLarge)");
    assert!(stage.all().await.is_empty());
    let told = stage.post("/many/2", &large).await;
    assert!(told.starts_with("Ok("), "{told}");
    assert_eq!(stage.all().await.len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn repeated_message_is_answered_with_the_id_of_the_first() {
    let stage = Stage::start().await;
    assert_eq!(stage.post("/twice", "x").await, "Ok((true, false))");
    assert_eq!(stage.post("/twice", "x").await, "Ok((true, false))");
    let mut bodies: Vec<_> = stage.all().await.into_iter().map(|m| m.body).collect();
    bodies.sort();
    assert_eq!(bodies, ["plain", "plain", "x"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn message_is_an_effect_that_an_idempotency_key_guards() {
    let stage = Stage::start().await;
    // It writes no row of its own.
    for way in ["/many/1", "/batch/alone"] {
        let post = async || {
            let post = stage.host.post(&format!("/queued{way}"), &stage.key);
            let post = post.header("idempotency-key", way).body("x");
            let answer = post.send().await.unwrap();
            assert_eq!(answer.status(), StatusCode::OK);
            answer.text().await.unwrap()
        };
        assert_eq!(post().await, post().await);
        let database = stage.fleet.cluster.connect(None).await;
        let applied = "SELECT applied FROM hearth.idempotency WHERE key = $1";
        let applied: bool = database.query_one(applied, &[&way]).await.unwrap().get(0);
        assert!(applied, "{way}");
        assert_eq!(stage.all().await.len(), 1, "{way}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn plugins_role_can_neither_send_by_itself_nor_see_what_is_sent() {
    let stage = Stage::start().await;
    stage.post("/transaction/commit", "x").await;
    let database = stage.fleet.cluster.connect(None).await;
    let role = "SELECT rolname::text FROM pg_roles
                WHERE rolname LIKE 'hearth\\_%queued' AND rolcanlogin";
    let role: String = database.query_one(role, &[]).await.unwrap().get(0);
    let own = stage.fleet.cluster.connect(Some(&role)).await;
    let forged = "SELECT hearth.enqueue('\\x00', gen_random_uuid(), 'orders', 'tickets', 'globex',
                                        NULL, 'x', '[]', 0, 0, NULL)";
    // Not even with the digest that Postgres has.
    let digest = "SELECT encode(digest, 'hex') FROM hearth.outbox_keys LIMIT 1";
    let digest: String = database.query_one(digest, &[]).await.unwrap().get(0);
    let with_digest = forged.replace("\\x00", &format!("\\x{digest}"));
    for attempt in [
        forged,
        &*with_digest,
        "SELECT hearth.enqueue(NULL, gen_random_uuid(), 'orders', 'tickets', 'globex', NULL, 'x',
                               '[]', 0, 0, NULL)",
        "SELECT hearth.enqueue_many('\\x00', ARRAY[gen_random_uuid()], '{orders}', '{tickets}',
                                    '{globex}', '{NULL}', '{x}', '{[]}', '{0}', 0)",
        "SELECT hearth.enqueue_many(NULL, ARRAY[gen_random_uuid()], '{orders}', '{tickets}',
                                    '{globex}', '{NULL}', '{x}', '{[]}', '{0}', 0)",
        "SELECT hearth.add_messages(ARRAY[gen_random_uuid()], ARRAY[gen_random_uuid()], '{orders}',
                                    '{tickets}', '{globex}', '{NULL}', '{x}', '{[]}', '{0}', '{}',
                                    '{0}', 0)",
        "SELECT * FROM hearth.outbox",
        "DELETE FROM hearth.outbox",
        "SELECT * FROM hearth.messages",
        "SELECT * FROM hearth.ready",
        "SELECT * FROM hearth.delayed",
        "SELECT * FROM hearth.leases",
        "SELECT * FROM hearth.blocked",
        "SELECT nextval('hearth.message_places')",
        "SELECT * FROM hearth.lease_messages('orders', NULL, '{}', '{}', '', 1, 1, 0,
                                             gen_random_uuid(), true)",
        "SELECT * FROM hearth.outbox_keys",
        "SELECT * FROM hearth.dead_letters",
        "DELETE FROM hearth.outbox_recent",
        "SELECT * FROM hearth.receive_messages('orders', '', 1, 1, 0, gen_random_uuid(), true)",
        "SELECT hearth.settle_messages('{}', '{}', '{}', '{}', '{}', 0)",
        "SELECT hearth.erase_messages('{}')",
        "SELECT hearth.expire_messages(now(), 1)",
    ] {
        let told = own.simple_query(attempt).await.unwrap_err();
        let code = told.code().unwrap().code().to_owned();
        assert_eq!(code, "42501", "{attempt}: {told:?}");
    }
    assert_eq!(stage.all().await.len(), 1);
}
