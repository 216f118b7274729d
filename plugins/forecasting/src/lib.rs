//! Costs, at `/costs`: records in, their history, what the coming months will cost
//! and how sure that is, how good such forecasts were, budgets that tell when they are
//! used up, and months that stand out. `model` reckons and asks nobody; everything
//! else happens on behalf of the caller's customer, whose rows are the only ones that
//! Postgres shows.

mod accuracy;
mod anomalies;
mod budgets;
mod cached;
mod costs;
mod forecast;
mod history;
mod model;
mod money;
mod month;
mod reconcile;
mod records;
mod selection;
mod sql;

use hearth_plugin::prelude::*;

fn router() -> Router {
    Router::new()
        .get("/forecast", forecast::get)
        .post("/forecast", forecast::post)
        .get("/forecast/accuracy", accuracy::get)
        .post("/records", records::load)
        .delete("/records", records::delete)
        .get("/history", history::get)
        .get("/anomalies", anomalies::get)
        .get("/budgets", budgets::list)
        .get("/budgets/{id}", budgets::show)
        .put("/budgets/{id}", budgets::replace)
        .delete("/budgets/{id}", budgets::delete)
}

hearth_plugin::handler!(router);

#[cfg(test)]
mod tests;
