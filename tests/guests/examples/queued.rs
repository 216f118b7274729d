//! Sends messages in each way that there is, and ends in each way that there is.

use std::time::Duration;

use hearth_plugin::prelude::*;
use hearth_plugin::queue::{self, Message};
use hearth_plugin::sql::{self, Batch};

row! {
    /// What an insert answers.
    pub struct Id { id: String }
}

sql! {
    /// Another row.
    pub write fn insert(id: &str) -> u64 = "INSERT INTO rows (id) VALUES ($1)";
    /// Another row, which it answers.
    pub write fn insert_row(id: &str) -> Id = "INSERT INTO rows (id) VALUES ($1) RETURNING id";
}

fn message(request: &Request) -> Message {
    Message::new(request.body().to_vec()).attribute("kind", "test")
}

/// What became of it, as a text.
fn told<T: std::fmt::Debug, E: std::fmt::Debug>(result: Result<T, E>) -> Answer {
    Response::json(200, &format!("{result:?}"))
}

fn send(request: &Request, queue: String) -> Answer {
    told(queue::send(&queue, message(request)))
}

/// As many as the path says, of which the third is too large.
fn send_many(request: &Request, count: String) -> Answer {
    let count: usize = count.parse().unwrap_or(0);
    let large = || Message::new(vec![0; 300_000]);
    let messages = (0..count).map(|n| if n == 2 { large() } else { message(request) });
    let sent = queue::send_many("orders", messages.collect());
    let sent: Vec<String> = sent.into_iter().map(|sent| format!("{sent:?}")).collect();
    Response::json(200, &sent)
}

/// In a transaction that ends as the path says.
fn transaction(request: &Request, end: String) -> Answer {
    let done = request
        .database()
        .transaction(Isolation::ReadCommitted, |tx| {
            insert(tx, &id::new("row"))?;
            let id = tx.enqueue("orders", message(request))?;
            match &*end {
                "commit" => Ok(id),
                "trap" => std::process::abort(),
                "wait" => loop {
                    std::thread::sleep(Duration::from_millis(100));
                },
                "conflict" => {
                    insert(tx, "twice")?;
                    insert(tx, "twice")?;
                    Ok(id)
                }
                _ => Err(sql::Error::Invalid("told to".into())),
            }
        });
    told(done)
}

/// As many messages in one transaction as the path says, and no statement.
fn many(request: &Request, count: String) -> Answer {
    let count: usize = count.parse().unwrap_or(0);
    let done = request
        .database()
        .transaction(Isolation::ReadCommitted, |tx| {
            (0..count)
                .map(|_| tx.enqueue("orders", message(request)))
                .collect::<Result<Vec<_>, _>>()
        });
    told(done)
}

/// Twice with one deduplication id, and a plain one between them.
fn twice(request: &Request) -> Answer {
    let done = request
        .database()
        .transaction(Isolation::ReadCommitted, |tx| {
            let first = tx.enqueue("orders", message(request).once("d"))?;
            let plain = tx.enqueue("orders", Message::new(b"plain".to_vec()))?;
            let second = tx.enqueue("orders", message(request).once("d"))?;
            Ok::<_, sql::Error>((first == second, first == plain))
        });
    told(done)
}

fn batch(request: &Request, end: String) -> Answer {
    let mut batch = Batch::new();
    let place = batch.enqueue("orders", message(request));
    match &*end {
        "rows" => {
            batch.add(insert_row::step(&id::new("row")));
        }
        "conflict" => {
            batch.add(insert::step("twice"));
            batch.add(insert::step("twice"));
        }
        "alone" => {}
        _ => {
            batch.add(insert::step(&id::new("row")));
        }
    }
    let done = batch.run(&request.database());
    told(done.and_then(|mut outcomes| outcomes.take_id(place)))
}

/// To a queue that was not granted.
fn denied(request: &Request) -> Answer {
    let database = request.database();
    let mut batch = Batch::new();
    batch.enqueue("secrets", message(request));
    let in_batch = batch.run(&database).map(|_| ());
    let in_transaction = database.transaction(Isolation::ReadCommitted, |tx| {
        // Whatever the guest makes of the error, the transaction is over.
        let _ = tx.enqueue("secrets", message(request));
        insert(tx, &id::new("row"))
    });
    told(Ok::<_, ()>((
        queue::send("secrets", message(request)),
        in_batch,
        in_transaction,
    )))
}

/// Seconds since 1970, as the guest is told.
fn now(_: &Request) -> Answer {
    let since = std::time::SystemTime::UNIX_EPOCH.elapsed();
    Response::json(200, &since.map_or(0, |since| since.as_secs()))
}

fn router() -> Router {
    Router::new()
        .get("/now", now)
        .post("/send/{queue}", send)
        .post("/send-many/{count}", send_many)
        .post("/transaction/{end}", transaction)
        .post("/many/{count}", many)
        .post("/twice", twice)
        .post("/batch/{end}", batch)
        .post("/denied", denied)
}

hearth_plugin::handler!(router);
