//! Waits for Postgres, and computes nothing.

use hearth_plugin::prelude::*;

row! {
    /// Nothing, when the time is over.
    pub struct Slept { slept: bool }
}

sql! {
    /// Sleeps in Postgres. The operator approved `pg_sleep`, and what is approved
    /// counts as writing.
    pub write fn sleep(seconds: f64) -> Slept = "SELECT pg_sleep($1) IS NULL AS slept";
}

fn nap(request: &Request) -> Answer {
    Response::json(200, &sleep(&request.database(), 0.2)?.slept)
}

fn router() -> Router {
    Router::new().get("/", nap)
}

hearth_plugin::handler!(router);
