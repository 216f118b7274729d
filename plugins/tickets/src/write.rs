//! The one way in which tickets change: under their locks, with their audits, tags,
//! words, clocks, events and their place in the feed of changes, in one transaction.

use hearth_plugin::log;
use hearth_plugin::prelude::*;

use crate::comments::Comment;
use crate::events::{self, Event};
use crate::outbox::Outbox;
use crate::sla::track;
use crate::sql::feed::mark_changed;
use crate::sql::terms::{description_of, remove_terms, write_terms};
use crate::sql::{insert_audits, insert_tags, lock_ticket, remove_other_tags, update_tickets};
use crate::ticket::{Author, Stamp, Summary, TicketId};
use crate::{audits, fold, status};

/// A ticket as it shall be.
pub struct TicketUpdate {
    pub ticket: Summary,
    /// What the audit says beside the fields that differ. Where it says something
    /// the ticket counts as changed though no field differs.
    pub events: Vec<Value>,
    /// Whether a closed ticket may change so.
    pub closed_too: bool,
    /// The public comment that comes with it.
    pub comment: Option<Comment>,
}

impl From<Summary> for TicketUpdate {
    fn from(ticket: Summary) -> Self {
        TicketUpdate {
            ticket,
            events: Vec::new(),
            closed_too: false,
            comment: None,
        }
    }
}

/// A locked ticket before and after a change.
pub struct Edit {
    pub before: Summary,
    pub after: Summary,
    /// What the audit says.
    audited: Vec<Value>,
    /// The fields that differ.
    changes: Map<String, Value>,
    comment: Option<Comment>,
    short_description: Option<String>,
}

impl Edit {
    /// The change from a locked ticket to what it shall be; 409 where it is closed
    /// and something would differ.
    pub fn new(before: Summary, wanted: TicketUpdate) -> Result<Self, Problem> {
        let mut audited = audits::changed(&before, &wanted.ticket);
        audited.extend(wanted.events);
        if !audited.is_empty() && !wanted.closed_too {
            status::refuse_closed(&before.status)?;
        }
        Ok(Edit {
            changes: events::changes(&before, &wanted.ticket),
            before,
            after: wanted.ticket,
            audited,
            comment: wanted.comment,
            short_description: None,
        })
    }

    fn is_change(&self) -> bool {
        !self.audited.is_empty()
    }

    fn is_renaming(&self) -> bool {
        self.before.subject != self.after.subject
    }

    /// Its events, once it has its stamp.
    fn events(&self) -> Vec<Event> {
        let (ticket, description) = (&self.after, self.short_description.as_deref());
        let mut events = Vec::new();
        if !self.changes.is_empty() {
            events.push(Event::updated(ticket, description, &self.changes));
        }
        if let Some(comment) = &self.comment {
            events.push(Event::commented(ticket, description, comment));
        }
        if self.before.status != "solved" && ticket.status == "solved" {
            events.push(Event::solved(ticket, description));
        }
        events
    }

