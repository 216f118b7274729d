//! `/events`: events that the customer sends, and their deliveries.

use hearth_plugin::cursor::{self, Binding};
use hearth_plugin::json::{self, RawValue};
use hearth_plugin::prelude::*;
use hearth_plugin::problem::{FieldError, Location};
use hearth_plugin::router::PathParameter;
use hearth_plugin::sql::Error;
use serde::Serialize;

use crate::accept::{self, Event};
use crate::sql::deliveries::{Shown, deliveries_of};
use crate::sql::events::{
    Accepted, event_by_id, event_by_sender_id, events_before, events_of_type_before, subscriptions,
};
use crate::{schema, topic};

/// The id of an event in a path; anything else there is 404.
pub struct EventId(pub String);

impl PathParameter for EventId {
    fn from_segment(text: &str) -> Option<Self> {
        id::is("evt", text).then(|| EventId(text.to_string()))
    }
}

/// Before and after every event: 0001-01-01 and the end of 9999.
pub const FIRST: Timestamp = Timestamp::from_micros(-62_135_596_800_000_000);
pub const LAST: Timestamp = Timestamp::from_micros(253_402_300_799_999_999);

/// Characters of a sender's own id at most.
const SENDER_ID_MAX: usize = 256;

/// The event in a request.
struct NewEvent {
    id: Option<String>,
    sender_id: Option<String>,
    kind: String,
    payload: Value,
    /// The payload as it is written.
    text: String,
    occurred_at: Option<Timestamp>,
}

impl NewEvent {
    /// Reads the fields of a body.
    fn read(mut fields: Fields, body: &[u8]) -> Result<Self, Problem> {
        let text = json::member(body, "payload").map_or("", RawValue::get);
        let is_id = |text: &String| id::is("evt", text);
        let fits = |_: &Map<String, Value>| accept::fits(text);
        let is_name = |text: &String| topic::is_name(text);
        let new = NewEvent {
            id: fields
                .text("id")
                .check("not_allowed", "this must be evt_ and a UUID", is_id)
                .optional(),
            sender_id: fields.text("event_id").length(1..=SENDER_ID_MAX).optional(),
            kind: fields
                .text("type")
                .check(
                    "not_allowed",
                    "this is not a valid event type name: it must be words with dots between them",
                    is_name,
                )
                .required(),
            payload: fields
                .object("payload")
                .check(
                    "too_long",
                    "this must be at most 20,000 bytes as JSON",
                    fits,
                )
                .required()
                .into(),
            text: text.into(),
            occurred_at: fields.timestamp("occurred_at").optional(),
        };
        fields.finish()?;
        Ok(new)
    }

    fn event(&self, now: Timestamp) -> Event {
        let id = self.id.clone().unwrap_or_else(|| id::new("evt"));
        let occurred_at = self.occurred_at.unwrap_or(now);
        Event {
            sender_id: self.sender_id.clone(),
            ..Event::new(id, &self.kind, &self.text, occurred_at, now)
        }
    }

    /// The existing event, if the request repeats it.
    fn find_existing(&self, database: &Database) -> Result<Option<Accepted>, Error> {
        let by_sender_id = |id| event_by_sender_id(database, id);
        let mut there = self.sender_id.as_deref().map_or(Ok(None), by_sender_id)?;
        if let (None, Some(id)) = (&there, &self.id) {
            there = event_by_id(database, id)?;
        }
        Ok(there.filter(|there| self.is(there)))
    }

    /// Whether the request repeats an event.
    fn is(&self, event: &Accepted) -> bool {
        let payload = accept::payload(&event.body).and_then(|text| Json::parse(text.get()));
        self.id.as_ref().is_none_or(|id| *id == event.id)
            && self.sender_id == event.event_id
            && self.occurred_at.is_none_or(|at| at == event.occurred_at)
            && self.kind == event.r#type
            && payload.is_some_and(|Json(payload)| payload == self.payload)
    }
}

/// `POST /events`: 202 once the event and its deliveries are durable. What is sent
/// with an id, of ours or of the sender's own, that is there already has no effect: 202
/// with the event that is there where it is the same, else 409.
pub fn create(request: &Request) -> Answer {
    let new = NewEvent::read(request.fields()?, request.body())?;
    let database = request.database();
    let met = subscriptions(&database, &new.kind, &topic::patterns_of(&new.kind))?;
    if let Some(Json(schema)) = &met.schema {
        validate(schema, &new.payload)?;
    }
    let (event, targets) = (new.event(Timestamp::now()), accept::targets(&met));
    let id = match accept::accept(&database, &event, &targets) {
        Ok(()) => {
            metrics::count("events", 1, &[]);
            event.id
        }
        Err(Error::UniqueViolation(_)) => new.find_existing(&database)?.ok_or_else(taken)?.id,
        Err(error) => return Err(error.into()),
    };
    let location = request.link(&["/events/", &id].concat());
    let body = json!({"status": "queued", "id": id, "event_id": new.sender_id,
        "type": new.kind});
    Ok(Response::json(202, &body)?.header("location", &location))
}

fn taken() -> Problem {
    Problem::new(409, "already-exists", "Already exists").detail("another event has this id")
}

/// 422 with the places where a payload does not fit its type's schema.
fn validate(schema: &Value, payload: &Value) -> Result<(), Problem> {
    let faults = schema::evaluate(schema, payload);
    match faults.is_empty() {
        true => Ok(()),
        false => Err(Problem::invalid_fields(errors(
            "/payload", "schema", faults,
        ))),
    }
}

