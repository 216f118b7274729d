//! Publishes what it is told to, and holds streams of what it is told.

use std::time::Duration;

use hearth_plugin::prelude::*;
use hearth_plugin::push::{self, Event};

fn text(request: &Request) -> String {
    String::from_utf8_lossy(request.body()).into_owned()
}

fn publish(request: &Request, channel: String) -> Answer {
    let mut query = request.query()?;
    let (id, kind) = (query.text("id").optional(), query.text("kind").optional());
    query.finish()?;
    let mut event = Event::new(text(request));
    if let Some(id) = &id {
        event = event.id(id);
    }
    if let Some(kind) = &kind {
        event = event.kind(kind);
    }
    match push::publish(&channel, &event) {
        Ok(id) => Ok(Response::new(200).body("text/plain", id.into_bytes())),
        Err(push::Error::Invalid(reason)) => {
            Ok(Response::new(422).body("text/plain", reason.into()))
        }
        Err(error) => Err(error.into()),
    }
}

/// One event a line.
fn publish_many(request: &Request, channel: String) -> Answer {
    let text = text(request);
    let events = text.lines().map(|line| (&*channel, Event::new(line)));
    let events: Vec<_> = events.collect();
    Response::json(200, &push::publish_many(&events)?)
}

/// Holds channels, after a pause and with a text of its own where the query says so.
fn stream(request: &Request) -> Answer {
    let mut query = request.query()?;
    let channels = query.text("channels").or("");
    let (last, first) = (
        query.text("last").optional(),
        query.text("first").optional(),
    );
    let pause = query.integer("pause_ms").or(0);
    query.finish()?;
    std::thread::sleep(Duration::from_millis(pause.try_into().unwrap_or(0)));
    let names: Vec<&str> = channels.split(',').collect();
    let held = push::hold(&names, last.as_deref()).header("etag", "\"1\"");
    Ok(match first {
        Some(first) => held.body("text/event-stream", first.into_bytes()),
        None => held,
    })
}

fn keep(_: &Request, channel: String) -> Answer {
    Ok(push::hold(&[&channel], None))
}

/// Answers with status and headers as the query has them, whatever they say.
fn raw(request: &Request) -> Answer {
    let mut query = request.query()?;
    let status = query.integer("status").or(200);
    let (hold, channel) = (
        query.text("hold").optional(),
        query.text("channel").optional(),
    );
    query.finish()?;
    let mut response = Response::new(status.try_into().unwrap_or(500));
    for (name, value) in [("Grip-Hold", hold), ("Grip-Channel", channel)] {
        if let Some(value) = value {
            response = response.header(name, &value);
        }
    }
    Ok(response)
}

fn router() -> Router {
    Router::new()
        .post("/publish/{channel}", publish)
        .post("/many/{channel}", publish_many)
        .get("/stream", stream)
        .post("/stream", stream)
        .get("/kept/{channel}", keep)
        .get("/raw", raw)
}

hearth_plugin::handler!(router);
