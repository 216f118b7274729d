//! What a receive and a settle touch: as much as they take, whatever else is in the
//! queue, whatever went through it, and whoever holds an old snapshot open.

use std::collections::BTreeMap;

use tokio_postgres::Client;
use uuid::Uuid;

use crate::harness::host::runs;
use crate::harness::postgres::Cluster;

/// Messages of one receive.
const BATCH: i32 = 10;
/// Buffers that ten messages may cost: to lease, to settle, as hosts do it. They cost
/// about half of it; a walk over what is dead or delayed costs thousands.
const BUFFERS_MAX: i64 = 450;

/// A host as the database sees it: what it knows of the queue, and shows.
struct Receiver {
    database: Client,
    horizon: Option<String>,
    turn: String,
    seats: BTreeMap<String, i64>,
    /// Whether there is more to find at once.
    again: bool,
}

/// The buffers of the host's tables and their indexes that a transaction has asked for.
async fn touched(database: &Client) -> i64 {
    let text = "SELECT sum(pg_stat_get_xact_blocks_fetched(oid))::bigint FROM pg_class
                WHERE relnamespace = 'hearth'::regnamespace";
    database.query_one(text, &[]).await.unwrap().get(0)
}

impl Receiver {
    async fn new(cluster: &Cluster) -> Receiver {
        Receiver {
            database: cluster.connect(None).await,
            horizon: None,
            turn: String::new(),
            seats: BTreeMap::new(),
            again: false,
        }
    }

    /// What is received, under a lease of a second, and what it cost.
    async fn receive(&mut self, max: i32) -> (Vec<Uuid>, i64) {
        let text = "SELECT id, customer, attempts, horizon, customers, seats
            FROM hearth.lease_messages('q', $1, $2, $3, $4, $5, 1000, 0, $6, true)";
        let (customers, seats): (Vec<&str>, Vec<i64>) = self
            .seats
            .iter()
            .map(|(customer, seat)| (customer.as_str(), *seat))
            .take(32)
            .unzip();
        self.database.batch_execute("BEGIN").await.unwrap();
        let before = touched(&self.database).await;
        let rows = self
            .database
            .query(
                text,
                &[
                    &self.horizon,
                    &customers,
                    &seats,
                    &self.turn,
                    &max,
                    &Uuid::nil(),
                ],
            )
            .await
            .unwrap();
        let cost = touched(&self.database).await - before;
        self.database.batch_execute("COMMIT").await.unwrap();
        let last = rows.last().unwrap();
        self.horizon = last.get("horizon");
        self.again = last.get::<_, i32>("attempts") > 0;
        self.turn = last
            .get::<_, Option<String>>("customer")
            .unwrap_or_default();
        let customers: Option<Vec<String>> = last.get("customers");
        let seats: Option<Vec<Option<i64>>> = last.get("seats");
        for (customer, seat) in customers
            .into_iter()
            .flatten()
            .zip(seats.into_iter().flatten())
        {
            if let Some(seat) = seat {
                self.seats.insert(customer, seat);
            } else {
                self.seats.remove(&customer);
            }
        }
        let ids = rows.iter().filter_map(|row| row.get("id"));
        (ids.collect(), cost)
    }

    async fn settle(&self, ids: &[Uuid]) -> i64 {
        let text = "SELECT hearth.settle_messages($1, $2, $3, $4, $5, 0)";
        let all = ids.len();
        self.database.batch_execute("BEGIN").await.unwrap();
        let before = touched(&self.database).await;
        let ended = self
            .database
            .query(
                text,
                &[
                    &ids,
                    &vec![Uuid::nil(); all],
                    &vec![0_i16; all],
                    &vec![0_i64; all],
                    &vec![""; all],
                ],
            )
            .await
            .unwrap();
        let cost = touched(&self.database).await - before;
        self.database.batch_execute("COMMIT").await.unwrap();
        assert_eq!(ended.len(), all);
        cost
    }

    /// What is there is done, by hundreds.
    async fn consume(&mut self) {
        loop {
            let (ids, _) = self.receive(100).await;
            if ids.is_empty() && !self.again {
                return;
            }
            self.settle(&ids).await;
        }
    }

