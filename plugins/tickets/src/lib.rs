//! Support tickets, at `/support`: create, list, count, search, export, read, change,
//! merge, rate, redact and delete them, comment on them, follow their changes, see who
//! changed what and how soon they have to be answered and solved. Everything happens on behalf of the caller's
//! customer, whose rows are the only ones that Postgres shows.

mod audits;
mod bulk;
mod change;
mod changes;
mod comments;
mod create;
mod delete;
mod events;
mod filter;
mod fold;
mod include;
mod list;
mod merge;
mod outbox;
mod page;
mod rating;
mod redact;
mod refold;
mod requester;
mod search;
mod show;
mod sla;
mod sql;
mod start;
mod status;
mod tags;
mod ticket;
mod write;

use hearth_plugin::prelude::*;

use crate::sla::{calendars, policies, view};

fn router() -> Router {
    Router::new()
        .get("/tickets", list::list)
        .post("/tickets", create::create)
        .post("/tickets/create", create::create_as_before)
        .get("/tickets/count", list::count)
        .get("/tickets/changes", changes::list)
        .get("/tickets/export.csv", list::export)
        .post("/tickets/bulk", bulk::bulk)
        .get("/tickets/{id}", show::show)
        .patch("/tickets/{id}", change::change)
        .delete("/tickets/{id}", delete::delete)
        .post("/tickets/{id}/redact", redact::redact)
        .get("/tickets/{id}/comments", comments::list)
        .post("/tickets/{id}/comments", comments::create)
        .get("/tickets/{id}/audits", audits::list)
        .get("/tickets/{id}/sla", view::show)
        .put("/tickets/{id}/tags", tags::add)
        .delete("/tickets/{id}/tags", tags::remove)
        .post("/tickets/{id}/reopen", rating::reopen)
        .post("/tickets/{id}/satisfaction", rating::rate)
        .post("/tickets/{id}/merge", merge::merge)
        .get("/sla-policies", policies::list)
        .get("/sla-policies/{id}", policies::show)
        .put("/sla-policies/{id}", policies::replace)
        .delete("/sla-policies/{id}", policies::delete)
        .get("/calendars", calendars::list)
        .get("/calendars/{id}", calendars::show)
        .put("/calendars/{id}", calendars::replace)
        .delete("/calendars/{id}", calendars::delete)
}

hearth_plugin::handler!(router);
hearth_plugin::consumer!(sla::watch::consume);

#[cfg(test)]
mod tests;
