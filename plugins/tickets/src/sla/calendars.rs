//! `/calendars`: when business is open.

use hearth_plugin::cursor::Binding;
use hearth_plugin::prelude::*;
use hearth_plugin::sql::Error;

use super::hours::Hours;
use super::order::Order;
use super::{SlaId, check, check_made, plan, put, too_many};
use crate::outbox::Outbox;
use crate::sql::sla::{
    CalendarRow, Put, calendar_by_id, calendars_after, delete_calendar, lock_calendar, put_calendar,
};
use crate::ticket::AGENT;

/// `GET /calendars`: by id.
pub fn list(request: &Request) -> Answer {
    request.require_scope(AGENT)?;
    let mut query = request.query()?;
    let paging = Paging::read(&mut query);
    if paging.page().is_some() {
        query.refuse(
            "page",
            "not_allowed",
            "pages are not supported for calendars; use the cursor",
        );
    }
    query.finish()?;
    let binding = Binding::of(request, &["calendars"])?;
    let [after] = paging.keys(&binding)?.unwrap_or_default();
    let mut calendars = calendars_after(&request.database(), &after, paging.fetch())?;
    let more = paging.cut(&mut calendars);
    let last = calendars.last().filter(|_| more);
    let next = last.map(|calendar| binding.encode(&[&calendar.id]));
    let body = json!({"calendars": calendars, "has_more": more, "next_cursor": next});
    Ok(paging.link(request, next.as_deref(), Response::json(200, &body)?))
}

/// `GET /calendars/{id}`: 404 where it is not there, or another customer's.
pub fn show(request: &Request, SlaId(id): SlaId) -> Answer {
    request.require_scope(AGENT)?;
    let calendar = calendar_by_id(&request.database(), &id)?;
    Response::json(200, &to_json(&calendar.ok_or_else(Problem::not_found)?))
}

/// `PUT /calendars/{id}`: makes it, 201, or replaces it.
pub fn replace(request: &Request, SlaId(id): SlaId) -> Answer {
    request.require_scope(AGENT)?;
    let mut fields = request.fields()?;
    let name = fields.text("name").length(1..=255).required();
    let hours = Hours::read(&mut fields);
    fields.finish()?;
    let mut calendar = CalendarRow {
        id,
        name,
        time_zone: hours.time_zone().to_string(),
        hours: Json(hours.week_json()),
        holidays: hours.holidays().to_vec(),
        updated_at: Timestamp::default(),
    };
    let database = request.database();
    let written = Outbox::run(|outbox| {
        database.transaction(Isolation::ReadCommitted, |tx| {
            let before = lock_calendar(tx, &calendar.id)?;
            check(request, before.as_ref().map(to_json).as_ref())?;
            let written = write(tx, &calendar)?.ok_or_else(|| too_many("calendars"))?;
            check_made(request, before.is_some(), written.created)?;
            outbox.send(tx, &[], &[Order::ReviewSoon])?;
            Ok::<_, Problem>(written)
        })
    })?;
    plan::forget_kept();
    calendar.updated_at = written.updated_at;
    let path = ["/calendars/", &calendar.id].concat();
    put(request, written.created, &path, &to_json(&calendar))
}

fn to_json(calendar: &CalendarRow) -> Value {
    Value::Object(sql::to_json(calendar))
}

fn write(tx: &Transaction, calendar: &CalendarRow) -> Result<Option<Put>, Error> {
    put_calendar(
        tx,
        &calendar.id,
        &calendar.name,
        &calendar.time_zone,
        &calendar.hours,
        &calendar.holidays,
    )
}

/// `DELETE /calendars/{id}`: 204; 409 while a policy uses it.
pub fn delete(request: &Request, SlaId(id): SlaId) -> Answer {
    request.require_scope(AGENT)?;
    request
        .database()
        .transaction(Isolation::ReadCommitted, |tx| {
            let calendar = lock_calendar(tx, &id)?.ok_or_else(Problem::not_found)?;
            check(request, Some(&to_json(&calendar)))?;
            delete_calendar(tx, &id).map_err(in_use)?;
            Ok(Response::no_content())
        })
}

fn in_use(error: Error) -> Problem {
    match error {
        Error::ForeignKeyViolation(_) => {
            let detail = "a policy uses this calendar; change or delete the policy first";
            Problem::new(409, "in-use", "In use").detail(detail)
        }
        error => error.into(),
    }
}
