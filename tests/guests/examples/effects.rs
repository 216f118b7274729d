//! Writes a row in each way that there is, and ends in each way that there is.

use hearth_plugin::prelude::*;
use hearth_plugin::sql::Batch;

row! {
    /// How many rows there are.
    pub struct Count { count: i64 }
    /// What an insert answers.
    pub struct Id { id: String }
}

sql! {
    /// Every row that the caller's customer can see.
    pub read fn count() -> Count = "SELECT count(*) AS count FROM rows";
    /// Another row.
    pub write fn insert(id: &str) -> u64 = "INSERT INTO rows (id) VALUES ($1)";
    /// Another row, which it answers.
    pub write fn insert_row(id: &str) -> Id = "INSERT INTO rows (id) VALUES ($1) RETURNING id";
}

fn row() -> String {
    id::new("row")
}

fn lone(request: &Request) -> Answer {
    let row = insert_row(&request.database(), &row())?;
    Response::json(201, &row.id)
}

fn batch(request: &Request) -> Answer {
    let mut batch = Batch::new();
    batch.add(insert::step(&row()));
    batch.run(&request.database())?;
    Ok(Response::no_content())
}

fn batch_with_rows(request: &Request) -> Answer {
    let mut batch = Batch::new();
    let place = batch.add(insert_row::step(&row()));
    let mut outcomes = batch.run(&request.database())?;
    Response::json(201, &outcomes.take(place)?.id)
}

fn transaction(request: &Request) -> Answer {
    let id = row();
    request
        .database()
        .transaction(Isolation::ReadCommitted, |tx| insert(tx, &id))?;
    Response::json(201, &id)
}

/// Two transactions: the first makes the request applied, the second follows.
fn twice(request: &Request) -> Answer {
    transaction(request)?;
    lone(request)
}

fn trap_before(request: &Request) -> Answer {
    let done = request
        .database()
        .transaction(Isolation::ReadCommitted, |tx| {
            insert(tx, &row())?;
            std::process::abort();
        });
    done.map(|()| Response::no_content())
}

fn trap_after(request: &Request) -> Answer {
    transaction(request)?;
    std::process::abort();
}

fn fail_after(request: &Request) -> Answer {
    transaction(request)?;
    Err(Problem::internal())
}

fn nothing(_: &Request) -> Answer {
    Response::json(200, &row())
}

fn refuse(_: &Request) -> Answer {
    Err(Problem::internal())
}

/// A list of which each item failed.
fn nothing_done(_: &Request) -> Answer {
    Ok(Response::json(207, &row())?.without_effect())
}

/// It says so, and is wrong.
fn done_after_all(request: &Request) -> Answer {
    transaction(request)?;
    nothing_done(request)
}

/// What the request itself is to blame for, before anything was done.
fn reject(_: &Request) -> Answer {
    Err(Problem::new(422, "rejected", "Rejected"))
}

/// The same behind an effect.
fn reject_after(request: &Request) -> Answer {
    transaction(request)?;
    reject(request)
}

fn rows(request: &Request) -> Answer {
    Response::json(200, &count(&request.database())?.count)
}

fn router() -> Router {
    Router::new()
        .get("/", rows)
        .post("/lone", lone)
        .post("/batch", batch)
        .post("/batch-with-rows", batch_with_rows)
        .post("/transaction", transaction)
        .post("/twice", twice)
        .post("/trap-before", trap_before)
        .post("/trap-after", trap_after)
        .post("/fail-after", fail_after)
        .post("/nothing", nothing)
        .post("/refuse", refuse)
        .post("/nothing-done", nothing_done)
        .post("/done-after-all", done_after_all)
        .post("/reject", reject)
        .post("/reject-after", reject_after)
}

hearth_plugin::handler!(router);
