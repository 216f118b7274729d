//! Costs, at `/costs`: cost records, their history, forecasts with intervals, the
//! accuracy of forecasts, budgets with alerts, and anomalies. `model` only computes,
//! without HTTP or SQL; everything else is done for the caller's customer, whose rows
//! are the only ones that Postgres shows.

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
