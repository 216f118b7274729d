//! Creating tickets.

use std::collections::HashSet;

use hearth_plugin::prelude::*;
use hearth_plugin::sql::{Batch, Error};

use crate::events::Event;
use crate::outbox::Outbox;
use crate::sla::plan::Plan;
use crate::sla::track::{self, Tracked};
use crate::sql::creation::{insert_audit, insert_change, insert_terms, insert_ticket};
use crate::sql::{id_by_external_id, insert_tags, taken_external_ids};
use crate::ticket::{self, AGENT, Author, Stamp, Summary};
use crate::{audits, fold, requester};

/// How often tickets are tried where others take their external ids meanwhile.
const ATTEMPTS_MAX: u32 = 3;

/// `POST /tickets`: 201 with `Location`.
pub fn create(request: &Request) -> Answer {
    let (ticket, description) = insert(request)?;
    let location = request.link(&["/tickets/", &ticket.id].concat());
    Ok(ticket
        .answer(201, &description)?
        .header("location", &location))
}

/// `POST /tickets/create`: 200, as the function before Hearth answered.
pub fn create_as_before(request: &Request) -> Answer {
    let (ticket, description) = insert(request)?;
    ticket.answer(200, &description)
}

/// A ticket to be made, with its id.
#[derive(Debug)]
pub struct New {
    ticket: Summary,
    description: String,
}

impl New {
    /// Reads what a client says of a new ticket.
    pub fn read(mut fields: Fields) -> Result<Self, Problem> {
        let subject = ticket::subject(&mut fields).required();
        let description = fields.text("description").length(1..=65_536).required();
        let ticket = Summary {
            id: id::new("tkt"),
            version: 1,
            status: "new".into(),
            subject,
            priority: ticket::priority(fields.text("priority")).or("normal"),
            r#type: ticket::kind(&mut fields).optional(),
            assignee: ticket::assignee(&mut fields).optional(),
            external_id: ticket::external_id(&mut fields).optional(),
            requester: requester::new(&mut fields),
            tags: ticket::tags(&mut fields).or([]),
            custom_fields: Json(ticket::custom_fields(&mut fields).or(Map::new()).into()),
            satisfaction: None,
            satisfaction_comment: None,
            merged_into: None,
            created_at: Timestamp::default(),
            updated_at: Timestamp::default(),
            solved_at: None,
        };
        fields.finish()?;
        Ok(New {
            ticket,
            description,
        })
    }

    /// Adds all that is written of it. Nothing of it is read back.
    fn add(&self, batch: &mut Batch, started: &Tracked, author: &Author<'_>, now: Timestamp) {
        let ticket = &self.ticket;
        let search = fold::vector(&ticket.subject, &self.description);
        batch.add(insert_ticket::step(
            &ticket.id,
            &ticket.priority,
            ticket.r#type.as_deref(),
            &ticket.subject,
            &self.description,
            ticket.assignee.as_deref(),
            ticket.external_id.as_deref(),
            ticket.requester.as_ref(),
            &ticket.tags,
            &ticket.custom_fields,
            &search,
            now,
        ));
        let audit = Json(audits::created().into());
        let (key, is_agent) = (author.key_id, author.is_agent);
        batch.add(insert_audit::step(
            &id::new("aud"),
            &ticket.id,
            &audit,
            key,
            is_agent,
            now,
        ));
        batch.add(insert_change::step(&ticket.id));
        batch.add(track::insertion(started));
        batch.add(insert_terms::step(&ticket.id, &search));
        if !ticket.tags.is_empty() {
            let tags = json!([{"id": &ticket.id, "tags": &ticket.tags}]);
            batch.add(insert_tags::step(&Json(tags)));
        }
    }

    /// What it has once it was written then.
    fn stamp(&self, now: Timestamp) -> Stamp {
        Stamp {
            id: self.ticket.id.clone(),
            version: self.ticket.version,
            created_at: now,
            updated_at: now,
            solved_at: None,
            short_description: None,
        }
    }

    /// The event that is sent when it is created at that time.
    fn event(&self, now: Timestamp) -> Event {
        let ticket = Summary {
            created_at: now,
            updated_at: now,
            ..self.ticket.clone()
        };
        Event::created(&ticket, &self.description)
    }

