//! Listing, counting and exporting tickets.

use hearth_plugin::csv;
use hearth_plugin::prelude::*;

use crate::filter::Filter;
use crate::outbox;
use crate::ticket::Summary;

/// What a count is exact to.
const COUNT_MAX: i64 = 10_000;

/// The columns of an export, which are members of a ticket.
const COLUMNS: [&str; 16] = [
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
];

/// `GET /tickets`: the newest first, or as `sort` says.
pub fn list(request: &Request) -> Answer {
    let mut query = request.query()?;
    let (filter, paging) = (Filter::read(&mut query), Paging::read(&mut query));
    query.finish()?;
    outbox::check_setting()?;
    let binding = filter.binding(request, "tickets")?;
    let (tickets, next) = filter.page(&request.database(), &paging, &binding)?;
    let body = answer(&tickets, next.as_deref(), paging.page());
    Ok(paging.link(request, next.as_deref(), Response::json(200, &body)?))
}

fn answer(tickets: &[Summary], next: Option<&str>, page: Option<i64>) -> Value {
    let tickets: Vec<_> = tickets.iter().map(Summary::to_json).collect();
    let mut body = json!({"tickets": tickets, "has_more": next.is_some(), "next_cursor": next});
    if let (Some(page), Some(members)) = (page, body.as_object_mut()) {
        members.insert("page".into(), page.into());
    }
    body
}

/// `GET /tickets/count`: how many tickets the filters choose. Exact to 10,000;
/// whoever has more is told that there are at least as many.
pub fn count(request: &Request) -> Answer {
    let mut query = request.query()?;
    let filter = Filter::read(&mut query);
    query.finish()?;
    let count = filter.count(&request.database())?;
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
        query.refuse("page", "not_allowed", "an export has a cursor and no pages");
    }
    query.finish()?;
    let binding = filter.binding(request, "export")?;
    let (tickets, next) = filter.page(&request.database(), &paging, &binding)?;
    let mut text = String::new();
    if paging.is_first() {
        csv::line(&mut text, COLUMNS);
    }
    for ticket in &tickets {
        let cells = cells(ticket);
        csv::line(&mut text, cells.iter().map(String::as_str));
    }
    let media_type = csv::media_type(paging.is_first());
    let response = Response::new(200).body(media_type, text.into_bytes());
    Ok(paging.link(request, next.as_deref(), response))
}

/// Texts as they are, null as nothing, tags and custom fields as JSON.
fn cells(ticket: &Summary) -> Vec<String> {
    let members = sql::to_json(ticket);
    let cell = |name: &&str| match members.get(*name) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(value) => value.to_string(),
    };
    COLUMNS.iter().map(cell).collect()
}
