//! Support tickets, at `/support`: create, list, read and change them, comment on
//! them, and see who changed what. Everything happens on behalf of the caller's
//! customer, whose rows are the only ones that Postgres shows.

mod audits;
mod change;
mod comments;
mod create;
mod list;
mod show;
mod sql;
mod status;
mod ticket;

use hearth_plugin::prelude::*;

fn router() -> Router {
    Router::new()
        .get("/tickets", list::list)
        .post("/tickets", create::create)
        .post("/tickets/create", create::create_as_before)
        .get("/tickets/{id}", show::show)
        .patch("/tickets/{id}", change::change)
        .get("/tickets/{id}/comments", comments::list)
        .post("/tickets/{id}/comments", comments::create)
        .get("/tickets/{id}/audits", audits::list)
}

hearth_plugin::handler!(router);

#[cfg(test)]
mod tests;