    /// What the ticket's clocks know of it.
    fn tracked(&self, author: &Author<'_>) -> track::Change<'_> {
        let key = |ticket: &Summary| (ticket.status.clone(), ticket.priority.clone());
        track::Change {
            ticket: &self.after,
            at: self.after.updated_at,
            moved: key(&self.before) != key(&self.after),
            answered: self.comment.is_some() && author.is_agent,
        }
    }

    /// Counts and logs a change of status, once it is durable.
    pub fn record_status_change(&self) {
        let (from, to) = (self.before.status.as_str(), self.after.status.as_str());
        if from != to {
            let id = self.after.id.as_str();
            metrics::count("status_changed", 1, &[("from", from), ("to", to)]);
            log::info!("ticket status changed", ticket = id, from = from, to = to);
        }
    }
}

/// Changes one ticket, under `If-Match`, and answers it whole.
pub fn one(
    request: &Request,
    id: &TicketId,
    edit: impl Fn(&Summary) -> Result<TicketUpdate, Problem>,
) -> Answer {
    let (edit, description) = locked(request, id, edit)?;
    edit.after.answer(200, &description)
}

/// Changes one ticket, under `If-Match`, and hands over what changed and its
/// description.
pub fn locked(
    request: &Request,
    TicketId(id): &TicketId,
    edit: impl Fn(&Summary) -> Result<TicketUpdate, Problem>,
) -> Result<(Edit, String), Problem> {
    let author = Author::of(request)?;
    let database = request.database();
    let (edit, description) = Outbox::run(|outbox| {
        database.transaction(Isolation::ReadCommitted, |tx| {
            let ticket = lock_ticket(tx, id)?.ok_or_else(Problem::not_found)?;
            let (before, description) = ticket.split();
            request.check_preconditions(Some(&before.etag()))?;
            let wanted = edit(&before)?;
            let mut edits = [Edit::new(before, wanted)?];
            apply(tx, &mut edits, &author, outbox)?;
            let [edit] = edits;
            Ok::<_, Problem>((edit, description))
        })
    })?;
    edit.record_status_change();
    Ok((edit, description))
}

/// Writes the new state of tickets, with everything that follows; nothing for those
/// without a difference. For any number of tickets it takes the same few statements,
/// and one for each whose words or tags changed.
pub fn apply(
    tx: &Transaction,
    edits: &mut [Edit],
    author: &Author<'_>,
    outbox: &Outbox,
) -> Result<(), Problem> {
    let changed: Vec<&Edit> = edits.iter().filter(|edit| edit.is_change()).collect();
    if changed.is_empty() {
        return Ok(());
    }
    let stamps = write(tx, &changed, author)?;
    for stamp in stamps {
        let mut edits = edits.iter_mut();
        if let Some(edit) = edits.find(|edit| edit.after.id == stamp.id) {
            edit.after.stamp(&stamp);
            edit.short_description = stamp.short_description;
        }
    }
    let changed: Vec<&Edit> = edits.iter().filter(|edit| edit.is_change()).collect();
    let tracked: Vec<_> = changed.iter().map(|edit| edit.tracked(author)).collect();
    let checks = track::follow(tx, &author.tier, &tracked)?;
    let order = author.looks.order(checks, Timestamp::now());
    let events: Vec<Event> = changed.iter().flat_map(|edit| edit.events()).collect();
    Ok(outbox.send(tx, &events, order.as_slice())?)
}

/// Writes the rows of tickets that change, and of their words and tags what differs.
fn write(tx: &Transaction, changed: &[&Edit], author: &Author<'_>) -> Result<Vec<Stamp>, Problem> {
    let now = Timestamp::now();
    let row = |edit: &&Edit| Value::Object(sql::to_json(&edit.after));
    let rows = Json(changed.iter().map(row).collect());
    let stamps = update_tickets(tx, &rows, now).map_err(taken)?;
    for edit in changed.iter().filter(|edit| edit.is_renaming()) {
        write_words(tx, &edit.after)?;
    }
    write_tags(tx, changed)?;
    let audit = |edit: &&Edit| audits::new(&edit.after.id, true, edit.audited.clone());
    let audits = Json(changed.iter().map(audit).collect());
    insert_audits(tx, &audits, author.key_id, author.is_agent, now)?;
    let ids: Vec<String> = changed.iter().map(|edit| edit.after.id.clone()).collect();
    mark_changed(tx, &ids)?;
    Ok(stamps)
}

/// What a ticket with a new subject is found by.
fn write_words(tx: &Transaction, ticket: &Summary) -> Result<(), sql::Error> {
    let described = description_of(tx, &ticket.id)?;
    let description = described.map(|described| described.description);
    let search = fold::vector(&ticket.subject, &description.unwrap_or_default());
    remove_terms(tx, &ticket.id)?;
    write_terms(tx, &ticket.id, &search).map(drop)
}

fn write_tags(tx: &Transaction, changed: &[&Edit]) -> Result<(), sql::Error> {
    let tagged = changed.iter().map(|edit| (&edit.before, &edit.after));
    let tagged = tagged.filter(|(before, after)| before.tags != after.tags);
    let mut rows = Vec::new();
    for (_, ticket) in tagged {
        remove_other_tags(tx, &ticket.id, &ticket.tags)?;
        rows.push(json!({"id": ticket.id, "tags": ticket.tags}));
    }
    match rows.is_empty() {
        true => Ok(()),
        false => insert_tags(tx, &Json(rows.into())).map(drop),
    }
}

/// The one unique key that a change can violate is that of external ids.
fn taken(error: sql::Error) -> Problem {
    match error {
        sql::Error::UniqueViolation(_) => crate::create::exists(),
        error => error.into(),
    }
}