/// Faults of a value that stands at a place of the body.
pub fn errors(at: &str, code: &'static str, faults: Vec<schema::Fault>) -> Vec<FieldError> {
    let error = |fault: schema::Fault| FieldError {
        location: Location::Pointer([at, &fault.pointer].concat()),
        code,
        detail: fault.detail,
    };
    faults.into_iter().map(error).collect()
}

/// `GET /events`: the newest first, of one type or all, without their payloads.
pub fn list(request: &Request) -> Answer {
    let mut query = request.query()?;
    let is_name = |text: &String| topic::is_name(text);
    let kind = query.text("type").check(
        "not_allowed",
        "this is not a valid event type name",
        is_name,
    );
    let kind = kind.optional();
    let since = query.timestamp("since").optional().unwrap_or(FIRST);
    let paging = Paging::by_cursor(&mut query);
    query.finish()?;
    let parts = [
        "events",
        kind.as_deref().unwrap_or_default(),
        &since.to_string(),
    ];
    let binding = Binding::of(request, &parts)?;
    let (before, id) = match paging.keys(&binding)? {
        None => (LAST, String::new()),
        Some([time, id]) => (Timestamp::parse(&time).ok_or_else(cursor::refused)?, id),
    };
    let (database, limit) = (request.database(), paging.fetch());
    let mut events = match &kind {
        None => events_before(&database, since, before, &id, limit)?,
        Some(kind) => events_of_type_before(&database, kind, since, before, &id, limit)?,
    };
    let more = paging.cut(&mut events);
    let last = events.last().filter(|_| more);
    let next = last.map(|last| binding.encode(&[&last.created_at.to_string(), &last.id]));
    let body = json!({"events": events, "has_more": more, "next_cursor": next});
    Ok(paging.link(request, next.as_deref(), Response::json(200, &body)?))
}

/// An event as clients see it, its payload as it was written.
#[derive(Serialize)]
struct Whole<'e> {
    id: &'e str,
    event_id: Option<&'e str>,
    r#type: &'e str,
    occurred_at: Timestamp,
    created_at: Timestamp,
    payload: Option<&'e RawValue>,
    deliveries: Vec<Value>,
}

/// `GET /events/{id}`: with its payload, and how it fared with each endpoint.
pub fn show(request: &Request, EventId(id): EventId) -> Answer {
    let database = request.database();
    let event = event_by_id(&database, &id)?.ok_or_else(Problem::not_found)?;
    let deliveries = deliveries_of(&database, &id)?;
    let whole = Whole {
        id: &event.id,
        event_id: event.event_id.as_deref(),
        r#type: &event.r#type,
        occurred_at: event.occurred_at,
        created_at: event.created_at,
        payload: accept::payload(&event.body),
        deliveries: deliveries.iter().map(delivery).collect(),
    };
    Response::json(200, &whole)
}

/// A delivery whose next attempt has a time only while it waits.
fn delivery(delivery: &Shown) -> Value {
    let mut members = sql::to_json(delivery);
    let due_at = members
        .remove("due_at")
        .filter(|_| delivery.status == "pending");
    members.insert("next_attempt_at".into(), due_at.unwrap_or_default());
    members.into()
}

/// 404 where there is no such event.
pub fn require(request: &Request, id: &str) -> Result<(), Problem> {
    event_by_id(&request.database(), id)?
        .map(drop)
        .ok_or_else(Problem::not_found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn new_event(body: &str) -> Result<NewEvent, Problem> {
        let fields = Fields::of(Json::parse(body).unwrap().0)?;
        NewEvent::read(fields, body.as_bytes())
    }

    #[test]
    fn the_same_event_told_again_is_known() {
        let now = Timestamp::from_micros(7);
        let body = r#"{"type": "a.b", "event_id": "own-1",
            "payload": {"t": "ä",  "n": 18446744073709551616.50}}"#;
        let new = new_event(body).unwrap_or_else(|_| panic!("it is an event"));
        let event = new.event(now);
        let accepted = |kind: &str, body: &str| Accepted {
            id: event.id.clone(),
            event_id: event.sender_id.clone(),
            r#type: kind.into(),
            body: body.into(),
            occurred_at: now,
            created_at: now,
        };
        assert!(new.is(&accepted("a.b", &event.body)));
        assert!(!new.is(&accepted("a.c", &event.body)));
        assert!(!new.is(&accepted("a.b", &event.body.replace("6.50", "7.50"))));
        let other_order = event.body.replace(r#""t": "ä",  "#, "");
        let other_order = other_order.replace(".50", r#".50,"t":"ä""#);
        assert!(new.is(&accepted("a.b", &other_order)), "{other_order}");
        let mut of_another = accepted("a.b", &event.body);
        of_another.event_id = None;
        assert!(!new.is(&of_another));
    }

    #[test]
    fn a_payload_of_twenty_kilobytes_is_taken_and_no_larger_one() {
        let of = |length: usize| {
            let payload = json!({"x": "y".repeat(length)});
            new_event(&json!({"type": "a", "payload": payload}).to_string())
        };
        assert!(of(20_000 - 8).is_ok());
        let problem = of(20_000 - 7).err().unwrap();
        assert_eq!(
            (problem.status(), problem.field_errors()[0].code),
            (422, "too_long")
        );
    }

    #[test]
    fn every_wrong_field_is_named() {
        let body = json!({"id": "1", "event_id": "", "type": "a b", "payload": [],
            "occurred_at": "x", "data": 1});
        let problem = new_event(&body.to_string()).err().unwrap();
        assert_eq!(problem.field_errors().len(), 6);
    }
}
