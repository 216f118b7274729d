//! Notifications, at `/notifications`: messages of other plugins and of the customer's
//! own programs, stored in an inbox, streamed as they arrive, and muted, delayed or
//! gathered as their reader prefers.
//!
//! # Whose
//! Everything is the caller's customer's. Each customer has an inbox of its own and one
//! for each `recipient` that it names, such as `user:42`: `recipient` in the body of
//! `POST /notifications`, `?recipient=` everywhere else. There is nothing to be set up.
//! Events of other plugins go to the customer's own inbox.
//!
//! # What is stored where
//! In DynamoDB, through `documents`. A listing, or a count, goes through one partition from
//! the newest down to where nothing can match any more, within bounds.
//!
//! | partition | sort key | holds |
//! |---|---|---|
//! | `inbox/<recipient>` | `<id>` | a notification: written once, never changed |
//! | | `<id>/archived`, `/read`, `/seen` | `{on, at}`: a flag, which stands beside it |
//! | | `<id>/snoozed` | `{until}` |
//! | | `<id>/deleted` | what stays of a deleted one, so that it does not come back |
//! | | `archived/<id>`, `read/<id>`, `snoozed/<id>` | nothing: it may be so, says its key |
//! | | `summary` | all flags "of all up to here", and where those lie that are looked for |
//! | `later/<recipient>` | `<id>` | one that is held for the end of quiet hours, and of no inbox |
//! | | `<window>/<id>` | one that waits for the digest of a window (`dgs_…`) |
//! | | `window/<hash of category and key>` | until when the window of a digest is open; expires a day after its end |
//! | `preferences` | `/<recipient>` | its preferences |
//! | `templates` | `<template>` | a template |
//!
//! An id is `ntf_` and a UUID of version 7, so that ids sort by time. Of a request with an
//! `Idempotency-Key` it derives from the key, the time at which the host first saw it and
//! the place in the request; of an event from the event's id and time. So what is sent
//! again is written again as it was, and its flags, being other items, stay: a batch
//! writer replaces whole items and asks nothing first. What belongs to a notification lies
//! directly behind it, and the same Query finds it. A notification and its flags expire
//! together.
//!
//! "All are read" writes one item (`watermarks`), whatever there is. Of a flag and a
//! watermark the later word holds. Where a flag says the contrary of a watermark above
//! it, a floor in the watermarks says how far down one has to look for such.
//!
//! # What a request reads
//! No more where the inbox is larger. What is archived, read or snoozed is found by the
//! keys that say so, and below a watermark everything is so. What is unread, of a category
//! or simply there is met one after the other, which is right where it is most of what
//! there is. Where it is not, whoever passed over hundreds in vain leaves a posting list
//! of the places (`postings`), and the next one goes by that (`route`). The keys and lists
//! may have a place too many, so each is looked at, but lack none: they are written before
//! what they say is acknowledged.
//!
//! What comes late lies where it would have come in time. Where all were marked up to
//! there meanwhile it would be read before anybody saw it: so it gets flags that say the
//! contrary (`backdated`), once, before it is written. Where a list says that nothing lies
//! there it is entered, before it is acknowledged.
//!
//! # What is told when
//! Once the put was acknowledged: to the stream, and where preferences want it as the
//! event `notification.created` to the webhooks. In quiet hours the stream hears of it at
//! their end, by a delayed message of the queue `notification-digests`; so do digests and
//! snoozes end. All of that happens at least once; ids are the same each time.

mod announce;
mod backdated;
mod bulk_flags;
mod category;
mod count;
mod create;
mod deliver;
mod digest;
mod document;
mod draft;
mod entry;
mod flag;
mod flag_changes;
mod inbox;
mod ingest;
mod jobs;
mod link;
mod list;
mod message;
mod postings;
mod preferences;
mod quiet_hours;
mod render;
mod route;
mod settings;
mod stream;
mod summary;
mod templates;
mod walk;
mod watermarks;

use std::time::Duration;

use hearth_plugin::consumer::{Batch, Disposition, Message};
use hearth_plugin::prelude::*;

use crate::draft::Draft;
use crate::jobs::Job;

/// When a message is tried again while a backend is unavailable.
const AGAIN: Duration = Duration::from_secs(2);

fn router() -> Router {
    Router::new()
        .get("/", list::list)
        .post("/", create::create)
        .get("/count", count::count)
        .post("/read", bulk_flags::read)
        .post("/seen", bulk_flags::seen)
        .post("/archive", bulk_flags::archive)
        .get("/preferences", preferences::show)
        .put("/preferences", preferences::replace)
        .get("/templates/{id}", templates::show)
        .put("/templates/{id}", templates::replace)
        .get("/stream", stream::open)
        .get("/{id}", list::show)
        .patch("/{id}", flag_changes::change)
        .delete("/{id}", flag_changes::delete)
        .post("/{id}/snooze", flag_changes::snooze)
}

hearth_plugin::handler!(router);

/// Takes messages of the queues that the manifest names.
fn consume(batch: &Batch) -> Vec<Disposition> {
    let now = Timestamp::now();
    let Some(customer) = batch.customer() else {
        let nobody = || Disposition::DeadLetter("the message has no customer".into());
        return batch.messages.iter().map(|_| nobody()).collect();
    };
    // What one call brings is written by one call.
    let mut drafts = Vec::new();
    let taken = batch.messages.iter().map(|message| {
        let taken = take(customer, message, now);
        taken.map(|draft| drafts.extend(draft.map(|draft| *draft)))
    });
    let taken: Vec<Result<(), Disposition>> = taken.collect();
    let mut delivered = deliver::deliver(drafts, now).into_iter();
    let dispositions = batch.messages.iter().zip(taken).map(|(message, taken)| {
        let is_event = message.queue == EVENTS;
        match (taken, is_event) {
            (Err(disposition), _) => disposition,
            (Ok(()), false) => Disposition::Done,
            (Ok(()), true) => delivered.next().map_or(Disposition::Done, |one| {
                one.map_or_else(failed, |_| Disposition::Done)
            }),
        }
    });
    dispositions.collect()
}

/// The queue of other plugins' events; the other one is the plugin's own.
const EVENTS: &str = "notification-events";

/// Carries out a message of the plugin to itself, or makes a draft of an event.
fn take(
    customer: &str,
    message: &Message,
    now: Timestamp,
) -> Result<Option<Box<Draft>>, Disposition> {
    let dead = |reason: &str| Disposition::DeadLetter(reason.into());
    if message.queue == EVENTS {
        let happened = ingest::read(message).map_err(dead)?;
        let draft = happened.drafted(customer).map_err(failed)?;
        return Ok(Some(Box::new(draft)));
    }
    let job: Job = message
        .json()
        .ok_or_else(|| dead("the message body is not a valid job"))?;
    jobs::work(customer, &job, now).map_err(failed)?;
    Ok(None)
}

/// A trouble of documents, queues or streams passes; what would come again for ever is a
/// dead letter.
fn failed(problem: Problem) -> Disposition {
    match problem.status() {
        503 | 504 => Disposition::RetryAfter(AGAIN),
        status => Disposition::DeadLetter(format!("it was rejected with status {status}")),
    }
}

hearth_plugin::consumer!(consume);
