//! `/dlq`: deliveries whose last attempt failed.

use hearth_plugin::cursor::{self, Binding};
use hearth_plugin::prelude::*;

use crate::events::LAST;
use crate::order::{Job, Kind};
use crate::requeue;
use crate::sql::deliveries::{dead_before, dead_of_endpoint_before};

/// Events that a redrive names at most.
const EVENTS_MAX: usize = 100;

/// `GET /dlq`: those that failed last come first, of one endpoint or all.
pub fn list(request: &Request) -> Answer {
    let mut query = request.query()?;
    let is_id = |text: &String| id::is("ep", text);
    let endpoint = query.text("endpoint_id");
    let endpoint = endpoint
        .check("not_allowed", "this is not a valid endpoint id", is_id)
        .optional();
    let paging = Paging::by_cursor(&mut query);
    query.finish()?;
    let own = endpoint.as_deref();
    let binding = Binding::of(request, &["dlq", own.unwrap_or_default()])?;
    let (before, event_id, endpoint_id) = match paging.keys(&binding)? {
        None => (LAST, String::new(), String::new()),
        Some([time, event_id, endpoint_id]) => {
            let time = Timestamp::parse(&time).ok_or_else(cursor::refused)?;
            (time, event_id, endpoint_id)
        }
    };
    let (database, limit) = (request.database(), paging.fetch());
    let mut dead = match own {
        None => dead_before(&database, before, &event_id, &endpoint_id, limit)?,
        Some(own) => {
            dead_of_endpoint_before(&database, own, before, &event_id, &endpoint_id, limit)?
        }
    };
    let more = paging.cut(&mut dead);
    let next = dead.last().filter(|_| more).map(|last| {
        let time = last.failed_at.to_string();
        binding.encode(&[&time, &last.event_id, &last.endpoint_id])
    });
    let body = json!({"deliveries": dead, "has_more": more, "next_cursor": next});
    Ok(paging.link(request, next.as_deref(), Response::json(200, &body)?))
}

/// Which dead letters a client wants to be tried again.
struct Selection {
    endpoint_id: Option<String>,
    event_ids: Option<Vec<String>>,
}

impl Selection {
    fn read(mut fields: Fields) -> Result<Self, Problem> {
        let is_endpoint = |text: &String| id::is("ep", text);
        let are_events = |ids: &Vec<String>| ids.iter().all(|text| id::is("evt", text));
        let endpoint = fields.text("endpoint_id");
        let endpoint = endpoint.check(
            "not_allowed",
            "this is not a valid endpoint id",
            is_endpoint,
        );
        let endpoint_id = endpoint.optional();
        let events = fields.texts("event_ids").count(1..=EVENTS_MAX);
        let events = events.check("not_allowed", "these are not valid event ids", are_events);
        let event_ids = events.optional();
        let all = fields.boolean("all").or(false);
        if !all && endpoint_id.is_none() && event_ids.is_none() {
            fields.refuse(
                "all",
                "required",
                "give event_ids, endpoint_id, or all as true",
            );
        }
        fields.finish()?;
        Ok(Selection {
            endpoint_id,
            event_ids,
        })
    }
}

/// `POST /dlq/redrive`: begins them anew, with the whole schedule. Those of endpoints
/// that are disabled stay where they are.
pub fn redrive(request: &Request) -> Answer {
    let wanted = Selection::read(request.fields()?)?;
    let until = Timestamp::now();
    requeue::begin_job(
        request,
        &Job {
            job: Kind::Redrive,
            endpoint_id: wanted.endpoint_id,
            event_ids: wanted.event_ids,
            since: 0,
            until: until.micros(),
            after: None,
        },
    )
}
