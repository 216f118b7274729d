//! Comments on a ticket: public ones, and internal ones which only agents write
//! and see.

use hearth_plugin::cursor::Binding;
use hearth_plugin::prelude::*;
use hearth_plugin::sql::Row;

use crate::events::Event;
use crate::outbox::Outbox;
use crate::sla::track;
use crate::sql::feed::mark_changed;
use crate::sql::notes::{comments_of, insert_comment};
use crate::sql::{insert_audits, lock_tickets, touch_ticket};
use crate::ticket::{AGENT, Author, Summary, TicketId};
use crate::write::{self, Edit, TicketUpdate};
use crate::{audits, requester, show, status};

row! {
    /// A comment.
    #[derive(Clone)]
    pub struct Comment {
        id: String,
        ticket_id: String,
        public: bool,
        body: String,
        author: String,
        by_agent: bool,
        requester: Option<Json>,
        created_at: Timestamp,
    }

    /// A comment of a page, and how many the page would have had if long ones did
    /// not shorten it.
    pub struct Listed {
        id: String,
        ticket_id: String,
        public: bool,
        body: String,
        author: String,
        by_agent: bool,
        requester: Option<Json>,
        created_at: Timestamp,
        fetched: i64,
    }
}

/// A comment to be written.
pub struct Draft {
    pub public: bool,
    pub body: String,
    pub requester: Option<Json>,
}

impl Draft {
    fn read(mut fields: Fields) -> Result<Self, Problem> {
        let draft = Draft {
            body: fields.text("body").length(1..=65_536).required(),
            public: fields.boolean("public").or(true),
            requester: requester::new(&mut fields),
        };
        fields.finish()?;
        Ok(draft)
    }
}

/// `POST /tickets/{id}/comments`: 201. A public comment changes the ticket's
/// version; an internal one does not, or customers would see that there is one. A
/// customer's opens a ticket that waits for it, or was solved.
pub fn create(request: &Request, TicketId(id): TicketId) -> Answer {
    let draft = Draft::read(request.fields()?)?;
    if !draft.public {
        request.require_scope(AGENT)?;
    }
    let author = Author::of(request)?;
    let database = request.database();
    let (comment, edit) = Outbox::run(|outbox| {
        database.transaction(Isolation::ReadCommitted, |tx| {
            let tickets = lock_tickets(tx, std::slice::from_ref(&id))?;
            let ticket = tickets.into_iter().next().ok_or_else(Problem::not_found)?;
            request.check_preconditions(Some(&ticket.etag()))?;
            status::refuse_closed(&ticket.status)?;
            write(tx, ticket, &draft, &author, outbox)
        })
    })?;
    edit.iter().for_each(Edit::record_status_change);
    Response::json(201, &comment)
}

/// Writes a comment with its effects on the ticket and its events. An internal comment
/// sends no event.
fn write(
    tx: &Transaction,
    ticket: Summary,
    draft: &Draft,
    author: &Author<'_>,
    outbox: &Outbox,
) -> Result<(Comment, Option<Edit>), Problem> {
    let comment = add(tx, &ticket.id, draft, author)?;
    let event = audits::commented(&comment.id, draft.public);
    let is_answer = draft.public && !author.is_agent;
    if is_answer && status::waits_for_answer(&ticket.status) {
        let edit = reopen(tx, ticket, event, &comment, author, outbox)?;
        return Ok((comment, Some(edit)));
    }
    let audit = Json(json!([audits::new(&ticket.id, draft.public, vec![event])]));
    let (key, is_agent) = (author.key_id, author.is_agent);
    insert_audits(tx, &audit, key, is_agent, comment.created_at)?;
    if draft.public {
        record_comment(tx, author, ticket, &comment, outbox)?;
    }
    Ok((comment, None))
}

/// Opens the ticket that a customer's comment answers, so that its clocks run.
fn reopen(
    tx: &Transaction,
    ticket: Summary,
    event: Value,
    comment: &Comment,
    author: &Author<'_>,
    outbox: &Outbox,
) -> Result<Edit, Problem> {
    let wanted = TicketUpdate {
        ticket: Summary {
            status: "open".into(),
            ..ticket.clone()
        },
        events: vec![event],
        closed_too: false,
        comment: Some(comment.clone()),
    };
    let mut edits = [Edit::new(ticket, wanted)?];
    write::apply(tx, &mut edits, author, outbox)?;
    let [edit] = edits;
    Ok(edit)
}

/// What a public comment that changes nothing else is to the ticket and to others.
fn record_comment(
    tx: &Transaction,
    author: &Author<'_>,
    mut ticket: Summary,
    comment: &Comment,
    outbox: &Outbox,
) -> Result<(), sql::Error> {
    let stamp = touch_ticket(tx, &ticket.id, comment.created_at)?;
    ticket.stamp(&stamp);
    mark_changed(tx, std::slice::from_ref(&ticket.id))?;
    let change = track::Change {
        ticket: &ticket,
        at: comment.created_at,
        moved: false,
        answered: comment.by_agent,
    };
    let checks = track::follow(tx, &author.tier, &[change])?;
    let order = author.looks.order(checks, Timestamp::now());
    let event = Event::commented(&ticket, stamp.short_description.as_deref(), comment);
    outbox.send(tx, &[event], order.as_slice())
}

/// Writes a comment, without its audit.
pub fn add(
    tx: &Transaction,
    ticket_id: &str,
    draft: &Draft,
    author: &Author<'_>,
) -> Result<Comment, sql::Error> {
    let (id, now) = (id::new("cmt"), Timestamp::now());
    let (key, is_agent) = (author.key_id, author.is_agent);
    let Draft {
        public,
        body,
        requester,
    } = draft;
    let requester = requester.as_ref();
    insert_comment(
        tx, &id, ticket_id, *public, body, key, is_agent, now, requester,
    )
}

/// `GET /tickets/{id}/comments`: the oldest first. A page ends early rather than
/// grow past what a response may hold.
pub fn list(request: &Request, id: TicketId) -> Answer {
    let mut query = request.query()?;
    let paging = Paging::read(&mut query);
    if paging.page().is_some() {
        query.refuse(
            "page",
            "not_allowed",
            "pages are not supported for comments; use the cursor",
        );
    }
    query.finish()?;
    let binding = Binding::of(request, &["comments", &id.0])?;
    let [after] = paging.keys(&binding)?.unwrap_or_default();
    show::find(request, &id)?;
    let is_agent = request.has_scope(AGENT);
    let mut comments = comments_of(&request.database(), &id.0, is_agent, &after, paging.fetch())?;
    let cut_by_bytes = comments.first().is_some_and(|first| {
        usize::try_from(first.fetched).is_ok_and(|fetched| fetched > comments.len())
    });
    let more = paging.cut(&mut comments) || cut_by_bytes;
    let next = comments
        .last()
        .filter(|_| more)
        .map(|comment| binding.encode(&[&comment.id]));
    let comments: Vec<_> = comments.iter().map(to_json).collect();
    let body = json!({"comments": comments, "has_more": more, "next_cursor": next});
    Ok(paging.link(request, next.as_deref(), Response::json(200, &body)?))
}

/// A comment as it is answered.
pub fn to_json(comment: &impl Row) -> Map<String, Value> {
    let mut members = sql::to_json(comment);
    members.remove("fetched");
    members.remove("total");
    members
}
