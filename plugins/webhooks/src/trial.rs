//! `POST /endpoints/{id}/test`: a test event for one endpoint only.

use hearth_plugin::prelude::*;

use crate::accept::{self, Event, Target};
use crate::endpoint::EndpointId;
use crate::endpoints;
use crate::sql::events::event_type_by_name;
use crate::{requeue, topic};

/// What is sent where the client names no type.
const TEST: &str = "endpoint.test";

/// Sends the example of a type, or, where it has none, a few words. Whether the
/// endpoint wants the type is not asked, nor whether it rests.
pub fn send(request: &Request, EndpointId(id): EndpointId) -> Answer {
    let mut fields = request.fields_if_any()?;
    let is_name = |text: &String| topic::is_name(text);
    let kind = fields.text("type").check(
        "not_allowed",
        "this is not a valid event type name",
        is_name,
    );
    let kind = kind.or(TEST);
    fields.finish()?;
    let endpoint = endpoints::find(request, &id)?;
    endpoint.require_enabled()?;
    let (database, now) = (request.database(), Timestamp::now());
    let example = event_type_by_name(&database, &kind)?.and_then(|found| found.example);
    let payload = match example {
        Some(Json(example)) => example,
        None => json!({"endpoint_id": id, "message": "This is a test."}),
    };
    let event = Event {
        only_endpoint: Some(id.clone()),
        ..Event::new(id::new("evt"), &kind, &payload.to_string(), now, now)
    };
    let target = Target {
        id,
        ordered: endpoint.ordered,
    };
    requeue::lift(&database, std::slice::from_ref(&target.id), now)?;
    accept::accept(&database, &event, &[target])?;
    let location = request.link(&["/events/", &event.id].concat());
    let body = json!({"status": "queued", "id": event.id, "type": event.kind});
    Ok(Response::json(202, &body)?.header("location", &location))
}
