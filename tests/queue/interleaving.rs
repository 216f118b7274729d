//! Transactions end in another order than they began in, or not at all, while hosts
//! receive: each message of those that were committed is received, once, and those of a
//! group in their order.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use hearth::backend::queue::Settlement;

use hearth::backend::queues::Queues;
use rand::RngExt;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::task::JoinSet;
use tokio_postgres::Client;
use tokio_postgres::types::ToSql;

use super::bench::{Bench, HOUR, On, body};
use crate::harness::host::runs;

const SENDERS: usize = 8;
/// More than one receive visits.
const CUSTOMERS: usize = 50;

/// Sends a message in each of many transactions, to a random customer or, where they
/// are of a group, to the sender's own one; answers the bodies of those that were committed.
async fn send(database: Client, queue: &'static str, sender: usize) -> Vec<String> {
    let mut committed = Vec::new();
    for number in 0..runs(200, 2_000) {
        let (customer, pause, is_committed) = {
            let mut dice = rand::rng();
            let customer = dice.random_range(0..CUSTOMERS);
            let pause = Duration::from_micros(dice.random_range(0..2_000));
            (customer, pause, dice.random_ratio(7, 8))
        };
        let group = (queue == "ordered").then(|| format!("g{sender}"));
        let customer = if group.is_some() { sender } else { customer };
        let text = format!("{sender} {number:06}");
        add(&database, queue, &format!("c{customer:02}"), group, &text).await;
        tokio::time::sleep(pause).await;
        let end = if is_committed { "COMMIT" } else { "ROLLBACK" };
        database.batch_execute(end).await.unwrap();
        if is_committed {
            committed.push(text);
        }
    }
    committed
}

/// Begins a transaction with a message in it.
async fn add(database: &Client, queue: &str, customer: &str, group: Option<String>, text: &str) {
    let add = "SELECT hearth.add_messages(ARRAY[id], ARRAY[id], ARRAY[$1], ARRAY['tickets'],
            ARRAY[$2], ARRAY[$3], ARRAY[convert_to($4, 'utf8')], ARRAY['[]'], ARRAY[0], '{}',
            ARRAY[0::bigint], 0)
        FROM gen_random_uuid() id";
    database.batch_execute("BEGIN").await.unwrap();
    let values: [&(dyn ToSql + Sync); 4] = [&queue, &customer, &group, &text];
    database.query(add, &values).await.unwrap();
}

/// Receives and settles until nothing has come for a while.
async fn receive(queues: Queues, queue: &'static str, bodies: UnboundedSender<String>) {
    let patience = Duration::from_secs(4);
    loop {
        let batch = queues.receive(queue, 10, patience, HOUR).await.unwrap();
        if batch.is_empty() {
            return;
        }
        for message in &batch {
            bodies.send(body(message).to_owned()).unwrap();
        }
        let done = batch.into_iter().map(|m| (m, Settlement::Done)).collect();
        queues.settle(queue, done).await;
    }
}

/// What was committed, and what so many hosts received meanwhile, in its order.
async fn run(queue: &'static str, hosts: usize) -> (BTreeSet<String>, Vec<String>) {
    // What is passed is passed between two looks, so there are many of them.
    let mut bench = Bench::with(On::Postgres, |config| config.poll_ms = 1).await;
    let (bodies, mut received) = unbounded_channel();
    let mut receivers = JoinSet::new();
    receivers.spawn(receive(bench.queues.clone(), queue, bodies.clone()));
    for _ in 1..hosts {
        receivers.spawn(receive(bench.another().await, queue, bodies.clone()));
    }
    drop(bodies);
    let mut senders = JoinSet::new();
    for sender in 0..SENDERS {
        let database = bench.cluster.connect(None).await;
        senders.spawn(send(database, queue, sender));
    }
    let committed = senders.join_all().await.into_iter().flatten().collect();
    receivers.join_all().await;
    let mut order = Vec::new();
    while let Some(body) = received.recv().await {
        order.push(body);
    }
    (committed, order)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_committed_message_is_received_once() {
    // What one host passed another one would find.
    let (committed, received) = run("plain", 1).await;
    assert_eq!(received.len(), committed.len());
    assert_eq!(received.into_iter().collect::<BTreeSet<_>>(), committed);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_of_each_group_are_received_in_their_order() {
    let (committed, received) = run("ordered", 2).await;
    assert_eq!(received.len(), committed.len());
    let mut groups = BTreeMap::<String, Vec<String>>::new();
    for body in &received {
        let group = body.split(' ').next().unwrap().to_owned();
        groups.entry(group).or_default().push(body.clone());
    }
    assert!(
        groups.values().all(|bodies| bodies.is_sorted()),
        "{groups:?}"
    );
    assert_eq!(received.into_iter().collect::<BTreeSet<_>>(), committed);
}