    /// The dearest of some receives of ten, and the dearest of their settles. The first
    /// finds all that has come and makes plans, so it does not count.
    async fn costs(&mut self) -> (i64, i64) {
        let (ids, _) = self.receive(BATCH).await;
        self.settle(&ids).await;
        let (mut receive, mut settle) = (0, 0);
        for _ in 0..8 {
            let (ids, cost) = self.receive(BATCH).await;
            assert_eq!(ids.len(), BATCH as usize);
            receive = receive.max(cost);
            settle = settle.max(self.settle(&ids).await);
        }
        (receive, settle)
    }

    async fn assert_bounded(&mut self, what: &str) {
        let (receive, settle) = self.costs().await;
        assert!(
            receive <= BUFFERS_MAX,
            "{what}: a receive touched {receive} buffers"
        );
        assert!(
            settle <= BUFFERS_MAX,
            "{what}: a settle touched {settle} buffers"
        );
    }
}

/// Sends messages of three customers, all at once.
async fn fill(database: &Client, messages: usize, group: Option<&str>, delay_ms: i64) {
    let text = "
        SELECT hearth.add_messages(
            array_agg(id), array_agg(id), array_agg('q'::text), array_agg('tickets'::text),
            array_agg('c' || n % 3), array_agg($2::text || n % 50), array_agg('x'::bytea),
            array_agg('[]'::text), array_agg(0), '{}', array_agg($3::bigint), 0)
        FROM (SELECT gen_random_uuid() AS id, n FROM generate_series(1, $1::int) n) each";
    let messages = i32::try_from(messages).unwrap();
    let params: [&(dyn tokio_postgres::types::ToSql + Sync); 3] = [&messages, &group, &delay_ms];
    database.execute(text, &params).await.unwrap();
}

async fn cluster() -> (Cluster, Client) {
    let cluster = Cluster::start().await;
    drop(cluster.server().await);
    let database = cluster.connect(None).await;
    (cluster, database)
}

/// Statistics as they come to be of their own: of tables that are nearly empty.
async fn analyze(database: &Client) {
    let text = "ANALYZE hearth.messages, hearth.ready, hearth.delayed, hearth.leases,
                        hearth.blocked";
    database.batch_execute(text).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cost_does_not_grow_with_what_is_delayed() {
    let (cluster, database) = cluster().await;
    let mut receiver = Receiver::new(&cluster).await;
    for delayed in [100, runs(100_000, 1_000_000)] {
        fill(&database, delayed, None, 3_600_000).await;
        fill(&database, 100, None, 0).await;
        receiver.assert_bounded(&format!("{delayed} delayed")).await;
        analyze(&database).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cost_does_not_grow_with_what_waits() {
    let (cluster, database) = cluster().await;
    let mut receiver = Receiver::new(&cluster).await;
    for waiting in [100, runs(30_000, 1_000_000)] {
        fill(&database, waiting, None, 0).await;
        receiver.assert_bounded(&format!("{waiting} waiting")).await;
        analyze(&database).await;
    }
}

/// Consumes, round after round, while a snapshot is open that is older than all of it.
async fn consume_under_a_snapshot(group: Option<&str>) {
    let (cluster, database) = cluster().await;
    let old = cluster.connect(None).await;
    let open = "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM hearth.customers";
    old.batch_execute(open).await.unwrap();
    let mut receiver = Receiver::new(&cluster).await;
    for round in 0..4 {
        let messages = runs(5_000, 500_000);
        fill(&database, messages, group, 0).await;
        receiver.consume().await;
        // As autovacuum would, in the worst moment.
        analyze(&database).await;
        fill(&database, 100, group, 0).await;
        let what = format!("after {} consumed", (round + 1) * messages);
        receiver.assert_bounded(&what).await;
    }
    old.batch_execute("COMMIT").await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cost_does_not_grow_with_what_was_consumed_under_an_open_snapshot() {
    consume_under_a_snapshot(None).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cost_of_groups_does_not_grow_with_what_was_consumed_under_an_open_snapshot() {
    consume_under_a_snapshot(Some("g")).await;
}