    /// The ticket as it was written; `None` where its external id was taken.
    pub fn written(mut self, stamps: &[Stamp]) -> Option<(Summary, String)> {
        let stamp = stamps.iter().find(|stamp| stamp.id == self.ticket.id)?;
        self.ticket.stamp(stamp);
        metrics::count("created", 1, &[("priority", &self.ticket.priority)]);
        Some((self.ticket, self.description))
    }
}

fn insert(request: &Request) -> Result<(Summary, String), Problem> {
    let new = New::read(request.fields()?)?;
    if new.ticket.assignee.is_some() {
        request.require_scope(AGENT)?;
    }
    let stamps = insert_all(
        &request.database(),
        std::slice::from_ref(&new),
        &Author::of(request)?,
    )?;
    let external_id = new.ticket.external_id.clone();
    match new.written(&stamps) {
        Some(written) => Ok(written),
        None => Err(taken(request, external_id.as_deref().unwrap_or_default())?),
    }
}

/// Creates tickets, except those whose external id is in use: only Postgres knows that,
/// and then the others are tried again.
pub fn insert_all(
    database: &Database,
    tickets: &[New],
    author: &Author<'_>,
) -> Result<Vec<Stamp>, Problem> {
    let mut free = first_of_each(tickets);
    for _ in 0..ATTEMPTS_MAX {
        if free.is_empty() {
            return Ok(Vec::new());
        }
        match Outbox::run(|outbox| insert_free(database, &free, author, outbox)) {
            Err(Error::UniqueViolation(_)) => leave_out_taken(database, &mut free)?,
            inserted => return Ok(inserted?),
        }
    }
    Err(exists())
}

/// Those that do not repeat the external id of one before them.
fn first_of_each(tickets: &[New]) -> Vec<&New> {
    let (mut seen, mut first) = (HashSet::new(), Vec::new());
    for new in tickets {
        let external_id = new.ticket.external_id.as_deref();
        if external_id.is_none_or(|external_id| seen.insert(external_id)) {
            first.push(new);
        }
    }
    first
}

fn leave_out_taken(database: &Database, tickets: &mut Vec<&New>) -> Result<(), Error> {
    let wanted = tickets
        .iter()
        .filter_map(|new| new.ticket.external_id.clone());
    let taken = taken_external_ids(database, &wanted.collect::<Vec<_>>())?;
    let is_free = |new: &&New| {
        let mut taken = taken.iter().filter_map(|taken| taken.external_id.as_ref());
        let own = new.ticket.external_id.as_ref();
        own.is_none_or(|own| taken.all(|taken| taken != own))
    };
    tickets.retain(is_free);
    Ok(())
}

/// Tickets with their tags, words, audits, clocks, their place in the feed and their
/// messages, in one transaction and one round trip: nothing of it is read back.
fn insert_free(
    database: &Database,
    tickets: &[&New],
    author: &Author<'_>,
    outbox: &Outbox,
) -> Result<Vec<Stamp>, Error> {
    let (plan, now) = (Plan::kept(database, &author.tier)?, Timestamp::now());
    let started = tickets.iter();
    let started = started.map(|new| track::started(&plan, &new.ticket, now));
    let started: Vec<Tracked> = started.collect();
    let order = author
        .looks
        .order(started.iter().filter_map(|own| own.check_at), now);
    let events: Vec<Event> = tickets.iter().map(|new| new.event(now)).collect();
    let mut batch = Batch::new();
    for (new, started) in tickets.iter().zip(&started) {
        new.add(&mut batch, started, author, now);
    }
    outbox.add(&mut batch, &events, order.as_slice());
    outbox.noted(batch.run(database))?;
    Ok(tickets.iter().map(|new| new.stamp(now)).collect())
}

/// 409 for an external id that is taken.
pub fn exists() -> Problem {
    Problem::new(409, "already-exists", "Already exists")
        .detail("another ticket has this external_id")
}

/// The same, with the `Location` of the ticket that has it: a client that was cut
/// off while it made the ticket finds it there.
fn taken(request: &Request, external_id: &str) -> Result<Problem, Problem> {
    Ok(match id_by_external_id(&request.database(), external_id)? {
        Some(found) => {
            let location = request.link(&["/tickets/", &found.id].concat());
            exists().header("location", location)
        }
        None => exists(),
    })
}
