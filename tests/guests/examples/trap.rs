//! Traps in the middle of a transaction.

use hearth_plugin::prelude::*;

row! {
    /// How many rows there are.
    pub struct Count { count: i64 }
}

sql! {
    /// Every row that the caller's customer can see.
    pub read fn count() -> Count = "SELECT count(*) AS count FROM rows";
    /// Another row.
    pub write fn insert(id: &str) -> u64 = "INSERT INTO rows (id) VALUES ($1)";
}

fn trap(request: &Request) -> Answer {
    let done = request
        .database()
        .transaction(Isolation::ReadCommitted, |transaction| {
            insert(transaction, &id::new("row"))?;
            std::process::abort();
        });
    done.map(|()| Response::no_content())
}

fn rows(request: &Request) -> Answer {
    Response::json(200, &count(&request.database())?.count)
}

fn router() -> Router {
    Router::new().post("/", trap).get("/", rows)
}

hearth_plugin::handler!(router);
