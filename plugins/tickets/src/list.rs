//! Listing, counting and exporting tickets.

use std::collections::HashMap;

use hearth_plugin::csv;
use hearth_plugin::prelude::*;

use crate::filter::Filter;
use crate::include::{COMMENTS_IN_LIST, Include};
use crate::page::{self, COUNT_MAX};
use crate::sql::lists::ListedTicket;
use crate::start::Start;
use crate::{outbox, ticket};

/// The columns of an export: members of a ticket, and of its requester.
const COLUMNS: [&str; 18] = [
    "id",
    "external_id",
    "status",
    "priority",
    "type",
    "subject",
    "assignee",
    "tags",
    "custom_fields",
    "satisfaction",
    "satisfaction_comment",
    "merged_into",
    "version",
    "created_at",
    "updated_at",
    "solved_at",
    "requester_name",
    "requester_email",
];

/// `GET /tickets`: the newest first, or as `sort` says.
pub fn list(request: &Request) -> Answer {
    let mut query = request.query()?;
    let (filter, paging) = (Filter::read(&mut query), Paging::read(&mut query));
    let include = Include::read(&mut query);
    if include.descriptions && paging.page().is_some() {
        query.refuse(
            "page",
            "not_allowed",
            "pages are not supported for a list with descriptions; use the cursor",
        );
    }
    query.finish()?;
    outbox::check_setting()?;
    let database = request.database();
    let binding = filter.binding(request, "tickets")?;
    let (mut found, more) = page::page(&filter, &database, &paging, &binding)?;
    let (descriptions, is_shorter) = include.descriptions(&database, &mut found)?;
    let last = found.last().filter(|_| more || is_shorter);
    let next = last.map(|last| Start::behind(last, filter.sort, &binding));
    let mut tickets: Vec<_> = found.iter().map(members).collect();
    if include.descriptions {
        // One that was deleted meanwhile has none.
        tickets.retain_mut(|ticket| described(ticket, &descriptions));
    }
    include.comments(request, &mut tickets, COMMENTS_IN_LIST)?;
    let body = answer(tickets, next.as_deref(), paging.page());
    Ok(paging.link(request, next.as_deref(), Response::json(200, &body)?))
}

/// A ticket as it is answered.
fn members(found: &ListedTicket) -> Map<String, Value> {
    let mut members = sql::to_json(found);
    members.remove("due_at");
    members
}

fn described(ticket: &mut Map<String, Value>, descriptions: &HashMap<String, String>) -> bool {
    let id = ticket.get("id").and_then(Value::as_str);
    let Some(description) = id.and_then(|id| descriptions.get(id)) else {
        return false;
    };
    ticket.insert("description".into(), description.as_str().into());
    true
}

fn answer(tickets: Vec<Map<String, Value>>, next: Option<&str>, page: Option<i64>) -> Value {
    let tickets: Vec<_> = tickets.into_iter().map(ticket::with_ticket_id).collect();
    let mut body = json!({"tickets": tickets, "has_more": next.is_some(), "next_cursor": next});
    if let (Some(page), Some(members)) = (page, body.as_object_mut()) {
        members.insert("page".into(), page.into());
    }
    body
}

/// `GET /tickets/count`: how many tickets match the filters. Exact up to 10,000; above,
/// the answer says that there are at least as many.
pub fn count(request: &Request) -> Answer {
    let mut query = request.query()?;
    let filter = Filter::read(&mut query);
    query.finish()?;
    let count = page::count(filter, &request.database())?;
    let body = json!({"count": count.min(COUNT_MAX), "exact": count <= COUNT_MAX});
    Response::json(200, &body)
}

/// `GET /tickets/export.csv`: the list as CSV, page by page along `Link:
/// rel="next"`. The first page alone has a line of names, so that the pages one
/// after the other are one file.
pub fn export(request: &Request) -> Answer {
    let mut query = request.query()?;
    let (filter, paging) = (Filter::read(&mut query), Paging::read(&mut query));
    if paging.page().is_some() {
        query.refuse(
            "page",
            "not_allowed",
            "pages are not supported for an export; use the cursor",
        );
    }
    query.finish()?;
    let binding = filter.binding(request, "export")?;
    let (found, more) = page::page(&filter, &request.database(), &paging, &binding)?;
    let last = found.last().filter(|_| more);
    let next = last.map(|last| Start::behind(last, filter.sort, &binding));
    let mut text = String::new();
    if paging.is_first() {
        csv::line(&mut text, COLUMNS);
    }
    for ticket in &found {
        let cells = cells(ticket);
        csv::line(&mut text, cells.iter().map(String::as_str));
    }
    let media_type = csv::media_type(paging.is_first());
    let response = Response::new(200).body(media_type, text.into_bytes());
    Ok(paging.link(request, next.as_deref(), response))
}

/// Texts as they are, null as nothing, tags and custom fields as JSON.
fn cells(ticket: &ListedTicket) -> Vec<String> {
    let mut members = members(ticket);
    if let Some(Value::Object(requester)) = members.remove("requester") {
        let named = requester.into_iter();
        members.extend(named.map(|(name, value)| (["requester_", &name].concat(), value)));
    }
    let cell = |name: &&str| match members.get(*name) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(value) => value.to_string(),
    };
    COLUMNS.iter().map(cell).collect()
}
