//! `/calendars`: when business is open.

use hearth_plugin::cursor::Binding;
use hearth_plugin::prelude::*;
use hearth_plugin::sql::{Batch, Error};

use super::hours::Hours;
use super::order::Order;
use super::{SlaId, plan, put, too_many};
use crate::outbox::Outbox;
use crate::sql::sla::{
    CalendarRow, Put, calendar_by_id, calendars_after, delete_calendar, put_calendar,
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
    Response::json(200, &calendar.ok_or_else(Problem::not_found)?)
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
    let written = Outbox::run(|outbox| write(&database, &calendar, outbox))?;
    plan::forget_kept();
    let written = written.ok_or_else(|| too_many("calendars"))?;
    calendar.updated_at = written.updated_at;
    let path = ["/calendars/", &calendar.id].concat();
    let body = Value::Object(sql::to_json(&calendar));
    put(request, written.created, &path, &body)
}

fn write(
    database: &Database,
    calendar: &CalendarRow,
    outbox: &Outbox,
) -> Result<Option<Put>, Error> {
    let mut batch = Batch::new();
    let put = batch.add(put_calendar::step(
        &calendar.id,
        &calendar.name,
        &calendar.time_zone,
        &calendar.hours,
        &calendar.holidays,
    ));
    outbox.add(&mut batch, &[], &[Order::ReviewSoon]);
    outbox.noted(batch.run(database))?.take(put)
}

/// `DELETE /calendars/{id}`: 204; 409 while a policy uses it.
pub fn delete(request: &Request, SlaId(id): SlaId) -> Answer {
    request.require_scope(AGENT)?;
    match delete_calendar(&request.database(), &id) {
        Ok(0) => Err(Problem::not_found()),
        Ok(_) => Ok(Response::no_content()),
        Err(Error::ForeignKeyViolation(_)) => {
            let detail = "a policy uses this calendar; change or delete the policy first";
            Err(Problem::new(409, "in-use", "In use").detail(detail))
        }
        Err(error) => Err(error.into()),
    }
}
